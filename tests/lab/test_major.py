"""Workers of a new generation in place of old ones: what is refused, the plan, and a run that is killed at every stage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Lab, Run, lab_with

OLD, NEW, DEBIAN = "k3s-worker-1", "k3s-worker-3", "k3s-worker-4"
PROFILE = "k3s/vars/major-upgrade/rocky10.yaml"
GIVEN_UP = ("-e", "k3s_canary_stop_old_agent=true", "-e", "k3s_canary_delete_old_node=true")
# Containers have the cgroups of the machine, and not every machine for tests has version 2.
HERE = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1

# Two pods a node, so that there is something on each; the budget makes a drain wait.
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
        lab.kubectl("apply", "--validate=false", "-f", "-", stdin=WEB)
        lab.wait_until("web being ready", lambda: ready(lab) == 6)
        yield lab


def ready(lab: Lab) -> int:
    return json.loads(lab.kubectl("get", "deployment", "web", "-o", "json"))["status"].get("readyReplicas", 0)


def on(lab: Lab, node: str) -> list[str]:
    """The pods of `web` on a node."""
    pods = json.loads(lab.kubectl("get", "pods", "-l", "app=web", "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]


def profile(lab: Lab, **changes: object) -> tuple[str, str]:
    """The profile of Rocky 10, on this machine's cgroups, and as it is changed."""
    known = yaml.safe_load((ROOT / PROFILE).read_text())["k3s_prereqs_profile"]
    file = lab.folder / "profile.yaml"
    file.write_text(yaml.safe_dump({"k3s_prereqs_profile": known | {"cgroup_version": HERE} | changes}))
    return ("-e", f"@{file}")


def pair(old: str, new: str) -> tuple[str, ...]:
    return ("-e", f"k3s_upgrade_canary_old_worker_host={old}", "-e", f"k3s_upgrade_canary_new_worker_host={new}")


def guide(lab: Lab) -> tuple[str, ...]:
    """The command as the guide has it; a machine with cgroup v1 needs a word more."""
    return ("-e", f"@{PROFILE}", *pair(OLD, NEW), *(profile(lab) if HERE == 1 else ()))


def upgrade(lab: Lab, *arguments: str) -> Run:
    return lab.play("k3s-major-upgrade", *guide(lab), *arguments)


def touched(lab: Lab, vmid: int) -> str:
    """What a run would have left in an empty container."""
    return lab.inside(vmid, "cat /var/lib/lab/packages.log /etc/systemd/system/k3s-agent.service 2>/dev/null; ls -A /dev/kmsg 2>/dev/null; true")


@pytest.fixture
def untouched(lab: Lab) -> Iterator[Lab]:
    before = sorted(on(lab, OLD))
    yield lab
    assert set(lab.nodes()) == {"k3s-controller-1", OLD, "k3s-worker-2"}
    assert sorted(on(lab, OLD)) == before and before
    assert not lab.cordoned() and not lab.marks()
    assert touched(lab, 113) == touched(lab, 114) == ""


def test_pairs_that_cannot_be_meant_are_refused(untouched: Lab) -> None:
    rocky = profile(untouched)

    def refused(*arguments: str) -> Run:
        return untouched.play("k3s-major-upgrade", *arguments)

    refused(*rocky).assert_failed_with("Which workers?", "k3s_upgrade_canary_old_worker_host", NEW)
    refused(*rocky, *pair(OLD, "k3s-worker-9")).assert_failed_with('"k3s-worker-9"', "k3s_workers")
    refused(*rocky, *pair(OLD, OLD)).assert_failed_with("none can take over from itself")
    pairs = {"k3s_upgrade_canary_pairs": [{"old": OLD, "new": NEW}, {"old": "k3s-worker-2", "new": NEW}]}
    refused(*rocky, "-e", json.dumps(pairs)).assert_failed_with("every worker has one turn")
    refused(*rocky, "-e", json.dumps(pairs), *pair(OLD, NEW)).assert_failed_with("Give the pairs, or the two workers of one")
    refused(*rocky, "-e", "k3s_upgrade_canary_pairs=[]").assert_failed_with("k3s_upgrade_canary_pairs is a text")
    refused(*rocky, *pair(OLD, NEW), *GIVEN_UP[:2]).assert_failed_with("both here, or none of them")
    refused(*rocky, *pair(OLD, NEW), "-e", f"k3s_canary_new_worker_host={DEBIAN}").assert_failed_with("Leave them out here")


