"""Healthy and unhealthy servers, a snapshot, and the controllers' taint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Lab, Run

CONTROLLERS = ("k3s-controller-1", "k3s-controller-2", "k3s-controller-3")
WORKERS = ("k3s-worker-1", "k3s-worker-2")
KEY = "node-role.kubernetes.io/control-plane"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
"""
FOREIGN = {"key": "example.org/foreign", "value": "x", "effect": "PreferNoSchedule"}


def validate(lab: Lab, *arguments: str) -> Run:
    return lab.play("validate-k3s-ha", *arguments)


def taint(lab: Lab, *arguments: str) -> Run:
    return lab.play("enforce-k3s-controller-noschedule-taint", *arguments)


def says(run: Run, *words: str, failed: bool = False) -> None:
    """Ansible breaks long lines."""
    text = " ".join(run.text.split())
    assert (run.status != 0) == failed, run.text
    for word in words:
        assert word in text, f"{word!r} is not in:\n{run.text}"


def place(lab: Lab, name: str) -> tuple[int, str]:
    """Container and Proxmox host of a controller, from the lab's inventory."""
    found = re.search(rf"{name}:.*?pct_id: (\d+).*?pve_host: (\w+)", lab.inventory.read_text(), re.S)
    assert found, lab.inventory.read_text()
    return int(found[1]), found[2]


def tainted(lab: Lab) -> set[str]:
    def has(node: dict) -> bool:
        return any((taint["key"], taint["effect"]) == (KEY, "NoSchedule") for taint in node["spec"].get("taints", []))

    return {name for name, node in lab.nodes().items() if has(node)}


def pods(lab: Lab, *arguments: str) -> dict[str, str]:
    items = json.loads(lab.kubectl("get", "pods", "-o", "json", *arguments))["items"]
    return {item["metadata"]["name"]: item["spec"].get("nodeName", "") for item in items}


def test_validates_healthy_servers(two_hosts: Lab) -> None:
    two_hosts.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
    run = validate(two_hosts)
    run.assert_unchanged()
    says(run, "healthy: 0 errors, 0 warnings", "3 members, 3 vote, 3 of them healthy", "1 can fail", "ready, also at 10.99.0.103:6443")
    check = validate(two_hosts, "--check", "-e", "k3s_ha_take_snapshot=true")
    says(check, "changed=1")


def test_takes_lists_and_verifies_a_snapshot(two_hosts: Lab) -> None:
    for _ in range(2):
        run = validate(two_hosts, "-e", "k3s_ha_take_snapshot=true", "-e", "k3s_ha_snapshot_keep=1")
        says(run, "changed=1", "its hash is right", "listed by k3s")
    listed = two_hosts.inside(101, "/usr/local/bin/k3s etcd-snapshot ls -o json")
    found = (snapshot["spec"]["snapshotName"] for snapshot in json.loads(listed)["items"])
    names = [name for name in found if name.startswith("validated-k3s-controller-1-")]
    assert len(names) == 1, listed
    path = f"/var/lib/rancher/k3s/server/db/snapshots/{names[0]}"
    # etcd puts the hash of all that is before it at a snapshot's end.
    own, at_the_end = two_hosts.inside(
        101, f"head -c -32 {path} | sha256sum | cut -c-64; tail -c 32 {path} | od -An -v -tx1 | tr -d ' \\n'"
    ).split()
    assert own == at_the_end


