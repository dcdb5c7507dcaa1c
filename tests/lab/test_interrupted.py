"""Killed, blocked or disturbed runs: what is left, and that the same command finishes the upgrade."""

from __future__ import annotations

import json

import pytest
from conftest import Lab

BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: vault, namespace: default}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: vault}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: vault, namespace: default}
spec:
  serviceName: vault
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: vault}}
  template:
    metadata: {labels: {app: vault}}
    spec:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - labelSelector: {matchLabels: {app: vault}}
              topologyKey: kubernetes.io/hostname
      containers: [{name: vault, image: vault}]
"""


# After each test, or after all of a class.
@pytest.fixture(autouse=True, scope="class")
def intact(lab: Lab):
    """Flags, environment and tokens are unchanged afterwards, on every node."""
    before = {vmid: lab.installation(vmid) for vmid in (101, 111, 112)}
    yield
    lab("fault", "clear")
    assert {vmid: lab.installation(vmid) for vmid in (101, 111, 112)} == before
    assert not lab.marks()
    agent_units = lab.inside(111, "ls /etc/systemd/system/ | grep '^k3s' | grep -v agent || true")
    assert agent_units.strip() == "", "an agent has grown a server's unit"


@pytest.fixture
def vault(lab: Lab):
    """Two pods whose budget allows no disruption."""
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=BUDGET)

    def ready() -> bool:
        stateful = json.loads(lab.kubectl("get", "statefulset", "vault", "-o", "json"))
        budget = json.loads(lab.kubectl("get", "pdb", "vault", "-o", "json"))
        return stateful["status"].get("readyReplicas") == 2 and budget["status"].get("currentHealthy") == 2

    lab.wait_until("vault being ready", ready)
    yield
    lab.kubectl("delete", "pdb,statefulset", "vault")


def pause_at(lab: Lab, vmid: int, step: str) -> None:
    lab.inside(vmid, f"mkdir -p /etc/lab && echo {step} > /etc/lab/install-pause")


def resume(lab: Lab, vmid: int) -> None:
    lab.inside(vmid, "rm -f /etc/lab/install-pause")


def is_paused(lab: Lab, vmid: int) -> bool:
    """The script's waiting loop sleeps in these steps, and nothing else on a node does."""
    return lab.inside(vmid, "pgrep -f '^sleep 0.1$' || true").strip() != ""


def kill_script(lab: Lab, vmid: int) -> None:
    """By the sleep that it waits in: one that ends meanwhile is followed by the next."""
    script = "p=$(ps -o ppid= -p \"$(pgrep -f '^sleep 0.1$' | head -n 1)\") && [ \"$p\" -gt 1 ] && kill -KILL $p"
    lab.inside(vmid, f"i=0; until {script}; do i=$((i + 1)); [ $i -lt 200 ] || exit 1; done 2>/dev/null")


def assert_finishes(lab: Lab, version: str, *arguments: str) -> None:
    run = lab.upgrade(*arguments)
    assert run.status == 0, run.text
    assert set(lab.versions().values()) == {version}
    assert not lab.cordoned()
    lab.upgrade().assert_unchanged()


def test_a_blocked_drain_stops_the_run_and_uncordons(lab: Lab, vault: None) -> None:
    before = lab.versions()
    lab.offer_next()
    run = lab.upgrade("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_timeout=15")
    run.assert_failed_with("default/vault-", "vault", "allows 0")
    assert lab.versions() == before
    assert not lab.cordoned()


def test_bypasses_the_same_budget_by_default_and_takes_snapshots_on_request(lab: Lab, vault: None) -> None:
    old = "pre-upgrade-20200101T000000Z"
    lab("exec", "--", "pct", "snapshot", "111", old)
    assert_finishes(lab, lab.offer_next(), "-e", "k3s_upgrade_snapshot=true", "-e", "k3s_upgrade_snapshot_keep=1")
    taken = {vmid: lab("exec", "--", "pct", "listsnapshot", str(vmid)) for vmid in (101, 111, 112)}
    assert taken[111].count("pre-upgrade-") == taken[112].count("pre-upgrade-") == 1, taken
    assert old not in taken[111]
    assert "pre-upgrade-" not in taken[101], "a controller's datastore is not put back by a snapshot"


