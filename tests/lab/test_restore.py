"""Backups restored in the lab: the loss is shown before, and the objects afterwards are those of the backup."""

from __future__ import annotations

import json
import subprocess

import pytest
from conftest import Lab, Run
from test_backup import FOLDER, backup, many, on_host

THEN, LATER = 300, 40


def restore(lab: Lab, name: str, *arguments: str, confirm: bool = True) -> Run:
    given = ["-e", f"k3s_backup_dir={FOLDER}", "-e", f"k3s_restore_backup={name}"]
    if confirm:
        given += ["-e", f"k3s_restore_confirm={name}"]
    return lab.play("restore-k3s", *given, *arguments)


def take(lab: Lab) -> str:
    """The name of a new backup."""
    run = backup(lab, "-e", "k3s_backup_keep=1")
    assert run.status == 0, run.text
    return on_host(lab, f"cd {FOLDER} && ls *.tar.gz").strip().removesuffix(".tar.gz")


def kept(lab: Lab) -> set[str]:
    names = lab.kubectl("get", "configmaps", "-o", "name").split()
    return {name for name in names if "/kept-" in name or "/later-" in name}


def add_later(lab: Lab) -> None:
    lab.kubectl("create", "--validate=false", "-f", "-", stdin=many(LATER).replace("kept-", "later-"))


def assert_restored(lab: Lab, run: Run, vmids: dict[int, str]) -> None:
    assert run.status == 0, run.text
    assert kept(lab) == {f"configmap/kept-{number}" for number in range(THEN)}
    for vmid, host in vmids.items():
        state = lab.inside(vmid, "systemctl is-enabled k3s; systemctl is-active k3s; ls /var/lib/homelab-k3s", host)
        assert state.split()[:2] == ["enabled", "active"], state
        assert "restore.json" not in state and "restore\n" not in state, state
    ready = {name: node["status"]["conditions"] for name, node in lab.nodes().items()}
    for name, conditions in ready.items():
        assert [it["status"] for it in conditions if it["type"] == "Ready"] == ["True"], name


@pytest.fixture(scope="module")
def one(lab: Lab) -> Lab:
    lab.kubectl("create", "--validate=false", "-f", "-", stdin=many(THEN))
    return lab


def test_touches_nothing_without_a_confirmation(one: Lab) -> None:
    name = take(one)
    add_later(one)
    for run in (restore(one, name, confirm=False), restore(one, name, "-e", "k3s_restore_confirm=something")):
        run.assert_failed_with("Nothing was touched", "configmap 3", f"k3s_restore_confirm={name}")
    check = restore(one, name, "--check")
    assert check.status == 0 and "gets the backup" in check.text, check.text
    assert len(kept(one)) == THEN + LATER
    restore(one, "no-such-backup").assert_failed_with("there is no backup no-such-backup")


def test_restores_sqlite_after_its_data_is_lost(one: Lab) -> None:
    name = on_host(one, f"cd {FOLDER} && ls *.tar.gz").strip().removesuffix(".tar.gz")
    one.inside(101, "systemctl stop k3s && rm -rf /var/lib/rancher/k3s/server")
    before = one.installation(101)
    run = restore(one, name, "-vvv", "--diff")
    assert_restored(one, run, {101: "pve1"})
    one.assert_no_secret_in(run)
    assert "No API is ready" in run.text
    after = one.installation(101)
    # The token was gone, and is back; nothing else has changed.
    assert [line for line in after.splitlines() if line not in before.splitlines()][-1].startswith("K10"), after
    again = restore(one, name)
    again.assert_failed_with("was restored already")


SERVERS = {101: "pve1", 102: "pve2", 103: "pve1"}


@pytest.fixture(scope="module")
def three(two_hosts: Lab) -> Lab:
    two_hosts.kubectl("create", "--validate=false", "-f", "-", stdin=many(THEN))
    return two_hosts


def members(lab: Lab) -> list[str]:
    """The voters, by the conditions of their Nodes."""
    voting = []
    for name, node in lab.nodes().items():
        conditions = {it["type"]: it["status"] for it in node["status"]["conditions"]}
        if conditions.get("EtcdIsVoter") == "True":
            voting.append(name)
    return sorted(voting)


