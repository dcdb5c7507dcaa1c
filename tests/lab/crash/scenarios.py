"""The playbooks that are crashed: on which lab, and what makes one have something to do again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from conftest import LEASE, Lab
from test_canary import GIVEN_UP, NEW, OLD, PAIR, WEB, on, ready
from test_join import make_leader

ONE_SERVER = ("--controllers", "1", "--workers", "2")
THREE_WORKERS = ("--controllers", "1", "--workers", "3")
THREE_SERVERS = ("--controllers", "3", "--workers", "1")
DB = "/var/lib/rancher/k3s/server/db"
# What the lab's host has from the machine, other labs would see too.
BACKUPS = "/root/crash-backups"


@dataclass(frozen=True)
class Scenario:
    name: str
    playbook: str
    lab: tuple[str, ...]
    # Leaves the playbook something to do, in the state that the last case has left. Returns its arguments.
    begin: Callable[[Lab], list[str]]
    # Whether a run after a complete one has nothing to do.
    settles: bool = True
    # How many Nodes say in the end that their etcd member votes, which is some seconds after etcd does.
    voters: int = 0
    # The nodes that the playbook leaves cordoned, with its annotation.
    cordoned: frozenset[str] = frozenset()


def offer_next_version(lab: Lab) -> list[str]:
    lab.offer_next()
    return []


def empty_a_worker(lab: Lab) -> list[str]:
    """The last worker is a new container, and its Node is gone."""
    lab("fault", "rebuild", "112")
    lab.kubectl("delete", "node", "k3s-worker-2", "--ignore-not-found")
    return ["-e", "k3s_join_worker_host=k3s-worker-2"]


def lose_the_kubeconfig(lab: Lab) -> list[str]:
    """Its certificate is to be renewed too, which restarts k3s."""
    dest = lab.folder / "kubeconfig"
    dest.unlink(missing_ok=True)
    lab("fault", "cert-expired", "101", "--days=-20", "--what", "admin")
    return ["-e", f"k3s_kubeconfig_dest={dest}", "-e", "k3s_kubeconfig_renew_before=30"]


def empty_a_server(lab: Lab) -> list[str]:
    """The last server is a new container, and etcd has its member still. It did not lead: the others are not disturbed."""
    make_leader(lab, 101)
    lab("fault", "rebuild", "103")
    return []


def return_to_sqlite(lab: Lab) -> list[str]:
    """As an operator does who has a copy. What is left of the run before is its lock."""
    back = f"""[ -f {DB}/state.db ] || {{
        systemctl stop k3s && rm -rf {DB}/etcd /etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml &&
        mv {DB}/state.db.migrated {DB}/state.db && systemctl start k3s
    }}"""
    lab.inside(101, back)
    lab.wait_until("SQLite", lambda: lab.api_is_ready(101))
    lab.kubectl("delete", "lease", "-n", "kube-system", LEASE, "--ignore-not-found")
    add_configmap(lab, "kept")
    return []


def lose_what_is_not_in_the_backup(lab: Lab) -> list[str]:
    """There is one backup, and since then something was added."""
    if not find_backup(lab):
        add_configmap(lab, "kept")
        run = lab.play("backup-k3s", "-e", f"k3s_backup_dir={BACKUPS}")
        assert run.status == 0, run.text
    add_configmap(lab, "later")
    name = find_backup(lab)
    given = {"k3s_restore_backup": name, "k3s_restore_confirm": name, "k3s_restore_again": "true"}
    return [word for key, value in given.items() for word in ("-e", f"{key}={value}")]


def find_backup(lab: Lab) -> str:
    return lab("exec", "--", "sh", "-c", f"cd {BACKUPS} 2>/dev/null && ls *.tar.gz || true").strip().removesuffix(".tar.gz")


def add_configmap(lab: Lab, name: str) -> None:
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(configmap))


def bring_the_old_worker_back(lab: Lab) -> list[str]:
    """The old worker runs the pods, and the new one none."""
    lab.inside(111, "systemctl enable --now k3s-agent")
    lab.wait_until("the old worker", lambda: lab.ready_nodes() == 4)
    lab.kubectl("uncordon", OLD)
    lab.kubectl("annotate", "node", OLD, "homelab.k3s/cordon-")
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=WEB)
    lab.kubectl("cordon", NEW)
    lab.kubectl("delete", "pods", "-l", "app=web", "--wait=false")
    lab.wait_until("web being back", lambda: bool(on(lab, OLD)) and ready(lab) == 6)
    lab.kubectl("uncordon", NEW)
    # Each time the old worker registers anew, so it is the younger one.
    return [*PAIR, "-e", '{"k3s_canary_accept": ["younger"]}']


def bring_a_retired_worker_back(lab: Lab) -> list[str]:
    return [*bring_the_old_worker_back(lab), *GIVEN_UP]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("upgrade", "upgrade-k3s", ONE_SERVER, offer_next_version),
        Scenario("upgrade-ha", "upgrade-k3s", THREE_SERVERS, offer_next_version, voters=3),
        Scenario("join-worker", "join-k3s-worker", ONE_SERVER, empty_a_worker),
        Scenario("join-servers", "join-k3s-ha-servers", THREE_SERVERS, empty_a_server, voters=3),
        Scenario("bootstrap-ha", "bootstrap-k3s-ha", ONE_SERVER, return_to_sqlite, voters=1),
        Scenario("cutover", "canary-worker-cutover", THREE_WORKERS, bring_the_old_worker_back, cordoned=frozenset({OLD})),
        Scenario("cutover-retire", "canary-worker-cutover", THREE_WORKERS, bring_a_retired_worker_back),
        Scenario("restore", "restore-k3s", ONE_SERVER, lose_what_is_not_in_the_backup, settles=False),
        Scenario("restore-ha", "restore-k3s", THREE_SERVERS, lose_what_is_not_in_the_backup, settles=False, voters=3),
        Scenario("kubeconfig", "refresh-k3s-kubeconfig", ONE_SERVER, lose_the_kubeconfig),
        Scenario("backup", "backup-k3s", ONE_SERVER, lambda _: [], settles=False),
    )
}