def test_reports_all_problems_at_once(two_hosts: Lab, tmp_path: Path) -> None:
    lab = two_hosts
    third, host = place(lab, "k3s-controller-3")
    inventory = lab.inventory
    lab("fault", "readyz", "etcd", "102")
    lab.inside(third, "systemctl stop k3s", host)
    try:
        # It may have led etcd.
        lab.wait_until("the first server being ready", lambda: lab.api_is_ready(101))
        run = validate(lab, "-e", "k3s_ha_take_snapshot=true")
        says(
            run, "NOT HEALTHY", "Api k3s-controller-2: NotReady: its API is not ready: failing: etcd", "Api k3s-controller-3: NotReady: its API is not ready",
            "etcd does not answer here", "is not healthy", "snapshot on k3s-controller-1", failed=True,
        )
    finally:
        lab("fault", "clear")
        lab.inside(third, "systemctl start --no-block k3s", host)
    # Meanwhile it comes up.
    text = inventory.read_text()
    text = re.sub(r"( +)k3s-controller-2:\n(\1 +.*\n)+", "", text)
    lab.inventory = tmp_path / "hosts.yaml"
    lab.inventory.write_text(text)
    assert "k3s-controller-2" not in text
    try:
        lab.wait_until("the third server", lambda: "ok" in lab.inside(third, "/usr/local/bin/k3s kubectl get --raw /readyz 2>/dev/null || true", host))
        says(validate(lab), "is a member and none of the inventory's controllers", "1 error, 0 warnings", failed=True)
    finally:
        lab.inventory = inventory


def test_reports_an_unreachable_proxmox_host(two_hosts: Lab) -> None:
    second, host = place(two_hosts, "k3s-controller-2")
    assert host == "pve2", second
    two_hosts("fault", "ssh-down", "pve2", "--how", "refuse")
    try:
        run = validate(two_hosts)
        says(run, "NOT HEALTHY", "error: Etcd k3s-controller-2: Unanswered: ", "3 members, 3 vote, 3 of them healthy", failed=True)
    finally:
        two_hosts("fault", "ssh-up", "pve2")


@pytest.fixture
def bare(two_hosts: Lab):
    """A pod runs on a controller; one of them has an operator's taint."""
    lab = two_hosts
    lab.kubectl("taint", "node", CONTROLLERS[0], "example.org/foreign=x:PreferNoSchedule", "--overwrite")
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=WEB)
    lab.wait_until("the pods", lambda: len(pods(lab, "-l", "app=web")) == 6 and "" not in pods(lab, "-l", "app=web").values())
    yield lab
    lab.kubectl("uncordon", *WORKERS)
    lab.kubectl("delete", "deployment", "web")
    for name, node in lab.nodes().items():
        if node["spec"].get("taints"):
            lab.kubectl("patch", "node", name, "-p", '{"spec":{"taints":null}}')


def test_sets_the_taint_keeps_pods_off_and_removes_it(bare: Lab) -> None:
    lab = bare
    before = pods(lab, "-A")
    check = taint(lab, "--check", "--diff")
    check.assert_unchanged()
    says(check, f"{KEY}:NoSchedule to be set on {', '.join(CONTROLLERS)}", "Deployment default/web (")
    assert not tainted(lab)

    run = taint(lab)
    assert run.status == 0 and "changed=1" in run.text, run.text
    assert tainted(lab) == set(CONTROLLERS)
    assert FOREIGN in lab.nodes()[CONTROLLERS[0]]["spec"]["taints"]
    assert pods(lab, "-A") == before, "nothing is evicted"
    taint(lab).assert_unchanged()
    lab.kubectl("patch", "deployment", "web", "-p", '{"spec":{"replicas":12}}')
    lab.wait_until("new pods", lambda: len([n for n in pods(lab, "-l", "app=web").values() if n]) == 12)
    new = {node for name, node in pods(lab, "-l", "app=web").items() if name not in before}
    assert new <= set(WORKERS), new

    run = taint(lab, "-e", "k3s_controller_taint_state=absent")
    assert run.status == 0 and not tainted(lab), run.text
    assert FOREIGN in lab.nodes()[CONTROLLERS[0]]["spec"]["taints"]
    taint(lab, "-e", "k3s_controller_taint_state=absent").assert_unchanged()
    assert "homelab-k3s-run" not in lab.kubectl("get", "lease", "-n", "kube-system", "-o", "name")


def test_refuses_a_taint_that_leaves_pods_unschedulable(bare: Lab) -> None:
    lab = bare
    lab.kubectl("cordon", *WORKERS)
    says(taint(lab), "is refused", "no node would be left", "Deployment default/web", "k3s_controller_taint_force", failed=True)
    assert not tainted(lab)
    run = taint(lab, "-e", "k3s_controller_taint_force=true")
    assert run.status == 0 and tainted(lab) == set(CONTROLLERS), run.text
