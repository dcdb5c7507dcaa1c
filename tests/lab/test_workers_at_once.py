"""Several workers at once: within budgets and room, and what is left when one of them fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Lab, Run, lab_with

WORKERS = {f"k3s-worker-{number}": 110 + number for number in (1, 2, 3, 4)}
ONE, TWO, THREE, FOUR = WORKERS
CONTROLLER = "k3s-controller-1"
BOTH = ("-e", "k3s_upgrade_workers_at_once=2", "-e", "k3s_drain_pdb=respect")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One controller and four workers."""
    yield from lab_with(tmp_path_factory.mktemp("lab"), "--controllers", "1", "--workers", "4", "--time-factor", "10")


# After each test, or after all of a class.
@pytest.fixture(autouse=True, scope="class")
def intact(lab: Lab) -> Iterator[None]:
    """Flags, environment and tokens are unchanged afterwards, on every node; no annotation and no lock is left."""
    before = {vmid: lab.installation(vmid) for vmid in (101, *WORKERS.values())}
    yield
    lab("fault", "clear")
    lab.kubectl("delete", "pdb,deployment", "-n", "default", "--all")
    assert {vmid: lab.installation(vmid) for vmid in before} == before
    assert not lab.marks() and not lab.cordoned() and lab.holder() == ""


def deployment(name: str, replicas: int, nodes: list[str] | None = None, cpu: str = "0") -> dict:
    """One whose pods run on these nodes, or on any."""
    affinity: dict[str, dict] = {}
    if nodes:
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}]}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    container = {"name": name, "image": name, "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"affinity": affinity, "containers": [container]},
            },
        },
    }


def create(lab: Lab, *objects: dict) -> None:
    everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(everything))
    for one in objects:
        if one["kind"] == "Deployment":
            lab.kubectl("wait", "--for=condition=Available", f"deployment/{one['metadata']['name']}", "--timeout=60s")


def budget(name: str, unavailable: int) -> dict:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"maxUnavailable": unavailable, "selector": {"matchLabels": {"app": name}}},
    }


def ready(lab: Lab, name: str) -> list[str]:
    """The nodes of its ready pods; none while no API answers."""
    done = lab.run("kubectl", "get", "pods", "-n", "default", "-l", f"app={name}", "-o", "json")
    pods = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    conditions = [(pod, condition) for pod in pods for condition in pod["status"].get("conditions", [])]
    return [pod["spec"]["nodeName"] for pod, condition in conditions if (condition["type"], condition["status"]) == ("Ready", "True")]


