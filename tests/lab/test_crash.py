"""A sample of the crashes that `make crash-all` tries: a run is crashed, and the next one finishes its work."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Lab, seed
from crash import page, state
from crash.cases import KINDS, TASK, Undisturbed, in_order_of, read_points, read_took
from crash.crasher import Crasher
from crash.scenarios import SCENARIOS

# One case at least whose point is reached; the next begins only where it can still end in time.
SAMPLE_SECONDS = 20
MOST = 6

SEEN = Undisturbed(
    read_points("node_drain 1 pct exec 101\nk3s_install 1 write /a b\nnode_drain 2 pct exec 101\n"),
    read_took("node_drain 2 500\n"),
    ["Drain the node"],
)


def test_every_point_and_every_task_is_a_case() -> None:
    assert SEEN.counts() == {"k3s_install": 1, "node_drain": 2, TASK: 1}
    cases = SEEN.cases()
    assert len(cases) == 3 * len(KINDS) + 1
    assert [str(case) for case in cases if case.number == 2] == [f"node_drain 2 {kind} (pct exec 101)" for kind in KINDS]
    assert str(cases[-1]) == "task 1 before (Drain the node)"


def test_a_crash_in_the_middle_is_after_half_the_time() -> None:
    orders = {case.order for case in SEEN.cases() if (case.module, case.number) == ("node_drain", 2)}
    assert orders == {"node_drain 2 before\n", "node_drain 2 during 250\n", "node_drain 2 during-all 250\n", "node_drain 2 after\n"}


def test_a_seed_chooses_the_same_cases_where_a_run_has_a_point_more() -> None:
    cases = SEEN.cases()
    chosen = in_order_of("a", cases)
    assert chosen != in_order_of("b", cases) and chosen == in_order_of("a", cases[::-1])
    more = [*cases, *(replace(case, number=3) for case in cases if case.number == 2)]
    assert [case for case in in_order_of("a", more) if case.module != "node_drain"] == [
        case for case in chosen if case.module != "node_drain"
    ]
    assert {case.module for case in chosen[:3]} == {"node_drain", "k3s_install", TASK}


def test_the_page_counts_the_cases_of_each_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(page, "PAGE", tmp_path / "crashes.md")
    first, second, third = SEEN.cases()[:3]
    page.Results("upgrade", SEEN, "a1").add(first, "FAILED")
    for case, verdict in ((first, "passed"), (second, "FAILED"), (third, "not reached")):
        page.Results("upgrade", SEEN, "b2").add(case, verdict)
    page.write()
    rows = [line for line in page.PAGE.read_text().partition("## upgrade")[2].splitlines() if line.startswith("| ")]
    assert rows == [
        "| module | cases | run | passed | failed | not reached |",
        "| k3s_install | 4 | 0 | 0 | 0 | 0 |",
        "| node_drain | 8 | 3 | 1 | 1 | 1 |",
        "| tasks | 1 | 0 | 0 | 0 | 0 |",
        "| **all** | 13 | 3 | 1 | 1 | 1 |",
    ]
    text = page.PAGE.read_text()
    assert "Results of commit `b2` (3)." in text
    assert "Not run yet: `upgrade-ha`, `join-worker`" in text
    assert [line for line in text.splitlines() if line.startswith("Failed")] == ["Failed: node_drain 1 during (pct exec 101)"]


def test_the_page_keeps_what_is_not_run_again_while_it_is_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "KEPT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "crashes.md")
    for case in SEEN.cases():
        page.Results("upgrade", SEEN, "a1").add(case, "passed")
    fewer = replace(SEEN, points=SEEN.points[:2])
    page.Results("upgrade", fewer, "b2").add(fewer.cases()[0], "passed")
    page.write()
    assert "| **all** | 9 | 9 | 9 | 0 | 0 |" in page.PAGE.read_text()
    assert "Results of commit `a1` (8), `b2` (1)." in page.PAGE.read_text()


def test_what_a_state_leaves_out_differs_between_any_two_runs() -> None:
    listed = "COMMAND\n/usr/local/bin/k3s agent\nsleep 7\nps -eo args\nsleep 8\n"
    assert state.processes(listed) == ["/usr/local/bin/k3s agent", "sleep #"]
    assert state.REVISION.sub("", "Secret kube-system sh.helm.release.v1.traefik.v12") == "Secret kube-system sh.helm.release.v1.traefik."
    before, after = ({"a": frozenset("x"), "b": frozenset(file)} for file in ("x", "y"))
    assert state.differences(before, after) == {"b": "gone: ['x'], new: ['y']"}
    left_out = ("/var/log", "/run/systemd", "/proc", "/run/ansible-cp", "/tmp/systemd-private-0f3a-a.service-Rp7mID", "/var/tmp/systemd-private-0f3a-a.service-Rp7mID")
    kept = ("/var/lib/homelab-k3s", "/run/lock/homelab-k3s", "/root/.ansible/homelab.k3s", "/tmp", "/var/lib/.homelab-k3s-carried.a1b2c3")
    assert all(state.VOLATILE.search(path) for path in left_out) and not any(state.VOLATILE.search(path) for path in kept)


def test_what_goes_away_by_itself_is_no_difference() -> None:
    looks = iter([{"a": "new"}, {}])
    assert state.lasting(lambda: next(looks)) == {}
    assert state.lasting(lambda: {"a": "new"}, limit=0) == {"a": "new"}


def test_a_crashed_upgrade_is_finished_by_the_next_run(lab: Lab) -> None:
    print(f"SEED={seed()}")
    crasher = Crasher(lab, SCENARIOS["upgrade"])
    cases = in_order_of(seed(), crasher.undisturbed().cases())
    assert {case.module for case in cases} >= {"node_drain", "k3s_install", "cluster_lock", TASK}
    started, wrong = time.monotonic(), {}
    for case in cases[:MOST]:
        wrong[case] = crasher.crash(case)
        # A wait may have looked less often than in the run without a crash.
        if wrong[case] is not None and time.monotonic() - started > SAMPLE_SECONDS:
            break
    assert not any(wrong.values()), wrong
    assert any(found is not None for found in wrong.values()), f"no point was reached: {[*map(str, wrong)]}"
