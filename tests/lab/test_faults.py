"""The fault matrix: what breaks (`faults.yaml`), in which run, and what is promised then.

`FAULTS=all` runs every row, `FAULTS=kubeconfig` those whose title or fault has this word; `SEED` chooses others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import matrix
import pytest
from conftest import Lab, Run, seed
from matrix import Fault

FAULTS = matrix.read()
NAMED = os.environ.get("FAULTS")
CHOSEN = matrix.select(NAMED, FAULTS) if NAMED else matrix.sample(seed(), FAULTS, refused=3, others=2)
NODES = {"k3s-controller-1": 101, "k3s-worker-1": 111, "k3s-worker-2": 112}


def test_the_page_is_made_of_the_matrix() -> None:
    assert len(FAULTS) >= 40 and len({fault.what for fault in FAULTS}) == len(FAULTS)
    assert matrix.PAGE.read_text() == matrix.page(FAULTS), "python3 tests/lab/matrix.py writes it"


def test_a_sample_has_both_kinds_and_differs_by_seed() -> None:
    samples = [matrix.sample(of, FAULTS, refused=3, others=2) for of in "ab"]
    assert samples[0] != samples[1]
    always = [fault for fault in FAULTS if fault.always]
    for chosen in samples:
        by_seed = [fault.outcome == "refused" for fault in chosen if not fault.always]
        assert sorted(by_seed) == [False] * 2 + [True] * 3 and not any(fault.slow for fault in chosen)
        assert [fault for fault in chosen if fault.always] == always


@pytest.fixture
def state(lab: Lab) -> Iterator[tuple]:
    yield state_of(lab)
    lab("fault", "clear")


def state_of(lab: Lab) -> tuple:
    return lab.versions(), lab.cordoned(), [lab.installation(vmid) for vmid in NODES.values()]


def run_commands(lab: Lab, commands: list[list[str]]) -> None:
    for command in commands:
        if command[0] == "kubectl":
            lab.kubectl(*command[1:])
        else:
            lab("fault", *command)


@contextmanager
def deployment(lab: Lab, replicas: int) -> Iterator[None]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "x"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    lab.kubectl("apply", "--validate=false", "--filename", "-", stdin=json.dumps(web))
    try:
        lab.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
        yield
    finally:
        lab.kubectl("delete", "deployment", "web")


def repair(lab: Lab, fault: Fault) -> None:
    lab("fault", "clear")
    run_commands(lab, fault.undo)
    lab.wait_until("the nodes being Ready", lambda: lab.ready_nodes() == len(NODES))


def arguments(lab: Lab, fault: Fault) -> list[str]:
    # Not this user's own kubeconfig.
    own = {"k3s_kubeconfig_dest": lab.folder / "fetched"} if fault.playbook == "refresh-k3s-kubeconfig" else {}
    return [word for name, value in (own | fault.variables).items() for word in ("-e", f"{name}={value}")]


def run_with(lab: Lab, fault: Fault) -> Run:
    """Runs the playbook, with the fault from its start or from a task on."""
    if not fault.before:
        run_commands(lab, fault.fault)
        return lab.play(fault.playbook, *arguments(lab, fault))
    run = lab.begin(fault.playbook, *arguments(lab, fault))
    lab.hold_before(fault.before)
    run_commands(lab, fault.fault)
    if fault.suspended:
        suspend(run, fault.suspended)
    return lab.go_on(run)


def suspend(run: subprocess.Popen[str], seconds: int) -> None:
    """As a control node that sleeps: no process of the run goes on, and its connections stay open."""
    os.killpg(run.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.what)
def test_a_fault_ends_as_promised(lab: Lab, state: tuple, fault: Fault) -> None:
    versions, _, _ = state
    target = lab.channel("stable")
    if set(versions.values()) == {target}:
        target = lab.offer_next()
    try:
        with deployment(lab, fault.pods) if fault.pods else nullcontext():
            run = run_with(lab, fault)
        print(run.text)
        if fault.outcome == "finished":
            assert run.status == 0, run.text
        else:
            run.assert_failed_with()
        for words in fault.says:
            assert words in run.words, f"{words!r} is not in:\n{run.text}"
    finally:
        if fault.outcome != "finished":
            repair(lab, fault)
    if fault.outcome == "refused":
        assert state_of(lab) == state
    else:
        assert lab.cordoned() == set(fault.left)
        if fault.outcome == "stopped":
            again = lab.play(fault.playbook, *arguments(lab, fault))
            assert again.status == 0, again.text
        assert set(lab.versions().values()) == {target}
    if fault.outcome == "finished":
        repair(lab, fault)
    assert not lab.cordoned() and not lab.marks() and not lab.holder()


def test_a_node_that_is_not_ready_is_upgraded_where_that_is_allowed(lab: Lab) -> None:
    if set(lab.versions().values()) == {lab.channel("stable")}:
        lab.offer_next()
    lab("fault", "node-condition", "112", "Ready", "False")
    try:
        lab.wait_until("a worker being NotReady", lambda: lab.ready_nodes() == len(NODES) - 1)
        lab.upgrade("--check").assert_failed_with("To do it all the same: -e k3s_allow_not_ready=true")
        allowed = lab.upgrade("--check", "-e", "k3s_allow_not_ready=true")
    finally:
        lab("fault", "clear")
        lab.wait_until("the nodes being Ready", lambda: lab.ready_nodes() == len(NODES))
    assert allowed.status == 0 and "3 of 3 nodes to work on" in allowed.text, allowed.text
