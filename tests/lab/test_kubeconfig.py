"""Kubeconfigs and certificates: refusals, killed runs, and secrets that must not be shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import Lab

HERE = "k3s_kubeconfig_server=10.99.0.101"


@pytest.fixture(autouse=True)
def intact(lab: Lab):
    yield
    lab("fault", "clear")
    lab.inside(101, "systemctl restart k3s")
    lab.wait_until("the API", lambda: lab.api_is_ready(101))


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "kube" / "config"


def refresh(lab: Lab, dest: Path, *arguments: str):
    return lab.play("refresh-k3s-kubeconfig", "-e", HERE, *arguments, KUBECONFIG=str(dest))


def expire(lab: Lab) -> None:
    lab("fault", "cert-expired", "101")
    refused = lab.inside(101, "/usr/local/bin/k3s kubectl get nodes 2>&1 || true")
    assert "certificate has expired" in refused, refused


def k3s_started(lab: Lab) -> str:
    return lab.inside(101, "systemctl show -P ActiveEnterTimestampMonotonic k3s")


def test_writes_a_new_kubeconfig_once(lab: Lab, dest: Path) -> None:
    run = refresh(lab, dest)
    assert run.status == 0, run.text
    assert oct(dest.stat().st_mode)[-3:] == "600"
    assert oct(dest.parent.stat().st_mode)[-3:] == "700"
    written = yaml.safe_load(dest.read_text())
    assert written["current-context"] == "k3s-k3s-controller-1"
    assert written["clusters"][0]["cluster"]["server"] == "https://10.99.0.101:6443"
    lab.leave_lock()
    refresh(lab, dest).assert_unchanged()
    assert lab.holder() == ""


def test_check_mode_writes_and_restarts_nothing(lab: Lab, dest: Path) -> None:
    expire(lab)
    before = k3s_started(lab)
    run = refresh(lab, dest, "--check", "--diff")
    assert run.status == 0, run.text
    assert "k3s certificate rotate" in run.text
    assert not dest.exists()
    assert k3s_started(lab) == before


def test_fails_if_renewal_is_disabled(lab: Lab, dest: Path) -> None:
    expire(lab)
    before = k3s_started(lab)
    run = refresh(lab, dest, "-e", "k3s_kubeconfig_rotate_if_expired=false")
    run.assert_failed_with("has expired", "rotate_if_expired")
    assert k3s_started(lab) == before
    assert not dest.exists()


def test_shows_no_key_at_any_verbosity(lab: Lab, dest: Path) -> None:
    expire(lab)
    [old_key] = lab.inside(101, "grep -h client-key-data /etc/rancher/k3s/k3s.yaml | cut -d: -f2").split()
    run = refresh(lab, dest, "-vvv", "--diff")
    assert run.status == 0, run.text
    user = yaml.safe_load(dest.read_text())["users"][0]["user"]
    # Any part of it would be too much; a line of base64 as PEM has it is enough to search for.
    for key in (user["client-key-data"], old_key):
        assert key[80:140] not in run.text
    assert "PRIVATE KEY" not in run.text
    # Nor is it left in a file on the way: this machine and the Proxmox host share their folders.
    for folder in ("/tmp", "/var/tmp", str(Path.home() / ".ansible")):
        found = subprocess.run(
            ["grep", "-rlF", "--", user["client-key-data"][80:140], folder], capture_output=True, text=True, check=False
        )
        assert [path for path in found.stdout.splitlines() if path != str(dest)] == []


def test_resumes_after_a_kill_between_stop_and_start(lab: Lab, dest: Path) -> None:
    expire(lab)
    lab.inside(101, "touch /etc/lab/rotate-pause")
    run = lab.begin("refresh-k3s-kubeconfig", "-e", HERE, "-e", f"k3s_kubeconfig_dest={dest}")
    lab.wait_until("the renewal's pause", lambda: "yes" in lab.inside(101, "pgrep -f 'certificate rotat[e]' >/dev/null && echo yes || true"))
    lab.kill(run, remote_too=True)
    # Kill the script in the container too, before its child: otherwise it would start
    # k3s as soon as the child is gone.
    lab.inside(101, "pkill -KILL -f '^/bin/sh -s$'; pkill -KILL -f 'certificate rotat[e]'; rm -f /etc/lab/rotate-pause; true")
    assert lab.inside(101, "systemctl is-active k3s || true").strip() == "inactive"
    run = refresh(lab, dest)
    assert run.status == 0, run.text
    assert lab.inside(101, "systemctl is-active k3s").strip() == "active"
    assert lab("kubectl", "--here", "--kubeconfig", str(dest), "get", "nodes", "-o", "name").split()
    refresh(lab, dest).assert_unchanged()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("empty", ["k3s.yaml", "empty"]),
        ("truncated-pem", ["k3s.yaml", "client-certificate-data"]),
        ("no-client-certificate", ["k3s.yaml", "client-certificate-data"]),
        ("ca-mismatch", ["k3s.yaml", "authority"]),
    ],
)
def test_refuses_an_invalid_kubeconfig(lab: Lab, dest: Path, what: str, words: list[str]) -> None:
    lab("fault", "kubeconfig", "101", what)
    refresh(lab, dest).assert_failed_with(*words)
    assert not dest.exists()


def test_warns_of_a_name_that_does_not_resolve(lab: Lab, dest: Path) -> None:
    run = lab.play(
        "refresh-k3s-kubeconfig", "-e", "k3s_kubeconfig_server=no-such-name.invalid", KUBECONFIG=str(dest)
    )
    assert run.status == 0, run.text
    assert "no-such-name.invalid" in run.text
    assert dest.exists()


def test_certificates_that_expire_soon_fail_the_check(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "certificates.json"
    run = lab.play("check-k3s-certificates", "-e", f"k3s_certificates_output={report}", KUBECONFIG=str(tmp_path / "none"))
    assert run.status == 0, run.text
    assert {entry["host"] for entry in json.loads(report.read_text())["certificates"]} >= {
        "k3s-controller-1",
        "k3s-worker-1",
        "k3s-worker-2",
    }
    lab("fault", "cert-expired", "101", "--what", "admin", "--days=-20")
    run = lab.play("check-k3s-certificates", KUBECONFIG=str(tmp_path / "none"))
    run.assert_failed_with("k3s-controller-1", "system:admin")
    lab("fault", "stop", "112")
    run = lab.play("check-k3s-certificates", KUBECONFIG=str(tmp_path / "none"))
    lab("fault", "start", "112")
    run.assert_failed_with("k3s-worker-2")