CONTROLLERS = [f"k3s-controller-{number}" for number in (1, 2, 3)]


def assert_all_vote(lab: Lab) -> None:
    """A Node shows its member as a voter some seconds after etcd does."""
    lab.wait_until("all members voting", lambda: members(lab) == CONTROLLERS)


def test_restores_three_servers(three: Lab) -> None:
    name = take(three)
    add_later(three)
    configs = {vmid: three.installation(vmid, host) for vmid, host in SERVERS.items()}
    run = restore(three, name)
    assert_restored(three, run, SERVERS)
    assert_all_vote(three)
    assert {vmid: three.installation(vmid, host) for vmid, host in SERVERS.items()} == configs
    for vmid, host in SERVERS.items():
        kept_aside = three.inside(vmid, "cd /var/lib/rancher/k3s/server; ls -d before-restore-*/etcd db/etcd-old-* 2>/dev/null || true", host)
        assert "etcd" in kept_aside, f"the old database of {vmid} is gone"


def stage(lab: Lab, vmid: int) -> str:
    record = lab.inside(vmid, "cat /var/lib/homelab-k3s/restore.json 2>/dev/null || true", SERVERS[vmid])
    return json.loads(record)["stage"] if record else ""


def begin(lab: Lab, name: str) -> subprocess.Popen[str]:
    names = [f"k3s_restore_backup={name}", f"k3s_restore_confirm={name}", "k3s_restore_again=true"]
    given = [word for it in (f"k3s_backup_dir={FOLDER}", *names) for word in ("-e", it)]
    return lab.begin("restore-k3s", *given)


# The reset of a database of the lab lasts a moment, which a slow machine may not see. What is at work ends with the program
# that it has begun with.
SLOW = """cp /usr/bin/etcdctl /root/etcdctl
    printf '#!/bin/sh\\nsleep 3\\nexec /root/etcdctl "$@"\\n' > /usr/bin/etcdctl.new
    chmod 755 /usr/bin/etcdctl.new && mv /usr/bin/etcdctl.new /usr/bin/etcdctl"""
AS_EVER = "cp /root/etcdctl /usr/bin/etcdctl.new && mv /usr/bin/etcdctl.new /usr/bin/etcdctl"


def test_resumes_a_restore_that_is_killed_at_one_stage_after_the_other(three: Lab) -> None:
    name = take(three)
    add_later(three)
    three.inside(101, SLOW)
    for vmid, until, remote_too in ((103, "stopped", True), (101, "replacing", False), (102, "started", True)):
        run = begin(three, name)
        three.wait_until(f"{until} in {vmid}", lambda: stage(three, vmid) == until)
        three.kill(run, remote_too)
    three.inside(101, AS_EVER)
    again = restore(three, name, "-e", "k3s_restore_again=true")
    assert "An unfinished restore of this backup" in " ".join(again.text.split()), again.text
    assert_restored(three, again, SERVERS)
    assert_all_vote(three)


def test_resumes_after_a_failed_reset_without_old_data(three: Lab) -> None:
    name = take(three)
    add_later(three)
    three.inside(101, "mv /usr/bin/etcdctl /root/etcdctl")
    run = restore(three, name)
    three.inside(101, "mv /root/etcdctl /usr/bin/etcdctl")
    run.assert_failed_with("letting k3s replace its etcd", "datastore of the restored server was touched")
    for vmid, host in SERVERS.items():
        enabled = three.inside(vmid, "systemctl is-enabled k3s; systemctl is-active k3s || true", host).split()
        assert enabled == ["enabled", "inactive"], (vmid, enabled)
        if vmid != 101:
            assert three.inside(vmid, "ls /var/lib/rancher/k3s/server/db", host).split() == [], "the old data could come up"
    assert_restored(three, restore(three, name), SERVERS)


def test_restores_after_everything_is_lost(three: Lab) -> None:
    """Every server has lost the data of k3s; only its installation is left."""
    name = take(three)
    for vmid, host in SERVERS.items():
        three.inside(vmid, "systemctl stop k3s && rm -rf /var/lib/rancher/k3s/server /etc/rancher/node", host)
    run = restore(three, name)
    assert_restored(three, run, SERVERS)
    assert_all_vote(three)