@contextmanager
def watched(lab: Lab, name: str) -> Iterator[tuple[list[frozenset[str]], list[int]]]:
    """The sets of nodes that were cordoned at the same time, and how many pods were ready then."""
    cordons: list[frozenset[str]] = []
    counts: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.3):
            done = lab.run("kubectl", "get", "nodes,deployments", "-n", "default", "-o", "json")
            if done.returncode == 0:
                items = json.loads(done.stdout)["items"]
                nodes = [one for one in items if one["kind"] == "Node"]
                cordons.append(frozenset(node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")))
                watched = [one for one in items if (one["kind"], one["metadata"]["name"]) == ("Deployment", name)]
                counts.extend(one["status"].get("readyReplicas", 0) for one in watched)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield cordons, counts
    finally:
        over.set()
        thread.join()


def is_ready(node: dict) -> bool:
    return ("Ready", "True") in [(condition["type"], condition["status"]) for condition in node["status"]["conditions"]]


def shown(run: Run) -> str:
    return " ".join(run.text.split("TASK [Show the plan]")[1].split("TASK [")[0].split())


def assert_upgraded(lab: Lab, run: Run, version: str, nodes: Iterable[str] = (CONTROLLER, *WORKERS)) -> None:
    assert run.status == 0, run.text
    versions = lab.versions()
    assert {versions[node] for node in nodes} == {version}, versions
    assert not lab.cordoned()


def test_refuses_several_workers_at_once_without_budgets(lab: Lab) -> None:
    before = lab.versions()
    refused = lab.upgrade("-e", "k3s_upgrade_workers_at_once=3")
    refused.assert_failed_with("workers_at_once: k3s_upgrade_workers_at_once allows 3 workers at once", "-e k3s_drain_pdb=respect")
    lab.upgrade("-e", "k3s_upgrade_workers_at_once=many").assert_failed_with("a number from 1 on, or a percentage", "got: many")
    assert lab.versions() == before


def test_upgrades_workers_in_batches_within_their_budgets(lab: Lab) -> None:
    create(lab, deployment("web", 5), budget("web", 1))
    assert {ONE, TWO} < set(ready(lab, "web"))
    planned = lab.upgrade("--check", "-e", "k3s_upgrade_workers_at_once=50%", "-e", "k3s_drain_pdb=respect")
    planned.assert_unchanged()
    plan = shown(planned)
    for line in (f"batch 1 of 3: {ONE}, {TWO}", f"batch 2 of 3: {THREE}, {FOUR}", f"batch 3 of 3: {CONTROLLER}"):
        assert line in plan, plan
    with watched(lab, "web") as (cordons, counts):
        done = lab.upgrade(*BOTH)
    assert_upgraded(lab, done, lab.channel("stable"))
    together = {cordoned for cordoned in cordons if len(cordoned) > 1}
    assert together == {frozenset({ONE, TWO}), frozenset({THREE, FOUR})}, together
    assert min(counts) >= 4, counts
    assert done.text.count("TASK [Wait for the cluster to return to its baseline]") == 3, done.text
    lab.upgrade(*BOTH).assert_unchanged()


def test_a_failed_worker_stops_the_next_batch_and_not_the_worker_beside_it(lab: Lab) -> None:
    before, version = lab.versions(), lab.offer_next()
    run = lab.begin_upgrade(*BOTH, "-e", "k3s_install_timeout=30")
    lab.wait_until("both being drained", lambda: lab.cordoned() == {ONE, TWO})
    lab("fault", "node-condition", str(WORKERS[TWO]), "Ready", "False")
    failed = lab.go_on(run)
    failed.assert_failed_with(
        f"The run has stopped at {TWO}.",
        "the node is still cordoned by this run, since it is not known to be healthy",
        f"The nodes beside it ({ONE}) have completed their own turns; no other node was touched after them.",
    )
    assert lab.versions() == before | {ONE: version, TWO: version}, failed.text
    assert lab.cordoned() == {TWO} and lab.holder() == "", failed.text
    assert failed.text.count("TASK [Release the cluster lock]") == 1, failed.text
    lab("fault", "clear")
    lab.wait_until("the node being Ready again", lambda: is_ready(lab.nodes()[TWO]))
    again = lab.upgrade(*BOTH)
    assert f"batch 1 of 3: {TWO}, {THREE}" in shown(again), again.text
    assert_upgraded(lab, again, version)


@pytest.fixture(scope="class")
def version(lab: Lab) -> str:
    return lab.offer_next()


class TestAnUpgradeIsResumed:
    """One upgrade, stopped at each batch."""

    def test_after_a_kill_with_two_workers_cordoned(self, lab: Lab, version: str, tmp_path: Path) -> None:
        before = lab.versions()
        run = lab.begin_upgrade(*BOTH)
        lab.wait_until("both being drained", lambda: lab.cordoned() == {ONE, TWO})
        lab.kill(run, remote_too=True)
        stop = tmp_path / "stop"
        run = lab.begin_upgrade(*BOTH, "-e", f"k3s_stop_file={stop}")
        lab.wait_until("the turns of the first batch", lab.reached("Renew the cluster lock"))
        stop.touch()
        stopped = lab.go_on(run)
        assert stopped.status == 0, stopped.text
        assert lab.versions() == before | {ONE: version, TWO: version}, stopped.text
        assert f"Left for the next run: {THREE}, {FOUR}, {CONTROLLER}" in stopped.words, stopped.text
        assert not lab.cordoned() and not lab.marks()

    def test_after_a_blocked_drain_beside_another_which_releases_its_node(self, lab: Lab, version: str) -> None:
        before = lab.versions()
        create(lab, deployment("tied", 1, nodes=[THREE]), budget("tied", 0))
        failed = lab.upgrade(*BOTH, "-e", "k3s_drain_timeout=15", "--limit", "k3s_workers")
        assert f"batch 1 of 1: {THREE}, {FOUR}" in shown(failed), failed.text
        failed.assert_failed_with(f"The run has stopped at {THREE}.", "default/tied-", "the node takes pods")
        assert lab.versions() == before | {FOUR: version}, failed.text
        assert not lab.cordoned() and not lab.marks() and lab.holder() == ""
        lab.kubectl("delete", "pdb", "tied")
        assert_upgraded(lab, lab.upgrade(*BOTH), version)


def test_a_batch_without_room_is_smaller(lab: Lab) -> None:
    version = lab.offer_next()
    # Of two processors each; only the controller has room for one more.
    create(lab, deployment("heavy", 4, nodes=[*WORKERS, CONTROLLER], cpu="1500m"))
    lab.wait_until("a pod on each worker", lambda: len(set(ready(lab, "heavy"))) == 4)
    with watched(lab, "heavy") as (cordons, _):
        done = lab.upgrade(*BOTH, "--limit", "k3s_workers")
    plan = shown(done)
    assert "is not in it: no other node has room for default/heavy-" in plan and "lacks 1500m of cpu, " in plan, plan
    assert_upgraded(lab, done, version, WORKERS)
    assert max(len(cordoned) for cordoned in cordons) == 1, cordons


def test_a_batch_is_checked_again_when_it_begins(lab: Lab) -> None:
    """The first batch moves a replica to the node beside the other one, which the next batch would drain with it."""
    version = lab.offer_next()
    lab.kubectl("cordon", FOUR)
    create(lab, deployment("pair", 2, nodes=[ONE, THREE, FOUR]))
    lab.kubectl("uncordon", FOUR)
    assert sorted(ready(lab, "pair")) == [ONE, THREE]
    with watched(lab, "pair") as (cordons, counts):
        done = lab.upgrade(*BOTH, "--limit", "k3s_workers")
    assert f"batch 2 of 2: {THREE}, {FOUR}" in shown(done), done.text
    said = done.text.split("TASK [Show why the other nodes of the batch wait]")[-1]
    assert f"{FOUR} is not in it: default/pair-" in said.split("TASK [")[0], done.text
    assert_upgraded(lab, done, version, WORKERS)
    assert {cordoned for cordoned in cordons if len(cordoned) > 1} == {frozenset({ONE, TWO})}, cordons
    assert min(counts) >= 1, counts
