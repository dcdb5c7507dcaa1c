# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(a) One task over ssh, alone and in a loop: `command` and `raw` with `pct exec`, and `pct_exec`, near and at 20 ms."""

from __future__ import annotations

import json

from bench import plays
from bench.lab import PROGRAMS, Lab, Labs, inventory
from bench.relay import relay
from bench.rows import Report, Row

TITLE = "One task over ssh"
ABOUT = """`pct exec` of `true` in a container: by `ansible.builtin.command`, by `ansible.builtin.raw`, and by `pct_exec`, in turn in one
play. A loop shows what an item costs once everything is warm. At 20 ms the bytes between Ansible and the Proxmox host pass a relay that
holds them for 10 ms in each direction. Ratios are those of neighbours in the play."""
TASKS = 10
ITEMS = 20
ROUND_TRIP = 0.020
OURS = "pct_exec"
# Without the check of the kept program's hash: what that costs.
UNVERIFIED = "pct_exec, verify: never"
# Of pct_exec, as a share of the other's; `command` costs less with pipelining.
TARGETS = {"command": {False: 0.2, True: 0.5}, "raw": {False: 1.5, True: 1.5}}


def measure(report: Report, labs: Labs, rounds: int) -> None:
    lab = labs.get()
    if lab is None:
        report.note("the lab that is up is not one of a controller and two workers")
        return
    vmid = first_container(lab)
    on_the_host(report, lab, vmid, TASKS * rounds)
    for distance, way in (("near", None), ("20 ms", ROUND_TRIP)):
        for pipelining in (False, True):
            over_ssh(report, lab, vmid, rounds, distance, way, pipelining)


def first_container(lab: Lab) -> int:
    hosts = inventory(lab.inventory)
    return int(hosts["_meta"]["hostvars"][hosts["k3s_controllers"]["hosts"][0]]["pct_id"])


def on_the_host(report: Report, lab: Lab, vmid: int, times: int) -> None:
    """What `pct_exec` adds to the `pct exec` that it runs, without Ansible and ssh."""
    arguments = json.dumps({"vmid": vmid, "argv": ["true"]})
    script = f"""
    i=0
    while [ $i -lt {times} ]; do
      a=$(date +%s%N); pct exec {vmid} -- true; b=$(date +%s%N)
      echo '{arguments}' | {PROGRAMS}/pct_exec - >/dev/null; c=$(date +%s%N)
      echo $((b - a)) $((c - b)); i=$((i + 1))
    done"""
    pairs = [[int(number) / 1e6 for number in line.split()] for line in lab.on_host(script).splitlines()]
    group = "on the Proxmox host, without ssh"
    plain = report.add(Row(group, "pct exec", "ms", [pair[0] for pair in pairs]))
    ours = report.add(Row(group, OURS, "ms", [pair[1] for pair in pairs], ours=True))
    added = [a - b for a, b in zip(ours.samples, plain.samples, strict=True)]
    report.add(Row(group, "added by pct_exec", "ms", added, target=15))


def over_ssh(
    report: Report, lab: Lab, vmid: int, rounds: int, distance: str, way: float | None, pipelining: bool
) -> None:
    book = plays.write_book("tasks", [{"hosts": "pve[0]", "gather_facts": False, "tasks": tasks(vmid)}])
    runs = [run(lab, book, way, pipelining) for _round in range(rounds)]
    setting = f"pipelining {'on' if pipelining else 'off'}, {distance}"
    compare(report, runs, f"a task, {setting}", "{}", 1, pipelining)
    compare(report, runs, f"an item of a loop of {ITEMS}, {setting}", "{} in a loop", ITEMS, pipelining)


def tasks(vmid: int) -> list[dict]:
    ours = {"homelab.k3s.pct_exec": {"vmid": vmid, "argv": ["true"]}}
    kinds = {
        "command": {"ansible.builtin.command": {"argv": ["pct", "exec", str(vmid), "--", "true"]}},
        "raw": {"ansible.builtin.raw": f"pct exec {vmid} -- true"},
        OURS: ours,
        UNVERIFIED: {**ours, "vars": {"homelab_k3s_verify": "never"}},
    }
    # The first of each opens the connection, sends the program and finds the interpreter.
    warm = [{"name": "warm", **task} for task in kinds.values()]
    alone = [{"name": name, **task} for name, task in kinds.items()]
    loops = [{"name": f"{name} in a loop", "loop": list(range(ITEMS)), **task} for name, task in kinds.items()]
    return [*warm, *alone * TASKS, *loops]


def run(lab: Lab, book, way: float | None, pipelining: bool) -> plays.Run:
    if way is None:
        return plays.play(lab, book, pipelining=pipelining)
    address = inventory(lab.inventory)["_meta"]["hostvars"]["pve1"]["ansible_host"]
    with relay(address, 22, way) as port:
        return plays.play(lab, book, {"ansible_host": "127.0.0.1", "ansible_port": port}, pipelining)


def compare(report: Report, runs: list[plays.Run], group: str, task: str, items: int, pipelining: bool) -> None:
    rows = {}
    for name in (*TARGETS, OURS, UNVERIFIED):
        times = [seconds * 1000 / items for run in runs for seconds in run.times(task.format(name))]
        rows[name] = report.add(Row(group, name, "ms", times, ours=name in (OURS, UNVERIFIED)))
    report.compare(rows[OURS], [(rows[name], target[pipelining]) for name, target in TARGETS.items()])
