"""The cluster lock: every playbook that changes something refuses to run while another run holds it, and releases it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import HELD, Lab

BACKUPS = "/root/lock-backups"

CHANGES = {
    "backup-k3s": [],
    "bootstrap-k3s-ha": [],
    "canary-worker-cutover": ["k3s_canary_old_worker_host=k3s-worker-1 k3s_canary_new_worker_host=k3s-worker-2"],
    "enforce-k3s-controller-noschedule-taint": ["k3s_controller_taint_force=true"],
    "ensure-worker-prereqs": [],
    "install-k3s": [],
    "join-k3s-worker": ["k3s_join_worker_host=k3s-worker-2"],
    "reconcile-traefik-crd-ownership": [],
    "refresh-k3s-kubeconfig": ["k3s_rotate_all=true"],
    "uninstall-k3s": ["k3s_uninstall_hosts=k3s-worker-2 k3s_uninstall_confirm=k3s-worker-2"],
    "upgrade-k3s": [],
}
THE_CLUSTER = "k3s_uninstall_hosts=k3s_cluster k3s_uninstall_confirm=k3s_cluster k3s_uninstall_cluster=true"


def state_of(lab: Lab) -> tuple:
    return (lab.versions(), lab.cordoned(), [lab.installation(vmid) for vmid in (101, 111, 112)])


def arguments(variables: list[str]) -> list[str]:
    return [argument for text in variables for argument in ("-e", text)]


@pytest.mark.parametrize(("playbook", "variables"), [*CHANGES.items(), ("uninstall-k3s", [THE_CLUSTER])])
def test_every_run_refuses_a_held_lock(lab: Lab, held: None, playbook: str, variables: list[str]) -> None:
    before = state_of(lab)
    lab.play(playbook, *arguments(variables)).assert_failed_with(*HELD)
    assert state_of(lab) == before


@pytest.fixture(scope="module")
def backup(lab: Lab) -> str:
    """A backup from before the lock is held."""
    assert lab.play("backup-k3s", "-e", f"k3s_backup_dir={BACKUPS}").status == 0
    return Path(lab("exec", "--", "sh", "-c", f"ls {BACKUPS}/*.tar.gz").split()[0]).name.removesuffix(".tar.gz")


def test_a_restore_refuses_a_held_lock(lab: Lab, backup: str, held: None) -> None:
    before = state_of(lab)
    variables = f"k3s_backup_dir={BACKUPS} k3s_restore_backup={backup} k3s_restore_confirm={backup}"
    lab.play("restore-k3s", "-e", variables).assert_failed_with(*HELD)
    assert state_of(lab) == before


@pytest.mark.parametrize("playbook", ["install-k3s", "ensure-worker-prereqs"])
def test_a_run_without_work_releases_the_lock(lab: Lab, playbook: str) -> None:
    done = lab.play(playbook)
    assert done.status == 0, done.text
    assert "TASK [Acquire the cluster lock]" in done.text
    assert lab.holder() == ""


# The last two acquire the lock only if there is something to do.
@pytest.mark.parametrize("playbook", ["ensure-worker-prereqs", "upgrade-k3s", "enforce-k3s-controller-noschedule-taint"])
def test_a_run_without_work_releases_the_lock_of_a_dead_run(lab: Lab, playbook: str) -> None:
    lab.leave_lock()
    taint = "present" if any(node["spec"].get("taints") for node in lab.nodes().values()) else "absent"
    nothing_to_do = (f"k3s_target_version={lab.starts()}", f"k3s_controller_taint_state={taint}")
    planned = lab.play(playbook, *arguments([*nothing_to_do]), "--check")
    assert planned.status == 0 and lab.holder(), planned.text
    done = lab.play(playbook, *arguments([*nothing_to_do]))
    done.assert_unchanged()
    assert lab.holder() == ""


def test_a_failed_run_releases_the_lock(lab: Lab) -> None:
    lab("fault", "os-release", "112", "alpine")
    lab.play("ensure-worker-prereqs").assert_failed_with("the distribution is alpine")
    lab("fault", "os-release", "112", "debian13")
    assert lab.holder() == ""


def test_a_failed_removal_releases_the_lock(lab: Lab) -> None:
    lab.kubectl("run", "naked", "--image=x", "--restart=Never", "--overrides", '{"spec": {"nodeName": "k3s-worker-2"}}')
    lab.play("uninstall-k3s", *arguments(CHANGES["uninstall-k3s"])).assert_failed_with("naked")
    assert lab.holder() == ""
    lab.kubectl("delete", "pod", "naked", "--grace-period=0", "--force")
