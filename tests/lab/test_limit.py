"""`--limit`, where it selects the nodes to work on: only those, checked with the versions of all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import PLAYBOOK_LIMIT, ROOT, Lab

LIMITED = ("--limit", "k3s-worker-2")


def tasks(text: str) -> list[str]:
    return [line.split("[")[1].split("]")[0] for line in text.splitlines() if line.startswith("TASK [")]


def test_refuses_a_worker_a_minor_ahead_of_the_controllers(lab: Lab) -> None:
    before = lab.versions()
    minor = f"k3s_channel=v1.{int(lab.starts().split('.')[1]) + 1}"
    refused = lab.upgrade(*LIMITED, "-e", minor)
    refused.assert_failed_with(
        f"k3s-controller-1: limit: --limit leaves this controller at {lab.starts()}, and a kubelet may not be newer in minor",
        "upgrade that node first, or leave --limit out",
    )
    assert lab.versions() == before and not lab.cordoned() and not lab.marks()
    # The other way round it is what an upgrade does anyway.
    planned = lab.upgrade("--limit", "k3s_controllers", "-e", minor, "--check")
    planned.assert_unchanged()
    assert "1 of 3 nodes to work on" in planned.text


def test_a_limit_selects_the_nodes_of_the_upgrade(lab: Lab) -> None:
    started = lab.starts()
    done = lab.upgrade(*LIMITED)
    assert done.status == 0, done.text
    new = lab.channel("stable")
    assert lab.versions() == {"k3s-controller-1": started, "k3s-worker-1": started, "k3s-worker-2": new}
    assert f"k3s-worker-1: skipped: --limit leaves it out ({started} runs)" in done.words
    assert "Drain the node" in tasks(done.text) and "Wait for the cluster to return to its baseline" in tasks(done.text)
    assert not lab.cordoned() and not lab.marks()
    # Nothing is left to do there, and the same command without the limit does the rest.
    lab.upgrade(*LIMITED).assert_unchanged()
    rest = lab.upgrade()
    assert rest.status == 0, rest.text
    assert set(lab.versions().values()) == {new}


def test_a_limit_selects_the_nodes_of_the_health_check(lab: Lab) -> None:
    lab.kubectl("cordon", "k3s-worker-1")
    try:
        warned = ("-e", "k3s_health_fail_on=warning")
        lab.play("check-k3s-cluster-health", *warned).assert_failed_with("cordoned by an operator")
        limited = lab.play("check-k3s-cluster-health", *warned, *LIMITED)
        assert limited.status == 0 and "cordoned by an operator" not in limited.text, limited.text
        lab.play("check-k3s-cluster-health", *warned, "--limit", "k3s-worker-1").assert_failed_with("cordoned by an operator")
        assert lab.play("postcheck-k3s-upgrade", *LIMITED).status == 0
    finally:
        lab.kubectl("uncordon", "k3s-worker-1")


def test_a_limit_selects_the_nodes_of_the_certificate_check(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "certificates.json"
    lab.play("check-k3s-certificates", *LIMITED, "-e", f"k3s_certificates_output={report}", "-e", "k3s_certificates_warn_days=0")
    found = json.loads(report.read_text())
    hosts = {one["host"] for one in found["certificates"]}
    assert hosts - {"this machine"} == {"k3s-worker-2"}


@pytest.mark.parametrize(
    ("limit", "worked_on"), [("k3s-worker-2", ["k3s-worker-2"]), ("k3s_workers", ["k3s-worker-1", "k3s-worker-2"])]
)
def test_a_limit_selects_the_nodes_of_the_prerequisites(lab: Lab, limit: str, worked_on: list[str]) -> None:
    done = lab.play("ensure-worker-prereqs", "--check", "--limit", limit)
    assert done.status == 0, done.text
    looked = done.text.split("TASK [Check the node's prerequisites]")[1].split("TASK [")[0]
    assert [name for name in ("k3s-controller-1", "k3s-worker-1", "k3s-worker-2") if name in looked] == worked_on


def test_prerequisites_refuse_a_limit_without_their_nodes(lab: Lab) -> None:
    refused = lab.play("ensure-worker-prereqs", "--limit", "k3s-controller-1")
    refused.assert_failed_with("--limit k3s-controller-1 excludes all of k3s-worker-1, k3s-worker-2, the nodes of k3s_prereqs_hosts")


def test_skips_a_node_and_lists_it_in_the_summary(lab: Lab) -> None:
    before = lab.versions()
    version = lab.offer_next()
    done = lab.upgrade("-e", json.dumps({"k3s_skip": {"k3s-worker-2": "its disk is being replaced"}}))
    assert done.status == 0, done.text
    assert lab.versions() == dict.fromkeys(before, version) | {"k3s-worker-2": before["k3s-worker-2"]}
    summary = " ".join(done.text.split("TASK [Show the summary]")[1].split())
    assert "k3s-worker-2: k3s_skip leaves it out: its disk is being replaced" in summary, summary
    assert not lab.cordoned() and not lab.marks()
    assert lab.upgrade().status == 0
    assert set(lab.versions().values()) == {version}


def test_a_stop_file_stops_the_run_after_the_current_node(lab: Lab, tmp_path: Path) -> None:
    before = lab.versions()
    version = lab.offer_next()
    stop = tmp_path / "stop"
    asked = ("-e", f"k3s_stop_file={stop}")
    run = lab.begin_upgrade(*asked)
    lab.wait_until("the first node's turn", lab.reached("Renew the cluster lock"))
    stop.touch()
    done = lab.go_on(run)
    assert done.status == 0, done.text
    assert lab.versions() == before | {"k3s-worker-1": version}
    said = " ".join(done.text.split())
    assert f"the run stopped since {stop} is there. Left for the next run: k3s-worker-2, k3s-controller-1" in said, said
    assert not lab.cordoned() and not lab.marks()
    lab.upgrade(*asked).assert_failed_with(f"{stop} exists on the control node", "Remove it first")
    stop.unlink()
    assert lab.upgrade(*asked).status == 0
    assert set(lab.versions().values()) == {version}


def test_upgrades_without_a_download(lab: Lab) -> None:
    version = lab.offer_next()
    with lab.without_downloads(version) as files:
        done = lab.upgrade("-e", f"k3s_target_version={version}", *files)
    assert done.status == 0, done.text
    assert set(lab.versions().values()) == {version}


def test_the_nightly_service_is_quiet_without_work(lab: Lab) -> None:
    """As systemd runs it, without the user and the folder, which the operator sets."""
    service = (ROOT / "k3s/files/systemd/k3s-upgrade.service").read_text()
    lines = dict(line.split("=", 1) for line in service.splitlines() if "=" in line and not line.startswith("#"))
    environment = dict(word.split("=", 1) for word in lines["Environment"].split())
    assert "-e k3s_allow=patch" in lines["ExecStart"]
    done = subprocess.run(
        lines["ExecStart"].split(),
        cwd=ROOT,
        env=os.environ | environment | {"ANSIBLE_INVENTORY": str(lab.inventory)},
        capture_output=True,
        text=True,
        timeout=PLAYBOOK_LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TASK" not in done.stdout and "PLAY RECAP" in done.stdout, done.stdout
