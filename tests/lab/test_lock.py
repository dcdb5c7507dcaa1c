"""The lock of the cluster: every playbook that changes something stops where another run holds it, and none keeps it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from conftest import Lab

LEASE = "homelab-k3s-run"
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


def holder(lab: Lab) -> str:
    return lab.kubectl("get", "lease", "-n", "kube-system", LEASE, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")


@pytest.fixture
def held(lab: Lab) -> Iterator[None]:
    """By a run on another control node, whose processes nobody here can see."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    notes = {"user": "operator", "host": "elsewhere", "boot-id": "another", "process": "7:70", "purpose": "a test"}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": LEASE,
            "namespace": "kube-system",
            "annotations": {f"homelab.k3s/{key}": value for key, value in notes.items()},
        },
        "spec": {"holderIdentity": "elsewhere-7-70", "leaseDurationSeconds": 7200, "acquireTime": now, "renewTime": now},
    }
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(lease))
    yield
    assert holder(lab) == "elsewhere-7-70"
    lab.kubectl("delete", "lease", "-n", "kube-system", LEASE)


def state_of(lab: Lab) -> tuple:
    return (lab.versions(), lab.cordoned(), [lab.installation(vmid) for vmid in (101, 111, 112)])


def arguments(variables: list[str]) -> list[str]:
    return [argument for text in variables for argument in ("-e", text)]


@pytest.mark.parametrize(("playbook", "variables"), [*CHANGES.items(), ("uninstall-k3s", [THE_CLUSTER])])
def test_a_run_stops_where_another_has_the_cluster(lab: Lab, held: None, playbook: str, variables: list[str]) -> None:
    before = state_of(lab)
    stopped = lab.play(playbook, *arguments(variables))
    stopped.assert_failed_with(
        "the cluster is held by operator@elsewhere (process 7, a test, since 20",
        "if it is dead, its lock ends by itself in 120 min, or run again with -e k3s_break_lock=true",
    )
    assert state_of(lab) == before


@pytest.mark.parametrize("playbook", ["install-k3s", "ensure-worker-prereqs"])
def test_a_run_that_has_nothing_to_do_gives_the_lock_back(lab: Lab, playbook: str) -> None:
    done = lab.play(playbook)
    assert done.status == 0, done.text
    assert "TASK [Take the run's lock]" in done.text
    assert holder(lab) == ""


def test_a_run_that_fails_gives_the_lock_back(lab: Lab) -> None:
    lab("fault", "os-release", "112", "alpine")
    lab.play("ensure-worker-prereqs").assert_failed_with("the distribution is alpine")
    lab("fault", "os-release", "112", "debian13")
    assert holder(lab) == ""


def test_a_removal_that_fails_gives_the_lock_back(lab: Lab) -> None:
    lab.kubectl("run", "naked", "--image=x", "--restart=Never", "--overrides", '{"spec": {"nodeName": "k3s-worker-2"}}')
    lab.play("uninstall-k3s", *arguments(CHANGES["uninstall-k3s"])).assert_failed_with("naked")
    assert holder(lab) == ""
    lab.kubectl("delete", "pod", "naked", "--grace-period=0", "--force")
