"""The batches of an upgrade, as Ansible runs them: who goes on, who does not, and when the lock is released.

The play, its rounds, and the blocks of a node's turn are the real ones; what they do to a node is replaced by one task.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

BUILTIN = "ansible.builtin."
PLAYBOOKS = ROOT / "playbooks"
BATCHES = [["c1"], ["w1", "w2"], ["w3", "w4", "w5"], ["w6"]]
FAKES = {
    "ask-controllers.yaml": [{"name": "Ask", BUILTIN + "set_fact": {"k3s_ready_controllers": ["c1"]}}],
    # The batches that are possible now: all at once, unless a node must not be with others.
    "plan-batches.yaml": [
        {
            "name": "Group",
            BUILTIN + "set_fact": {
                "k3s_grouped": {
                    "batches": [
                        {
                            "hosts": "{{ k3s_limited_to[:1] if k3s_limited_to | intersect(alone) else k3s_limited_to }}",
                            "reason": "no room",
                        }
                    ]
                }
            },
        }
    ],
    "release-lock.yaml": [{"name": "Release", BUILTIN + "debug": {"msg": "lock released"}}],
    "gate-health.yaml": [{"name": "Gate", BUILTIN + "assert": {"that": "inventory_hostname not in sick"}}],
    "restore-node.yaml": [
        {"name": "Restore", BUILTIN + "assert": {"that": "inventory_hostname not in lost"}},
        {"name": "Record", BUILTIN + "set_fact": {"k3s_failure": "stopped at {{ inventory_hostname }}: {{ ansible_failed_task.name }}"}},
    ],
}
TURN = [
    {"name": "Drain", BUILTIN + "assert": {"that": "inventory_hostname not in broken"}},
    {"name": "Uncordon", BUILTIN + "debug": {}, "register": "k3s_returned"},
]


def run(folder: Path, batches: list[list[str]] | None = BATCHES, **hosts: list[str]) -> tuple[int, list[str]]:
    """The status, and what happened: `Drain w1`, in order; a failure as `Drain w1!`."""
    tasks = folder / "tasks"
    tasks.mkdir()
    for name in ("upgrade-round.yaml", "check-round.yaml", "end-failed-batch.yaml"):
        (tasks / name).write_text((PLAYBOOKS / "tasks" / name).read_text())
    for name, fake in FAKES.items():
        (tasks / name).write_text(yaml.safe_dump(fake))
    turn, gate = yaml.safe_load((PLAYBOOKS / "tasks/upgrade-node.yaml").read_text())
    (tasks / "upgrade-node.yaml").write_text(yaml.safe_dump([{**turn, "block": TURN}, gate]))
    plays = yaml.safe_load((PLAYBOOKS / "playbook-upgrade-k3s.yaml").read_text())
    play = next(play for play in plays if play["name"] == "Upgrade the nodes, one batch at a time")
    del play["roles"], play["module_defaults"]
    add = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                BUILTIN + "add_host": {
                    "name": "{{ item }}",
                    "groups": "k3s_turns",
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "k3s_batches": "{{ batches }}",
                    "k3s_is_stopped": "{{ item in stopped_at }}",
                    "k3s_turn": {"via": ["c1"]},
                    "k3s_health_before": {"verdicts": []},
                },
                "loop": "{{ batches | flatten }}",
            }
        ],
    }
    (folder / "play.yaml").write_text(yaml.safe_dump([add, play]))
    names = {"broken": [], "lost": [], "sick": [], "alone": [], "stopped_at": [], "batches": batches, **hosts}
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(names), "play.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, events(done.stdout)


def events(text: str) -> list[str]:
    found, task = [], ""
    for line in text.splitlines():
        if line.startswith("TASK ["):
            task = line.split("[")[1].split("]")[0]
        elif line.startswith(("changed: [", "ok: [", "fatal: [")) and task in ("Drain", "Gate", "Restore", "Release"):
            found.append(f"{task} {line.split('[')[1].split(']')[0]}{'!' if line.startswith('fatal') else ''}")
        elif line.startswith("fatal: [") and task.startswith("Report"):
            found.append(f"Report {line.split('[')[1].split(']')[0]}!")
    return found


def drained(found: list[str]) -> list[str]:
    return [event.split()[1].rstrip("!") for event in found if event.startswith("Drain")]


def test_every_batch_is_checked_once_when_its_nodes_are_back(tmp_path: Path) -> None:
    status, found = run(tmp_path)
    assert status == 0
    assert sorted(drained(found)) == sorted(node for batch in BATCHES for node in batch)
    assert [event for event in found if not event.startswith("Drain")] == ["Gate c1", "Gate w2", "Gate w5", "Gate w6"]
    assert set(found[: found.index("Gate w2")]) == {"Drain c1", "Gate c1", "Drain w1", "Drain w2"}


def test_a_batch_that_has_become_impossible_takes_several_rounds(tmp_path: Path) -> None:
    status, found = run(tmp_path, alone=["w4"])
    assert status == 0
    assert found[5:] == ["Drain w3", "Gate w3", "Drain w4", "Gate w4", "Drain w5", "Gate w5", "Drain w6", "Gate w6"]


@pytest.mark.parametrize("broken", ["w3", "w5"])
def test_the_nodes_beside_a_failed_one_complete_their_turns(tmp_path: Path, broken: str) -> None:
    status, found = run(tmp_path, broken=[broken])
    assert status == 2
    assert set(drained(found)) == {"c1", "w1", "w2", "w3", "w4", "w5"}
    # Without a check of the cluster, in which one node is missing; and the lock is released once, at the end.
    assert found[-3:-1] == [f"Restore {broken}", next(event for event in found if event.startswith("Release"))]
    assert found[-1] == f"Report {broken}!" and sum(event.startswith("Release") for event in found) == 1, found


def test_all_nodes_of_a_batch_may_fail(tmp_path: Path) -> None:
    status, found = run(tmp_path, broken=["w1", "w2"])
    assert status == 2
    assert sorted(found[-5:]) == ["Release w1", "Report w1!", "Report w2!", "Restore w1", "Restore w2"]
    assert set(drained(found)) == {"c1", "w1", "w2"}


def test_a_failure_in_one_round_stops_the_next_round(tmp_path: Path) -> None:
    status, found = run(tmp_path, alone=["w5"], broken=["w3"])
    assert status == 2 and drained(found)[-1] == "w3" and found[-1] == "Report w3!", found


def test_a_failed_recovery_stops_the_run_too(tmp_path: Path) -> None:
    status, found = run(tmp_path, broken=["w1"], lost=["w1"])
    assert status == 2
    assert found[-3:] == ["Restore w1!", "Release w2", "Report w2!"]


def test_a_failed_check_of_the_cluster_stops_the_run(tmp_path: Path) -> None:
    status, found = run(tmp_path, sick=["w2"])
    assert status == 2
    assert found[-4:] == ["Gate w2!", "Restore w2", "Release w1", "Report w2!"]


def test_a_stop_file_ends_the_play_between_two_batches(tmp_path: Path) -> None:
    status, found = run(tmp_path, stopped_at=["w3"])
    assert status == 0 and set(drained(found)) == {"c1", "w1", "w2"}


def test_nothing_runs_without_turns(tmp_path: Path) -> None:
    status, found = run(tmp_path, batches=[])
    assert status == 0 and not found
