# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(f) A task on 3, 50 and 500 nodes: `command` with `pct exec`, and `pct_exec`, in turn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench import plays
from bench.a_tasks import OURS, first_container
from bench.lab import WORK, Lab, Labs, inventory
from bench.rows import Report, Row

TITLE = "A task as nodes grow"
ABOUT = """A task of a play on that many nodes, all of one Proxmox host, with Ansible's own number of forks. They share one container,
which only answers. What counts is a node's share of the task, and that it does not grow with their number."""
SIZES = (3, 50, 500)
# A share of command's, with pipelining; and of the share of a tenth of the nodes.
TARGET, GROWTH = 0.5, 1.25
OTHER = "command"


def measure(report: Report, labs: Labs, rounds: int) -> None:
    lab = labs.get()
    if lab is None:
        report.note("the lab that is up is not one of a controller and two workers")
        return
    # The largest takes minutes, and is an average of many nodes already.
    shares = [of_size(report, lab, nodes, 1 if nodes == SIZES[-1] else rounds) for nodes in SIZES]
    # Of three nodes the first forks are most of it.
    growth = shares[-1].median / shares[-2].median
    report.add(Row("pct_exec: a node's share", f"of {SIZES[-1]} / of {SIZES[-2]}", "×", [growth], GROWTH))


def of_size(report: Report, lab: Lab, nodes: int, rounds: int) -> Row:
    """The rows of the share of a node; returned is that of ours."""
    many = replace(lab, inventory=write_inventory(lab, nodes))
    book = plays.write_book("nodes", [{"hosts": "nodes", "gather_facts": False, "tasks": tasks(first_container(lab))}])
    runs = [plays.play(many, book) for _round in range(rounds)]
    rows = {}
    for name in (OTHER, OURS):
        # The last node's answer ends the task.
        share = [max(run.times(name)) * 1000 / nodes for run in runs]
        rows[name] = report.add(Row(f"a node of {nodes}", name, "ms", share, ours=name == OURS))
    report.compare(rows[OURS], [(rows[OTHER], TARGET)])
    return rows[OURS]


def write_inventory(lab: Lab, nodes: int) -> Path:
    """The lab's Proxmox host, and nodes that are only names."""
    host = inventory(lab.inventory)["_meta"]["hostvars"]["pve1"]
    names = {f"node-{number}": {} for number in range(nodes)}
    path = WORK / f"nodes-{nodes}.json"
    path.write_text(json.dumps({"all": {"hosts": {"pve1": host}, "children": {"nodes": {"hosts": names}}}}))
    return path


def tasks(vmid: int) -> list[dict]:
    kinds = {
        OTHER: {"ansible.builtin.command": {"argv": ["pct", "exec", str(vmid), "--", "true"]}},
        OURS: {"homelab.k3s.pct_exec": {"vmid": vmid, "argv": ["true"]}},
    }
    # The first of each opens the connection and sends the program.
    warm = [{"name": "warm", "run_once": True, "delegate_to": "pve1", **task} for task in kinds.values()]
    return [*warm, *({"name": name, "delegate_to": "pve1", **task} for name, task in kinds.items())]
