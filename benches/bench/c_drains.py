# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(c) The drain of a node: `kubectl drain` and `node_drain` in turn, of the same node and the same pods."""

from __future__ import annotations

import json
import shlex
import subprocess

from bench.a_tasks import first_container
from bench.lab import PROGRAMS, Lab, Labs, wait_until
from bench.rows import Report, Row

TITLE = "The drain of a node"
ABOUT = """Pods of one node, drained on the Proxmox host by `kubectl drain` and by `node_drain` in turn. Each time all of them are ready
again before the next drain."""
# A worker of the lab takes 50 pods, and one of them is of a DaemonSet.
PODS = (10, 49)
NODE = "k3s-worker-1"
TARGET = 1.1
OURS = "node_drain"
NAME = "bench-drain"


def measure(report: Report, labs: Labs, rounds: int) -> None:
    lab = labs.get()
    if lab is None:
        report.note("the lab that is up is not one of a controller and two workers")
        return
    report.note(why_no_k8s_drain())
    try:
        for pods in PODS:
            drain_in_turn(report, lab, pods, rounds)
    finally:
        lab.kubectl("delete", "deployment", NAME, "--ignore-not-found")


def why_no_k8s_drain() -> str:
    command = ["ansible-galaxy", "collection", "list", "kubernetes.core"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if "kubernetes.core " in found.stdout:
        return "k8s_drain of kubernetes.core: it needs a kubeconfig and Python's kubernetes on the control node"
    return "k8s_drain of kubernetes.core: the collection is not installed on this machine"


def drain_in_turn(report: Report, lab: Lab, pods: int, rounds: int) -> None:
    deploy(lab, pods)
    vmid = first_container(lab)
    times: dict[str, list[float]] = {"kubectl drain": [], OURS: []}
    for _round in range(rounds):
        for name, commands in methods(vmid).items():
            wait_until(f"{pods} pods are ready", lambda: ready(lab) == pods)
            times[name].append(timed(lab, commands["drain"]))
            lab.on_host(commands["uncordon"])
    group = f"a drain of {pods} pods"
    kubectl, ours = (report.add(Row(group, name, "s", taken, ours=name == OURS)) for name, taken in times.items())
    report.compare(ours, [(kubectl, TARGET)])


def methods(vmid: int) -> dict[str, dict[str, str]]:
    kubectl = f"pct exec {vmid} -- /usr/local/bin/k3s kubectl"
    return {
        "kubectl drain": {
            "drain": f"{kubectl} drain {NODE} --ignore-daemonsets --delete-emptydir-data",
            "uncordon": f"{kubectl} uncordon {NODE}",
        },
        OURS: {
            "drain": module(vmid, state="drained", delete_emptydir_data=True),
            "uncordon": module(vmid, state="uncordoned"),
        },
    }


def module(vmid: int, **options: str | bool) -> str:
    arguments = json.dumps({"vmid": vmid, "node": NODE, **options})
    return f"echo {shlex.quote(arguments)} | {PROGRAMS}/node_drain -"


def timed(lab: Lab, command: str) -> float:
    """Its seconds on the Proxmox host."""
    script = f"a=$(date +%s%N); {{ {command}; }} >/dev/null 2>&1; b=$(date +%s%N); echo $((b - a))"
    return int(lab.on_host(script)) / 1e9


def deploy(lab: Lab, pods: int) -> None:
    """Pods of this one node: while it is cordoned they have no other, and return to it afterwards."""
    labels = {"app": NAME}
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "containers": [{"name": "app", "image": "docker.io/homelab/pod:1"}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(deployment))


def ready(lab: Lab) -> int:
    """Also pods that still end count, so that a round begins when those of the one before are gone."""
    selected = lab.kubectl("get", "pods", "--selector", f"app={NAME}", "-o", "json")
    pods = json.loads(selected)["items"]
    well = sum(is_ready(pod) for pod in pods)
    return well if well == len(pods) else -1


def is_ready(pod: dict) -> bool:
    conditions = pod["status"].get("conditions", [])
    ends = "deletionTimestamp" in pod["metadata"]
    return not ends and any(has["type"] == "Ready" and has["status"] == "True" for has in conditions)