def test_keeps_an_operators_cordon(lab: Lab) -> None:
    version = lab.offer_next()
    lab.kubectl("cordon", "k3s-worker-1")
    run = lab.upgrade()
    assert run.status == 0, run.text
    assert set(lab.versions().values()) == {version}
    assert lab.cordoned() == {"k3s-worker-1"}
    lab.upgrade().assert_unchanged()
    lab.kubectl("uncordon", "k3s-worker-1")


def kill_in_the_drain(lab: Lab, worker: str, remote_too: bool) -> None:
    """The budget of `vault` holds it there."""
    run = lab.begin_upgrade("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_timeout=20")
    lab.wait_until(f"the drain of {worker}", lambda: lab.cordoned() == {worker} and lab.is_module_at_work())
    lab.kill(run, remote_too)


def kill_in_the_install_script(lab: Lab, vmid: int, step: str, remote_too: bool) -> None:
    pause_at(lab, vmid, step)
    run = lab.begin_upgrade()
    lab.wait_until(f"the script's pause in {vmid}", lambda: is_paused(lab, vmid))
    lab.kill(run, remote_too)
    if remote_too:
        kill_script(lab, vmid)
    # Where the module was left at work, it goes on now, and the next run finds it there.
    resume(lab, vmid)


@pytest.fixture(scope="class")
def version(lab: Lab) -> str:
    return lab.offer_next()


class TestAKilledUpgradeIsResumed:
    """One upgrade, killed at one stage after the other: each run goes on with what the previous one left, and comes to the next
    node only when that one is finished."""

    def test_in_the_download_to_all_nodes(self, lab: Lab, version: str) -> None:
        lab("fault", "download", "slow")
        run = lab.begin_upgrade()
        lab.wait_until("the download", lab.reached("Download k3s to the nodes"))
        lab.kill(run, remote_too=True)
        assert not lab.cordoned() and version not in lab.versions().values()
        lab("fault", "download", "none")

    def test_in_the_drain_of_the_first_worker(self, lab: Lab, version: str, vault: None) -> None:
        kill_in_the_drain(lab, "k3s-worker-1", remote_too=True)
        assert version not in lab.versions().values()

    def test_in_the_install_script_of_the_first_worker(self, lab: Lab, version: str) -> None:
        kill_in_the_install_script(lab, 111, "after-delete", remote_too=True)

    def test_in_the_drain_of_the_second_worker_whose_module_works_on(self, lab: Lab, version: str, vault: None) -> None:
        kill_in_the_drain(lab, "k3s-worker-2", remote_too=False)
        assert lab.versions()["k3s-worker-1"] == version

    def test_in_the_install_script_of_the_second_worker_whose_module_works_on(self, lab: Lab, version: str) -> None:
        kill_in_the_install_script(lab, 112, "after-delete", remote_too=False)

    def test_in_the_install_script_of_the_controller(self, lab: Lab, version: str) -> None:
        kill_in_the_install_script(lab, 101, "after-env", remote_too=True)

    def test_to_its_end(self, lab: Lab, version: str) -> None:
        assert_finishes(lab, version)


class TestAnotherRun:
    """One more upgrade, killed before a restart, then met by a second run."""

    def test_resumes_after_a_kill_before_the_restart(self, lab: Lab, version: str) -> None:
        run = lab.begin_upgrade()
        swapped = f"/usr/local/bin/k3s --version | grep -qF '{version}' && echo yes || true"
        lab.wait_until("the new binary on worker 1", lambda: "yes" in lab.inside(111, swapped))
        lab.kill(run, remote_too=True)

    def test_is_refused_while_the_first_one_is_at_work(self, lab: Lab, version: str, vault: None) -> None:
        first = lab.begin_upgrade("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_timeout=300")
        # The first one has been finished.
        lab.wait_until("the drain of the second worker", lambda: lab.cordoned() == {"k3s-worker-2"})
        assert lab.versions()["k3s-worker-1"] == version
        lab.upgrade().assert_failed_with("the cluster is held by")
        lab.kill(first, remote_too=True)
        assert_finishes(lab, version)