def test_a_generation_that_is_not_there_is_refused(untouched: Lab) -> None:
    def refused(*arguments: str) -> Run:
        return untouched.play("k3s-major-upgrade", *pair(OLD, NEW), *arguments)

    refused().assert_failed_with("To which generation?", "names no os_id and os_version")
    refused(*profile(untouched, os_vresion="10")).assert_failed_with("has os_vresion, which is unknown")
    refused(*profile(untouched, cgroup_version=3 - HERE)).assert_failed_with("(profile)", "cgroup")
    refused(*profile(untouched, min_kernel="99.1")).assert_failed_with("(profile)", "99.1")
    # One wrong one of several pairs, and no worker is touched.
    pairs = {"k3s_upgrade_canary_pairs": [{"old": OLD, "new": NEW}, {"old": "k3s-worker-2", "new": DEBIAN}]}
    wrong = untouched.play("k3s-major-upgrade", *profile(untouched), "-e", json.dumps(pairs))
    wrong.assert_failed_with(DEBIAN, "the distribution is debian, and has to be rocky")


def test_swapped_workers_are_refused(untouched: Lab) -> None:
    swapped = untouched.play("k3s-major-upgrade", *profile(untouched), *pair(NEW, OLD))
    swapped.assert_failed_with(f"the cluster has no node {NEW}, which is to be the old one")


def test_check_mode_says_the_plan_of_all_stages(untouched: Lab) -> None:
    run = upgrade(untouched, "--check", *GIVEN_UP)
    assert run.status == 0, run.text
    stages = (
        f"1. what {NEW} needs: install nfs-utils",
        "2. its joining: joins the cluster",
        f"3. the cutover from {OLD}: {len(on(untouched, OLD))} pods move",
        f"4. clean-up of {OLD}: its agent is stopped",
        "5. the cluster's health",
    )
    for words in stages:
        assert words in run.text, run.text


def killed(lab: Lab, what: str, reached, *arguments: str) -> None:
    run = lab.begin("k3s-major-upgrade", *guide(lab), *arguments)
    lab.wait_until(what, reached)
    lab.kill(run, remote_too=True)


def test_killed_at_every_stage_the_same_command_resumes(lab: Lab) -> None:
    lab("fault", "packages", "113", "hang")
    killed(lab, "the package manager", lambda: "nfs-utils" in touched(lab, 113))
    lab("fault", "packages", "113", "none")
    # The next run waits for a package manager that is still at work.
    lab("fault", "kill", "113", "sleep 600")

    record = "test -f /var/lib/homelab-k3s/install-record.json && echo yes; true"
    killed(lab, "the installation", lambda: lab.inside(113, record).strip() == "yes")
    assert not lab.cordoned()

    slowly = ("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_evict_timeout=60")
    killed(lab, "the drain", lambda: OLD in lab.cordoned(), *slowly)

    done = upgrade(lab)
    assert done.status == 0, done.text
    assert lab.cordoned() == {OLD}
    assert not on(lab, OLD) and on(lab, NEW) and ready(lab) == 6


def test_killed_in_the_clean_up_the_same_command_resumes(lab: Lab) -> None:
    active = "systemctl is-active k3s-agent || true"
    killed(lab, "the agent's end", lambda: "inactive" in lab.inside(111, active), *GIVEN_UP)
    assert OLD in lab.nodes()
    done = upgrade(lab, *GIVEN_UP)
    assert done.status == 0, done.text
    assert OLD not in lab.nodes()
    assert not lab.cordoned() and not lab.marks() and ready(lab) == 6
    upgrade(lab, *GIVEN_UP).assert_unchanged()
