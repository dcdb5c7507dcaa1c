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
from conftest import Lab, Run, lab_with, seed
from matrix import Fault

FAULTS = matrix.read()
NAMED = os.environ.get("FAULTS")
CHOSEN = matrix.select(NAMED, FAULTS) if NAMED else matrix.sample(seed(), FAULTS, refused=3, others=2)


def of_servers(number: int) -> list[Fault]:
    return [fault for fault in CHOSEN if fault.servers == number]


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


@pytest.fixture(scope="module")
def three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from lab_with(tmp_path_factory.mktemp("servers"), "--controllers", "3", "--workers", "1", "--time-factor", "10")


def state_of(lab: Lab) -> tuple:
    versions = lab.versions()
    return versions, lab.cordoned(), [lab.installation(vmid(name)) for name in versions]


def vmid(name: str) -> int:
    """k3s-controller-1 is 101, k3s-worker-2 is 112."""
    _, role, number = name.split("-")
    return (100 if role == "controller" else 110) + int(number)


def run_commands(lab: Lab, commands: list[list[str]]) -> None:
    for command in commands:
        if command[0] == "kubectl":
            lab.kubectl(*command[1:])
        elif command[0] == "inside":
            lab.inside(int(command[1]), command[2])
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


def repair(lab: Lab, fault: Fault, nodes: int) -> None:
    lab("fault", "clear")
    run_commands(lab, fault.undo)
    lab.wait_until("the nodes being Ready", lambda: lab.ready_nodes() == nodes)


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


@pytest.mark.parametrize("fault", of_servers(1), ids=lambda fault: fault.what)
def test_a_fault_ends_as_promised(lab: Lab, fault: Fault) -> None:
    check(lab, fault)


def check(lab: Lab, fault: Fault) -> None:
    try:
        check_outcome(lab, fault, state_of(lab))
    finally:
        lab("fault", "clear")


def check_outcome(lab: Lab, fault: Fault, state: tuple) -> None:
    target = lab.channel("stable")
    if set(state[0].values()) == {target}:
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
            repair(lab, fault, len(state[0]))
    if fault.outcome == "refused":
        assert state_of(lab) == state
    else:
        assert lab.cordoned() == set(fault.left)
        if fault.outcome == "stopped":
            again = lab.play(fault.playbook, *arguments(lab, fault))
            assert again.status == 0, again.text
        assert set(lab.versions().values()) == {target}
    if fault.outcome == "finished":
        repair(lab, fault, len(state[0]))
    assert not lab.cordoned() and not lab.marks() and not lab.holder()


def test_a_node_that_is_not_ready_is_upgraded_where_that_is_allowed(lab: Lab) -> None:
    if set(lab.versions().values()) == {lab.channel("stable")}:
        lab.offer_next()
    lab("fault", "node-condition", "112", "Ready", "False")
    try:
        lab.wait_until("a worker being NotReady", lambda: lab.ready_nodes() == 2)
        lab.upgrade("--check").assert_failed_with("To do it all the same: -e k3s_allow_not_ready=true")
        allowed = lab.upgrade("--check", "-e", "k3s_allow_not_ready=true")
    finally:
        lab("fault", "clear")
        lab.wait_until("the nodes being Ready", lambda: lab.ready_nodes() == 3)
    assert allowed.status == 0 and "3 of 3 nodes to work on" in allowed.text, allowed.text


# The last, since its lab takes the place of the one before.
@pytest.mark.parametrize("fault", of_servers(3), ids=lambda fault: fault.what)
def test_a_fault_of_three_servers_ends_as_promised(three_servers: Lab, fault: Fault) -> None:
    check(three_servers, fault)
