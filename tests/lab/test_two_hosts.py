"""Three controllers with etcd on two Proxmox hosts: the loss of a host, and what quorum forbids."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from conftest import Lab, Run

# One pod that only worker 2 can run, and a budget that does not let it go.
PINNED = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: pinned, namespace: default}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: pinned}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pinned, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: pinned}}
  template:
    metadata: {labels: {app: pinned}}
    spec:
      nodeSelector: {kubernetes.io/hostname: k3s-worker-2}
      containers: [{name: pinned, image: pinned}]
"""


def test_reports_a_proxmox_host_lost_during_a_drain(two_hosts: Lab) -> None:
    """The node's Proxmox host is lost: the run ends for all, and a controller on another host removes the cordon."""
    lab = two_hosts
    version = lab.offer_next()
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=PINNED)
    lab.kubectl("wait", "--for=condition=Available", "deployment/pinned", "--timeout=60s")
    # Worker 2 is on pve2; a drain of it goes through the controllers of pve1.
    run = lab.begin_upgrade("-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_timeout=40", "--limit", "k3s-worker-2,k3s_controllers")
    lab.wait_until("a cordon", lambda: bool(lab.cordoned()))
    lab("fault", "ssh-down", "pve2", "--how", "refuse")
    assert run.wait(300) != 0
    said = " ".join((lab.folder / "interrupted.log").read_text().split())
    assert "The run has stopped at k3s-worker-2." in said, said
    assert not lab.cordoned(), said
    lab("fault", "ssh-up", "pve2")
    lab.kubectl("delete", "pdb,deployment", "pinned")
    done = lab.upgrade()
    assert done.status == 0, done.text
    assert set(lab.versions().values()) == {version}
    assert not lab.cordoned()


def test_a_down_etcd_member_protects_the_others(two_hosts: Lab) -> None:
    lab = two_hosts
    before = lab.versions()
    lab.offer_next()
    lab.inside(103, "systemctl stop k3s")
    try:
        lab.upgrade().assert_failed_with("k3s-controller-3: server_down: its k3s does not answer")
        assert lab.versions() == before
    finally:
        lab.inside(103, "systemctl start --no-block k3s")
        lab.wait_until("the third server", lambda: lab.api_is_ready(103))


def test_health_uses_the_next_controller_and_reports_if_none_answers(
    two_hosts: Lab, tmp_path: Path
) -> None:
    lab, report = two_hosts, tmp_path / "k3s.json"
    controllers = {101: "pve1", 102: "pve2", 103: "pve1"}

    # Of one name there may be two: a node that is NotReady, and the API beside it.
    def troubles() -> set[tuple[str, str]]:
        return {(verdict["object"], verdict["reason"]) for verdict in json.loads(report.read_text())["verdicts"]}

    def check() -> Run:
        return lab.play("check-k3s-cluster-health", "-e", f"k3s_health_output={report}")

    lab.inside(101, "systemctl stop k3s")
    try:
        # It may have led etcd.
        lab.wait_until("the others being ready", lambda: lab.api_is_ready(102, "pve2") and lab.api_is_ready(103))
        check().assert_failed_with("container 102 on pve2", "NOT HEALTHY")
        assert ("k3s-controller-1", "Unanswered") in troubles()
        for vmid, host in controllers.items():
            lab.inside(vmid, "systemctl stop k3s", host)
        check().assert_failed_with("k3s is inactive (dead)")
        assert troubles() == {
            ("kube-apiserver", "Unreachable"),
            ("k3s-controller-2", "Unanswered"),
            ("k3s-controller-3", "Unanswered"),
        }
        assert "k3s_health_healthy 0\n" in report.with_suffix(".prom").read_text()
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o644}
    finally:
        for vmid, host in controllers.items():
            lab.inside(vmid, "systemctl start --no-block k3s", host)
    run = lab.play("check-k3s-cluster-health", "-e", "k3s_health_wait=90")
    run.assert_unchanged()


def test_renews_all_certificates_one_server_at_a_time(two_hosts: Lab, tmp_path: Path) -> None:
    lab = two_hosts
    places = {101: "pve1", 102: "pve2", 103: "pve1", 111: "pve1", 112: "pve2"}
    tls = "/var/lib/rancher/k3s/{}"
    files = {vmid: tls.format("server/tls/client-admin.crt" if vmid < 110 else "agent/client-kubelet.crt") for vmid in places}

    def fingerprints() -> dict[int, str]:
        return {vmid: lab.inside(vmid, f"sha256sum < {files[vmid]}", host) for vmid, host in places.items()}

    def down_by_our_hand() -> list[dict]:
        return [json.loads(line) for line in lab("status", "--history").splitlines()]

    lab.wait_until("all nodes being Ready", lambda: lab.ready_nodes() == 5)
    before, begun = fingerprints(), len(down_by_our_hand())
    arguments = ["-e", "k3s_rotate_all=true", "-e", "k3s_kubeconfig_server=10.99.0.101"]
    kubeconfig = str(tmp_path / "config")
    run = lab.play("refresh-k3s-kubeconfig", *arguments, "-e", "k3s_certificates_force=true", KUBECONFIG=kubeconfig)
    assert run.status == 0, run.text
    after = fingerprints()
    assert all(before[vmid] != after[vmid] for vmid in places), run.text
    events = down_by_our_hand()[begun:]
    assert {event["server"] for event in events if event["event"] == "stopping"} == {f"k3s-controller-{n}" for n in (1, 2, 3)}
    assert min(len(event["up"]) for event in events) == 2, events
    lab.play("refresh-k3s-kubeconfig", *arguments, KUBECONFIG=kubeconfig).assert_unchanged()
