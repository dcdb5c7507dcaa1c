# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(g) What a web workload and the API answer while 3 + 3 nodes are upgraded."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack

from bench import plays
from bench.clients import Api, Client, Web
from bench.d_upgrades import OURS, targets
from bench.lab import Lab, Labs, inventory, wait_until
from bench.rows import Report, Row

TITLE = "Availability during an upgrade"
ABOUT = """An upgrade of 3 + 3 nodes, with budgets respected. Each 100 ms one client asks a web workload: two replicas, of which a
PodDisruptionBudget wants one, and which answer for five seconds more when they have to end, behind a port of every node, each node in turn,
without a second try. Another client reads an object from the API as a load balancer does: where a server does not answer, the next one is
asked. A request has failed after two seconds, or when no server has answered. What failed is counted in the turn in which it was sent."""
SERVERS, WORKERS = 3, 3
NAME, PORT = "bench-web", 30080
# The seconds of a leader's election: k3s sets etcd's election timeout to 5 s.
ELECTION = 5
# The first task of a turn that takes something from the cluster.
TURN = "Drain the node"


def measure(report: Report, labs: Labs, _rounds: int) -> None:
    lab = labs.get(SERVERS, WORKERS)
    if lab is None:
        report.note("the lab that is up has another size")
        return
    asks = {"API": Api(lab).ask}
    if os.environ.get("LAB_K3S"):
        asks["workload"] = Web(addresses(lab), PORT).ask
        deploy(lab)
    else:
        report.note("the workload: the stand-in's pods answer nothing; LAB_K3S names a real k3s")
    try:
        wait_until("all clients are answered", lambda: all(ask() for ask in asks.values()))
        clients = {name: Client(ask) for name, ask in asks.items()}
        turns = upgrade(lab, list(clients.values()))
    finally:
        lab.kubectl("delete", "deployment,service,poddisruptionbudget", NAME, "--ignore-not-found")
    for name, client in clients.items():
        add_rows(report, name, client, turns)


def upgrade(lab: Lab, clients: list[Client]) -> dict[str, tuple[float, float]]:
    """From when to when the turn of each node was, the next one's begin being its end."""
    variables = {"k3s_target_version": next(targets(lab)), "k3s_allow_downgrade": True, "k3s_drain_pdb": "respect"}
    with ExitStack() as running:
        for client in clients:
            running.enter_context(client.running())
        run = plays.play(lab, OURS, variables)
        ended = time.time()
    begins = {entry["host"]: entry["at"] for entry in run.entries if entry.get("starts") == TURN}
    hosts = sorted(set(begins) & set(names(lab)), key=begins.__getitem__)
    ends = [*(begins[host] for host in hosts[1:]), ended]
    return {host: (begins[host], end) for host, end in zip(hosts, ends, strict=True)}


def add_rows(report: Report, name: str, client: Client, turns: dict[str, tuple[float, float]]) -> None:
    target = 0 if name == "workload" else None
    for host, (begin, end) in turns.items():
        sent = client.between(begin, end)
        failed = sum(one.failed for one in sent)
        report.add(Row(f"{name}: failed requests, by turn", f"{host}, of {len(sent)}", "", [failed], target, ours=True))
    group = f"{name}: seconds"
    report.add(Row(group, "the longest time in which all failed", "s", [client.longest_gap()], ELECTION if target is None else target, ours=True))
    report.add(Row(group, "the slowest answer", "s", [client.slowest()], ours=True))


def names(lab: Lab) -> list[str]:
    groups = inventory(lab.inventory)
    return [host for group in ("k3s_controllers", "k3s_workers") for host in groups[group]["hosts"]]


def addresses(lab: Lab) -> list[str]:
    """The nodes' own, by their Node objects."""
    nodes = json.loads(lab.kubectl("get", "nodes", "-o", "json"))["items"]
    return [one["address"] for node in nodes for one in node["status"]["addresses"] if one["type"] == "InternalIP"]


def deploy(lab: Lab) -> None:
    labels = {"app": NAME}
    container = {
        "name": "web",
        "image": "docker.io/homelab/pod:1",
        "env": [{"name": "GRACE", "value": "5"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    spread = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    apart = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": spread}]}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "affinity": apart}}
    service = {"type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": 8080, "nodePort": PORT}]}
    selector = {"matchLabels": labels}
    objects = [
        ("apps/v1", "Deployment", {"replicas": 2, "selector": selector, "template": template}),
        ("policy/v1", "PodDisruptionBudget", {"minAvailable": 1, "selector": selector}),
        ("v1", "Service", service),
    ]
    for version, kind, spec in objects:
        made = {"apiVersion": version, "kind": kind, "metadata": {"name": NAME}, "spec": spec}
        lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(made))
    wait_until("the web pods are ready", lambda: lab.kubectl("get", "deployment", NAME, "-o", "jsonpath={.status.readyReplicas}") == "2")
