"""Workers on a new operating system replace old ones: refusals, the plan, and a run that is killed, or fails, at every stage.

The tests are steps of one upgrade: each starts from the state of the previous one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import HELD, ROOT, Lab, Run, lab_with
from test_interrupted import is_paused, kill_script

OLD, OTHER, NEW, SECOND = "k3s-worker-1", "k3s-worker-2", "k3s-worker-3", "k3s-worker-4"
PROFILE = "k3s/vars/major-upgrade/rocky10.yaml"
GIVEN_UP = ("-e", "k3s_canary_stop_old_agent=true", "-e", "k3s_canary_delete_old_node=true")
# Containers have the cgroups of the machine, and not every machine for tests has version 2.
HERE = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1

# Two pods of `web` a node, so that there is something on each; its budget makes a drain wait. `frail` has to move to the new one.
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: frail, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: frail}}
  template:
    metadata: {labels: {app: frail}}
    spec:
      containers: [{name: frail, image: frail}]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions:
                  - {key: kubernetes.io/hostname, operator: NotIn, values: [k3s-controller-1, k3s-worker-2]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec:
  minAvailable: 6
  selector: {matchLabels: {app: web}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One controller, two workers, two empty containers: Rocky 10 by its name, and Debian."""
    options = ("--controllers", "1", "--workers", "4", "--empty", "113,114", "--time-factor", "10")
    for lab in lab_with(tmp_path_factory.mktemp("lab"), *options):
        lab("fault", "os-release", "113", "rocky10")
        lab("fault", "os-release", "114", "debian13")
        lab.kubectl("apply", "--validate=false", "-f", "-", stdin=WEB)
        lab.wait_until("web being ready", lambda: ready(lab) == 6)
        yield lab


def ready(lab: Lab) -> int:
    return json.loads(lab.kubectl("get", "deployment", "web", "-o", "json"))["status"].get("readyReplicas", 0)


def on(lab: Lab, node: str, app: str = "web") -> list[str]:
    """The pods of a workload on a node."""
    pods = json.loads(lab.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]


def condition(lab: Lab, node: str, name: str) -> str:
    conditions = {it["type"]: it["status"] for it in lab.nodes()[node]["status"]["conditions"]}
    return conditions.get(name, "")


def report(lab: Lab, node: str, name: str, status: str) -> None:
    """Lets a kubelet report a condition, and waits until the API shows it."""
    lab("fault", "node-condition", node, name, status)
    lab.wait_until(f"{name} of {node}", lambda: condition(lab, node, name) == status)


def profile(lab: Lab, **changes: object) -> tuple[str, str]:
    """A copy of the profile of Rocky 10 with other lines, first for this machine's cgroups."""
    text = (ROOT / PROFILE).read_text()
    for option, value in ({"cgroup_version": HERE} | changes).items():
        text, found = re.subn(rf"(?m)^  {option}: .*$", f"  {option}: {json.dumps(value)}", text)
        assert found == 1, option
    file = lab.folder / "profile.yaml"
    file.write_text(text)
    return ("-e", f"@{file}")


def pair(old: str, new: str) -> tuple[str, ...]:
    return ("-e", f"k3s_upgrade_canary_old_worker_host={old}", "-e", f"k3s_upgrade_canary_new_worker_host={new}")


def pairs(*pairs: tuple[str, str]) -> tuple[str, str]:
    return ("-e", json.dumps({"k3s_upgrade_canary_pairs": [{"old": old, "new": new} for old, new in pairs]}))


def guide(lab: Lab) -> tuple[str, ...]:
    """The documented command, with a profile that this machine matches."""
    return (*profile(lab), *pair(OLD, NEW))


def all_given_up(lab: Lab) -> tuple[str, ...]:
    return (*profile(lab), *pairs((OLD, NEW), (OTHER, SECOND)), *GIVEN_UP)


def upgrade(lab: Lab, *arguments: str) -> Run:
    return lab.play("k3s-major-upgrade", *arguments)


