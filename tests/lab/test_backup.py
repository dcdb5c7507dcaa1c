"""Backups taken in the lab: what is in them, who may read them, and what a killed run leaves."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import Lab, Run

# The root of a Proxmox host in the lab is its own; most else is the machine's.
FOLDER = "/root/backups"
OBJECTS = 300


def many(count: int) -> str:
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"kept-{number}"}, "data": {"n": str(number)}}
        for number in range(count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def count(lab: Lab) -> int:
    return len(lab.kubectl("get", "configmaps", "-o", "name").split())


def on_host(lab: Lab, script: str) -> str:
    return lab("exec", "--", "sh", "-c", script)


def backup(lab: Lab, *arguments: str) -> Run:
    return lab.play("backup-k3s", "-e", f"k3s_backup_dir={FOLDER}", *arguments)


def nothing_is_left(lab: Lab, vmid: int) -> None:
    look = "ls -d /var/lib/homelab-k3s/outgoing.* /var/lib/.homelab-k3s-carried.* 2>/dev/null; ls /var/lib/rancher/k3s/server/db/snapshots 2>/dev/null || true"
    assert "outgoing" not in (left := lab.inside(vmid, look)), left
    assert "carried" not in left and "homelab-archive" not in left, left
    assert ".part" not in on_host(lab, f"ls {FOLDER}")


@pytest.fixture(scope="module")
def filled(lab: Lab) -> Lab:
    lab.kubectl("create", "--validate=false", "-f", "-", stdin=many(OBJECTS))
    return lab


def test_check_mode_changes_nothing(filled: Lab) -> None:
    run = backup(filled, "--check")
    assert run.status == 0, run.text
    assert "copy the SQLite datastore" in run.text
    assert on_host(filled, f"ls {FOLDER} 2>/dev/null || true") == ""


def test_a_backup_and_its_copy_are_private_files(filled: Lab, tmp_path: Path) -> None:
    here = tmp_path / "backups"
    run = backup(filled, "-e", f"k3s_backup_fetch_dir={here}")
    assert run.status == 0, run.text
    listed = on_host(filled, f"stat -c '%a %n' {FOLDER} {FOLDER}/*").split("\n")
    assert listed[0] == f"700 {FOLDER}" and listed[1].startswith(f"600 {FOLDER}/k3s-k3s-controller-1-2"), listed
    nothing_is_left(filled, 101)

    [fetched] = here.iterdir()
    assert stat.S_IMODE(here.stat().st_mode) == 0o700 and stat.S_IMODE(fetched.stat().st_mode) == 0o600
    there = on_host(filled, f"sha256sum {FOLDER}/{fetched.name}").split()[0]
    assert hashlib.sha256(fetched.read_bytes()).hexdigest() == there
    token = filled.inside(101, "cat /var/lib/rancher/k3s/server/token").strip()
    with tarfile.open(fetched) as archive:
        archive.extractall(tmp_path / "in", filter="data")
    assert (tmp_path / "in/server/token").read_text().strip() == token
    assert token.rsplit(":", 1)[1] not in run.text
    manifest = json.loads((tmp_path / "in/manifest.json").read_text())
    assert manifest["objects"]["configmap"] >= OBJECTS
    assert manifest["nodes"] == ["k3s-controller-1", "k3s-worker-1", "k3s-worker-2"]
    kept = "SELECT count(DISTINCT name) FROM kine WHERE name LIKE '%/configmaps/default/kept-%' AND deleted = 0"
    sqlite = ["sqlite3", tmp_path / "in/datastore/state.db", kept]
    assert subprocess.run(sqlite, capture_output=True, text=True, check=True).stdout.strip() == str(OBJECTS)


def test_removes_old_backups(filled: Lab, tmp_path: Path) -> None:
    fetch = ["-e", f"k3s_backup_fetch_dir={tmp_path}", "-e", "k3s_backup_keep=1"]
    for _ in range(2):
        run = backup(filled, *fetch)
        assert run.status == 0, run.text
    assert len(on_host(filled, f"ls {FOLDER}").split()) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_removes_what_a_killed_backup_left(filled: Lab) -> None:
    # A copy that takes its time, to be killed in it.
    filled.inside(101, "mkdir -p /var/lib/homelab-k3s/outgoing.killed && touch /var/lib/homelab-k3s/outgoing.killed/state.db")
    on_host(filled, f"mkdir -p {FOLDER} && touch {FOLDER}/k3s-k3s-controller-1-20200101T000000Z.tar.gz.part")
    run = backup(filled)
    assert run.status == 0, run.text
    nothing_is_left(filled, 101)


def test_refuses_a_folder_open_to_others(filled: Lab) -> None:
    on_host(filled, "mkdir -p /root/wide && chmod 755 /root/wide")
    backup(filled, "-e", "k3s_backup_dir=/root/wide").assert_failed_with("open to others (mode 755)")
    assert on_host(filled, "ls /root/wide") == ""
