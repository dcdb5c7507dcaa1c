# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(e) `cluster_health` and `upgrade_plan` on clusters of 50 to 5,000 nodes, behind a kubectl of a few lines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.lab import PROGRAMS, ROOT, WORK, Labs
from bench.rows import Report, Row

TITLE = "Large clusters"
ABOUT = """A program of a few lines answers in the API server's stead, with 20 pods for each node and 12 kB for each object of a node. Counted
is the module's own processor time, without that of the kubectls that it starts; a size in memory below 9 MiB is that of what starts it.
A node's share must not grow with the cluster."""
PODS_OF_A_NODE = 20
LEAN = Path(__file__).with_name("lean.py")
# Nodes, seconds and MiB.
SIZES = ((50, None, None), (500, 1.0, 64.0), (5_000, 10.0, 256.0))
# A node of a cluster ten times as large costs no more, but for what two measurements differ by.
GROWTH = 1.25


@dataclass
class Look:
    """The program's own processor time, without that of the kubectls that it starts; memory of the largest of them all."""

    seconds: float
    mebibytes: float
    requests: int = 0


def measure(report: Report, labs: Labs, rounds: int) -> None:
    of_module(report, "cluster_health", check_health, rounds)
    of_module(report, "upgrade_plan", plan_upgrade, rounds)


def of_module(report: Report, module: str, look: Callable[[int], Look], rounds: int) -> None:
    costs = []
    for nodes, most_seconds, most_memory in SIZES:
        group = f"{module}, {nodes:,} nodes, {nodes * PODS_OF_A_NODE:,} pods"
        looks = [look(nodes) for _round in range(rounds)]
        report.add(Row(group, "its own processor time", "s", [it.seconds for it in looks], most_seconds))
        report.add(Row(group, "its largest size in memory", "MiB", [it.mebibytes for it in looks], most_memory))
        if looks[0].requests:
            report.add(Row(group, "requests to the API", "", [it.requests for it in looks]))
        each = [it.seconds * 1000 / nodes for it in looks]
        costs.append(report.add(Row(f"{module}: a node's share", f"of {nodes:,}", "ms", each, at=nodes)))
    for smaller, larger in zip(costs, costs[1:], strict=False):
        growth = [a / b for a, b in zip(larger.samples, smaller.samples, strict=True)]
        report.add(Row(larger.group, f"{larger.name} / {smaller.name}", "×", growth, GROWTH))


def check_health(nodes: int) -> Look:
    folder = WORK / f"cluster-of-{nodes}"
    folder.mkdir(parents=True, exist_ok=True)
    kubectl, calls = folder / "kubectl", folder / "calls"
    shutil.copy(ROOT / "modules/cluster_health/tests/big-cluster.sh", kubectl)
    kubectl.chmod(0o755)
    calls.unlink(missing_ok=True)
    command = ["env", f"NODES={nodes}", f"CALLS={calls}", str(kubectl)]
    answer, look = run("cluster_health", {"kubectl": command, "data_dir": str(folder), "fail_on": "never"})
    if answer.get("counts", {}).get("pods") != nodes * PODS_OF_A_NODE:
        raise RuntimeError(f"cluster_health did not see every pod: {answer.get('counts', answer)}")
    look.requests = len(calls.read_text().splitlines())
    return look


def plan_upgrade(nodes: int) -> Look:
    answer, look = run("upgrade_plan", {"target": "v1.36.3+k3s1", "nodes": [node(number) for number in range(nodes)]})
    if len(answer.get("turns", [])) != nodes:
        raise RuntimeError(f"upgrade_plan did not plan every node: {answer.get('msg', answer)}")
    return look


def node(number: int) -> dict:
    """As the playbook passes it: the results of three modules, the drain's with a verdict on each pod."""
    verdicts = [
        {"namespace": "apps", "name": f"web-{number}-{pod}", "uid": "u", "verdict": "evict", "reason": "a ReplicaSet's"}
        for pod in range(PODS_OF_A_NODE)
    ]
    return {
        "host": f"node-{number}",
        "role": "agent" if number else "server",
        "node_name": f"node-{number}",
        "pve_host": "pve1",
        "vmid": 100 + number,
        "version": {
            "changed": False,
            "installed": "v1.36.2+k3s1",
            "running": "v1.36.2+k3s1",
            "upgrade_required": True,
            "hop": "patch",
            "refusals": [],
        },
        "install": {"changed": True, "actions": ["restart k3s"]},
        "drain": {"changed": True, "cordoned_by": {"before": "none"}, "pods": verdicts},
    }


def run(module: str, arguments: dict) -> tuple[dict, Look]:
    given, usage = WORK / "arguments.json", WORK / "usage"
    given.write_text(json.dumps(arguments))
    command = [sys.executable, "-IS", LEAN, usage, PROGRAMS / module, "-"]
    with given.open() as stdin:
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, check=True)
    seconds, mebibytes = map(float, usage.read_text().split())
    return json.loads(done.stdout), Look(seconds, mebibytes)