def begin(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    return lab.begin("k3s-major-upgrade", *arguments)


def kill_at(lab: Lab, what: str, reached: Callable[[], bool], *arguments: str) -> None:
    run = begin(lab, *arguments)
    lab.wait_until(what, reached)
    lab.kill(run, remote_too=True)


def kill_before(lab: Lab, task: str, *arguments: str) -> None:
    run = begin(lab, *arguments)
    lab.hold_before(task)
    lab.kill(run, remote_too=True)


def is_running(lab: Lab, vmid: int) -> bool:
    return "running" in lab("exec", "--", "pct", "status", str(vmid))


def touched(lab: Lab, vmid: int) -> str:
    """What a run would have left in an empty container."""
    return lab.inside(vmid, "cat /var/lib/lab/packages.log /etc/systemd/system/k3s-agent.service 2>/dev/null; ls -A /dev/kmsg 2>/dev/null; true")


@pytest.fixture
def untouched(lab: Lab) -> Iterator[Lab]:
    before = sorted(on(lab, OLD))
    yield lab
    assert set(lab.nodes()) == {"k3s-controller-1", OLD, OTHER}
    assert sorted(on(lab, OLD)) == before and before
    assert not lab.cordoned() and not lab.marks()
    assert touched(lab, 113) == touched(lab, 114) == ""


def test_refuses_invalid_pairs(untouched: Lab) -> None:
    rocky = profile(untouched)

    def refused(*arguments: str) -> Run:
        return upgrade(untouched, *rocky, *arguments)

    refused().assert_failed_with("is not in the group k3s_workers", "k3s_upgrade_canary_old_worker_host", NEW)
    refused(*pair(OLD, "k3s-worker-9")).assert_failed_with('"k3s-worker-9"', "k3s_workers")
    refused(*pair(OLD, OLD)).assert_failed_with("a worker is named twice")
    twice = pairs((OLD, NEW), (OTHER, NEW))
    refused(*twice).assert_failed_with("a worker is named twice")
    refused(*twice, *pair(OLD, NEW)).assert_failed_with("Set either the pairs, or the two workers of one pair")
    refused("-e", "k3s_upgrade_canary_pairs=[]").assert_failed_with('k3s_upgrade_canary_pairs (given with -e) is "[]", and has to be a list')
    refused(*pair(OLD, NEW), *GIVEN_UP[:2]).assert_failed_with("both here, or none of them")
    refused(*pair(OLD, NEW), "-e", f"k3s_canary_new_worker_host={SECOND}").assert_failed_with("Omit them here")


def test_refuses_an_incomplete_or_wrong_profile(untouched: Lab) -> None:
    def refused(*arguments: str) -> Run:
        return upgrade(untouched, *pair(OLD, NEW), *arguments)

    refused().assert_failed_with("k3s_prereqs_profile has no os_id and os_version")
    refused("-e", '{"k3s_prereqs_profile": {"os_id": "rocky", "os_version": "10", "os_vresion": "10"}}').assert_failed_with(
        "has os_vresion, which is unknown"
    )
    # Two lines that do not match are reported at once.
    refused(*profile(untouched, cgroup_version=3 - HERE, min_kernel="99.1")).assert_failed_with(
        f"{NEW}: profile: ", f"cgroup_version: the version of cgroups is {HERE}, and has to be {3 - HERE}", "min_kernel: the kernel is", "99.1"
    )
    # One wrong one of several pairs, and no worker is touched.
    wrong = upgrade(untouched, *profile(untouched), *pairs((OLD, NEW), (OTHER, SECOND)))
    wrong.assert_failed_with(SECOND, "os_id: the distribution is debian, and has to be rocky", "os_version: its version is 13")


def test_refuses_swapped_workers(untouched: Lab) -> None:
    swapped = upgrade(untouched, *profile(untouched), *pair(NEW, OLD))
    swapped.assert_failed_with(f"the cluster has no node {NEW}, which is to be the old one")


def test_a_major_upgrade_refuses_a_held_lock(untouched: Lab, held: None) -> None:
    upgrade(untouched, *guide(untouched)).assert_failed_with(*HELD)


def test_check_mode_shows_the_plan_of_all_stages(untouched: Lab) -> None:
    check = ("-e", f"@{PROFILE}", *pair(OLD, NEW), *GIVEN_UP, "--check")
    run = upgrade(untouched, *check)
    if HERE == 1:
        # The profile requires what this machine lacks; nothing else is refused.
        run.assert_failed_with(f"{NEW}: profile: cgroup_version: the version of cgroups is 1, and has to be 2")
        assert "os_id" not in run.text and "min_kernel" not in run.text
        run = upgrade(untouched, *profile(untouched), *check[2:])
    assert run.status == 0, run.text
    stages = (
        f"1. prerequisites of {NEW}: install nfs-utils",
        "2. join: join the cluster",
        f"3. cutover from {OLD}: {len(on(untouched, OLD)) + 1} pods move",
        f"4. clean-up of {OLD}: stop and disable its agent",
        "5. health check of the cluster",
    )
    for words in stages:
        assert words in run.text, run.text


def test_only_a_run_starts_a_stopped_container(lab: Lab) -> None:
    lab("fault", "packages", "113", "hang")
    lab("fault", "stop", "113")
    planned = upgrade(lab, *guide(lab), "--check")
    planned.assert_unchanged()
    assert f"1. prerequisites of {NEW}: its container is stopped" in planned.text, planned.text
    assert not is_running(lab, 113)

    def installing() -> bool:
        return lab.reached("Install the missing prerequisites")() and "nfs-utils" in touched(lab, 113)

    kill_at(lab, "the package manager", installing, *guide(lab))
    lab("fault", "packages", "113", "none")
    # The next run waits for a package manager that is still at work.
    lab("fault", "kill", "113", "sleep 600")


def test_a_kill_in_the_install_script_joins_no_node(lab: Lab) -> None:
    lab("fault", "pause-install", "113", "after-env")
    kill_at(lab, "the script's pause", lambda: is_paused(lab, 113), *guide(lab))
    kill_script(lab, 113)
    lab("fault", "pause-install", "113", "none")
    assert NEW not in lab.nodes() and not lab.cordoned()


def test_an_unready_new_node_stops_the_run(lab: Lab) -> None:
    with lab.without_downloads(lab.versions()["k3s-controller-1"]) as files:
        run = begin(lab, *guide(lab), "-e", "k3s_upgrade_health_wait=3", *files)
        lab.hold_in("Install k3s and wait")
        # The record of an installation goes when its proof is complete.
        proven = "test -f /var/lib/homelab-k3s/install-record.json && echo not yet; true"
        lab.wait_until("the proof", lambda: NEW in lab.nodes() and condition(lab, NEW, "Ready") == "True" and not lab.inside(113, proven))
    report(lab, NEW, "Ready", "False")
    lab.go_on(run).assert_failed_with(
        "has stopped in stage 2, join",
        f"Node {NEW}: NotReady",
        f"{NEW} has joined; {OLD} works as before",
        "run the same command again",
    )
    assert not lab.cordoned() and not lab.marks() and on(lab, OLD)
    report(lab, NEW, "Ready", "True")


def test_a_kill_between_join_and_cutover_moves_no_pod(lab: Lab) -> None:
    kill_before(lab, "Cut over from the old worker", *guide(lab))
    assert NEW in lab.nodes() and not lab.cordoned() and on(lab, OLD)


def spoil(lab: Lab, fails: str | None) -> None:
    """Changes its next pods, not the running ones."""
    change = {"spec": {"template": {"metadata": {"annotations": {"lab/fails": fails}}}}}
    lab.kubectl("patch", "replicaset", "frail", "--type=merge", "-p", json.dumps(change))


def test_a_workload_that_fails_after_the_cutover_stops_the_run(lab: Lab) -> None:
    assert on(lab, OLD, "frail")
    spoil(lab, "crash")
    run = upgrade(lab, *guide(lab), "-e", "k3s_canary_wait=5")
    run.assert_failed_with(
        "has stopped in stage 3, cutover",
        "default/frail",
        "the node takes pods",
        "the other nodes are uncordoned as before",
        "run the same command again",
    )
    assert not lab.cordoned() and not lab.marks()
    spoil(lab, None)
    lab.kubectl("delete", "pods", "-l", "app=frail", "--wait=false")


def test_a_kill_in_the_drain_keeps_the_cordon(lab: Lab) -> None:
    # What has moved comes back first, so that there is something to drain.
    lab.kubectl("cordon", NEW)
    lab.kubectl("delete", "pods", "-l", "app=web", "--wait=false")
    lab.wait_until("web being back", lambda: bool(on(lab, OLD)) and ready(lab) == 6)
    lab.kubectl("uncordon", NEW)
    slowly = ("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_evict_timeout=60")
    kill_at(lab, "the drain", lambda: OLD in lab.cordoned(), *guide(lab), *slowly)


def test_a_problem_after_the_cutover_stops_the_run(lab: Lab) -> None:
    run = begin(lab, *guide(lab), "-e", "k3s_upgrade_health_wait=3")
    lab.hold_in("Drain the old worker")
    report(lab, OTHER, "MemoryPressure", "True")
    lab.go_on(run).assert_failed_with(
        "has stopped in stage 3, cutover", "MemoryPressure", "the node takes pods", "the other nodes are uncordoned as before"
    )
    assert not lab.cordoned() and not lab.marks()
    report(lab, OTHER, "MemoryPressure", "False")


def test_the_same_command_finishes_and_shows_no_secret(lab: Lab) -> None:
    done = upgrade(lab, *guide(lab), "-vvv", "--diff")
    assert done.status == 0, done.text[-4000:]
    lab.assert_no_secret_in(done)
    assert lab.cordoned() == {OLD}
    assert not on(lab, OLD) and on(lab, NEW) and ready(lab) == 6


def test_a_kill_before_the_deletion_keeps_the_node(lab: Lab) -> None:
    lab("fault", "os-release", "114", "rocky10")
    kill_before(lab, "Remove the old worker's Node", *all_given_up(lab))
    assert "inactive" in lab.inside(111, "systemctl is-active k3s-agent || true")
    assert OLD in lab.nodes()
    # The next run begins at once, and may meet its loss.


def test_a_problem_after_the_clean_up_stops_the_run(lab: Lab) -> None:
    run = begin(lab, *all_given_up(lab), "-e", "k3s_upgrade_health_wait=3")
    lab.hold_in("Remove the old worker's Node")
    report(lab, OTHER, "MemoryPressure", "True")
    lab.go_on(run).assert_failed_with(
        "has stopped in stage 4, clean-up", "MemoryPressure", f"{NEW} has taken over, and the Node of {OLD} is removed"
    )
    assert OLD not in lab.nodes() and not lab.cordoned() and touched(lab, 114) == ""
    report(lab, OTHER, "MemoryPressure", "False")


def test_a_kill_between_pairs_leaves_the_next_pair(lab: Lab) -> None:
    turn = "PLAY [Upgrade the pairs, one at a time]"
    log = lab.folder / "interrupted.log"
    kill_at(lab, "the second pair's turn", lambda: log.read_text().count(turn) == 2, *all_given_up(lab))
    assert touched(lab, 114) == "" and not lab.cordoned()


def test_the_same_command_finishes_all_pairs_and_check_mode_agrees(lab: Lab) -> None:
    done = upgrade(lab, *all_given_up(lab))
    assert done.status == 0, done.text
    assert set(lab.nodes()) == {"k3s-controller-1", NEW, SECOND}
    assert not lab.cordoned() and not lab.marks() and ready(lab) == 6
    upgrade(lab, *all_given_up(lab), "--check").assert_unchanged()
