"""The playbooks that are crashed: on which lab, and what makes one have something to do again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conftest import Lab

ONE_SERVER = ("--controllers", "1", "--workers", "2")
THREE_SERVERS = ("--controllers", "3", "--workers", "1")


@dataclass(frozen=True)
class Scenario:
    name: str
    playbook: str
    lab: tuple[str, ...]
    # Leaves the playbook something to do, in the state that the last case has left. Returns its arguments.
    begin: Callable[[Lab], list[str]]
    # Whether a run after a complete one has nothing to do.
    settles: bool = True


def offer_next_version(lab: Lab) -> list[str]:
    lab.offer_next()
    return []


def empty_a_worker(lab: Lab) -> list[str]:
    """The last worker is a new container, and its Node is gone."""
    lab("fault", "rebuild", "112")
    lab.kubectl("delete", "node", "k3s-worker-2", "--ignore-not-found")
    return ["-e", "k3s_join_worker_host=k3s-worker-2"]


def lose_the_kubeconfig(lab: Lab) -> list[str]:
    dest = lab.folder / "kubeconfig"
    dest.unlink(missing_ok=True)
    return ["-e", f"k3s_kubeconfig_dest={dest}"]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("upgrade", "upgrade-k3s", ONE_SERVER, offer_next_version),
        Scenario("upgrade-ha", "upgrade-k3s", THREE_SERVERS, offer_next_version),
        Scenario("join-worker", "join-k3s-worker", ONE_SERVER, empty_a_worker),
        Scenario("kubeconfig", "refresh-k3s-kubeconfig", ONE_SERVER, lose_the_kubeconfig),
        Scenario("backup", "backup-k3s", ONE_SERVER, lambda _: [], settles=False),
    )
}
