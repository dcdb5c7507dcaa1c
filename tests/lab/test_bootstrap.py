"""From SQLite to embedded etcd: thousands of objects migrated, a failure rolled back, killed runs resumed."""

from __future__ import annotations

import json

import pytest
from conftest import Lab

OBJECTS = 3000
DB = "/var/lib/rancher/k3s/server/db"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml"
# What a migration leaves while it is under way.
TRACES = f"""
    ls /var/lib/homelab-k3s 2>/dev/null | grep -v '^backups$'
    ls -d /run/systemd/system/k3s.service.d/* /etc/systemd/system/k3s.service.d/* 2>/dev/null
    ls -d {DB}/etcd-unfinished 2>/dev/null
    true
"""


@pytest.fixture(scope="module")
def filled(lab: Lab) -> Lab:
    """A cluster with something in it."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"kept-{number}", "labels": {"kept": "yes"}},
            "data": {"value": f"{number}" * 50},
        }
        for number in range(OBJECTS)
    ]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    lab("exec", "--", "pct", "exec", "101", "--", "/usr/local/bin/k3s", "kubectl", "create", "--validate=false", "-f", "-", stdin=everything)
    return lab


def datastore(lab: Lab) -> str:
    """The datastore as k3s selects it, and whether there are leftovers beside it."""
    script = f"[ -d {DB}/etcd/member/wal ] && echo etcd; [ -f {DB}/state.db ] && echo sqlite; true"
    return "+".join(lab.inside(101, script).split())


def is_ready(lab: Lab) -> bool:
    return "yes" in lab.inside(101, "/usr/local/bin/k3s kubectl get --raw /readyz >/dev/null 2>&1 && echo yes; true")


def active(lab: Lab) -> str:
    return lab.inside(101, "systemctl is-active k3s || true").strip()


def contents(lab: Lab) -> dict[str, str]:
    """What the API serves, without objects that change by themselves."""
    found = json.loads(lab.kubectl("get", "configmaps", "-l", "kept=yes", "-o", "json"))["items"]
    kept = {item["metadata"]["name"]: item["data"]["value"] for item in found}
    assert len(kept) == OBJECTS
    pods = json.loads(lab.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    return kept | {item["metadata"]["uid"]: item["metadata"]["name"] for item in pods}


@pytest.fixture
def sqlite(filled: Lab):
    """After each test the API serves what it served before, and nothing of ours is left."""
    lab = filled
    if datastore(lab) == "etcd":
        # As an operator would who has a copy; what was written since is lost, which is nothing here.
        lab.inside(
            101,
            f"systemctl stop k3s; rm -rf {DB}/etcd {DROP_IN}; mv {DB}/state.db.migrated {DB}/state.db; systemctl start k3s",
        )
        lab.wait_until("SQLite", lambda: is_ready(lab))
    assert datastore(lab) == "sqlite"
    before = contents(lab)
    installed = lab.installation(101)
    yield lab
    lab("fault", "clear")
    assert contents(lab) == before
    assert lab.inside(101, TRACES).split() == []
    assert lab.installation(101).replace(f"== {DROP_IN}\ncluster-init: true\n", "") == installed
    ready = lab.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
    assert ready.count("condition met") == 3


def assert_moved(lab: Lab) -> None:
    assert datastore(lab) == "etcd"
    assert is_ready(lab) and active(lab) == "active"
    # The kubelet says so, and it comes after the API.
    role = "node-role.kubernetes.io/etcd"
    lab.wait_until("the node's role", lambda: role in lab.nodes()["k3s-controller-1"]["metadata"]["labels"])
    lab.leave_lock()
    lab.play("bootstrap-k3s-ha").assert_unchanged()
    assert lab.holder() == ""


def test_check_mode_shows_the_plan_and_changes_nothing(sqlite: Lab) -> None:
    run = sqlite.play("bootstrap-k3s-ha", "--check")
    run.assert_unchanged()
    for words in ("stop k3s.service", "copy SQLite (3", "compare etcd with the copy"):
        assert words in run.text, run.text
    assert datastore(sqlite) == "sqlite"


def test_refuses_what_it_cannot_migrate(sqlite: Lab) -> None:
    config = "/etc/rancher/k3s/config.yaml"
    for setting, word in (
        ("datastore-endpoint: mysql://u:s3cr3t@h/db", "(external)"),
        ("cluster-init: true", "(cluster_init)"),
        ("server: https://10.99.0.9:6443", "(joined)"),
    ):
        sqlite.inside(101, f"echo '{setting}' > {config}")
        run = sqlite.play("bootstrap-k3s-ha")
        sqlite.inside(101, f"rm {config}")
        run.assert_failed_with(word, "nothing was touched", config)
        assert "s3cr3t" not in run.text
    sqlite.play("bootstrap-k3s-ha", "-e", "k3s_primary_controller_host=k3s-worker-1").assert_failed_with(
        "k3s-worker-1", "k3s_controllers"
    )


def test_rolls_back_a_failed_migration(sqlite: Lab) -> None:
    sqlite("fault", "migration", "101", "500")
    run = sqlite.play("bootstrap-k3s-ha")
    run.assert_failed_with("a fault of the lab", "SQLite is the datastore as before")
    assert datastore(sqlite) == "sqlite"
    # Not one start has served what had been moved by then.
    aside = sqlite.inside(101, f"ls -d {DB}/etcd-failed-*").split()
    assert len(aside) == 1


def test_resumes_a_run_killed_while_k3s_is_stopped(sqlite: Lab) -> None:
    sqlite("fault", "slow-exec", "101", "1500")
    run = sqlite.begin("bootstrap-k3s-ha")
    sqlite.wait_until("k3s being stopped", lambda: active(sqlite) == "inactive")
    sqlite.kill(run, remote_too=True)
    sqlite("fault", "slow-exec", "101", "0")
    assert active(sqlite) == "inactive"
    run = sqlite.play("bootstrap-k3s-ha")
    assert run.status == 0, run.text
    assert "did not come to its end" in run.text, run.text
    assert_moved(sqlite)


def test_waits_for_the_module_of_a_killed_run(sqlite: Lab) -> None:
    run = sqlite.begin("bootstrap-k3s-ha")
    sqlite.wait_until("etcd being filled", lambda: "etcd" in datastore(sqlite))
    sqlite.inside(101, "pkill -STOP -f 'k3s serve[r]'")
    sqlite.kill(run, remote_too=False)
    again = sqlite.begin("bootstrap-k3s-ha")
    sqlite.wait_until("the next run's module waiting", lambda: sqlite.lookers_at_the_lock() == 2)
    sqlite.inside(101, "pkill -CONT -f 'k3s serve[r]'")
    ended = sqlite.go_on(again)
    ended.assert_unchanged()
    assert "while this run waited for it" in " ".join(ended.text.split()), ended.text
    assert_moved(sqlite)


def test_a_reboot_during_the_migration_serves_no_partial_cluster(sqlite: Lab) -> None:
    sqlite("fault", "migration", "101", "700", "--hang")
    run = sqlite.begin("bootstrap-k3s-ha")
    sqlite.wait_until("etcd being filled", lambda: "etcd" in datastore(sqlite))
    sqlite.kill(run, remote_too=True)
    sqlite("fault", "migration", "101", "none")
    sqlite("exec", "--", "pct", "reboot", "101")
    # It begins anew, by itself: what was there was not all.
    sqlite.wait_until("the API", lambda: is_ready(sqlite))
    assert datastore(sqlite) == "etcd"
    run = sqlite.play("bootstrap-k3s-ha")
    assert run.status == 0, run.text
    assert_moved(sqlite)


def test_migrates_thousands_of_objects_once(sqlite: Lab) -> None:
    run = sqlite.play("bootstrap-k3s-ha")
    assert run.status == 0, run.text
    assert "every one was compared" in run.text, run.text
    assert_moved(sqlite)
    copies = "/var/lib/homelab-k3s/backups/pre-etcd-*"
    last = sqlite.inside(101, f"ls -d {copies} | tail -n 1").strip()
    assert sqlite.inside(101, f"cd {last} && stat -c '%a %n' *").split() == ["600", "state.db", "600", "token"]
