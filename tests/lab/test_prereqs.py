"""Prerequisites of k3s in a container: named if only Proxmox can provide them, installed if possible from inside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Lab, lab_with

PREREQS = "ensure-worker-prereqs"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two workers in new containers, named Debian 13 and Rocky 10."""
    for lab in lab_with(
        tmp_path_factory.mktemp("lab"), "--controllers", "0", "--workers", "2", "--empty", "all", "--time-factor", "10"
    ):
        lab("fault", "os-release", "111", "debian13")
        lab("fault", "os-release", "112", "rocky10")
        yield lab


def packages(lab: Lab, vmid: int) -> list[str]:
    return lab.inside(vmid, "cat /var/lib/lab/packages.log 2>/dev/null; true").splitlines()


def test_names_missing_prerequisites_and_changes_no_node(lab: Lab) -> None:
    for vmid in (112, 111):
        file = f"/etc/pve/lxc/{vmid}.conf"
        lab("exec", "--", "sh", "-c", f"cp {file} /tmp/{vmid}.conf; sed -i '/^features/d; /^lxc.apparmor/d' {file}")
        if vmid == 112:
            refused = lab.play(PREREQS)
    both = lab.play(PREREQS)
    for vmid in (112, 111):
        lab("exec", "--", "cp", f"/tmp/{vmid}.conf", f"/etc/pve/lxc/{vmid}.conf")
    both.assert_failed_with("because of 2 of 2 nodes", "k3s-worker-1, k3s-worker-2: nesting: ")
    # Ansible prints the message of a failed task twice.
    assert both.text.count("features: nesting=1") == 2, both.text
    line = "give the container's configuration (/etc/pve/lxc/<pct_id>.conf) the line `features: nesting=1`"
    refused.assert_failed_with("k3s-worker-2: nesting: ", line, "stop and start the container")
    assert "k3s-worker-1: nesting" not in refused.text
    lab("fault", "os-release", "112", "alpine")
    unknown = lab.play(PREREQS)
    lab("fault", "os-release", "112", "rocky10")
    unknown.assert_failed_with("the distribution is alpine")
    assert packages(lab, 111) == []
    lab.play(PREREQS, "-e", "k3s_prereqs_hosts=k3s-worker-9").assert_failed_with("names no node of the group k3s_cluster")
    lab.play(PREREQS, "-e", "k3s_prereqs_hosts=k3s-worker-1,k3s-worker-9").assert_failed_with("k3s_prereqs_hosts names k3s-worker-9")


def test_installs_prerequisites_on_two_distributions_once(lab: Lab) -> None:
    planned = lab.play(PREREQS, "--check")
    assert planned.status == 0, planned.text
    assert packages(lab, 111) == packages(lab, 112) == []
    done = lab.play(PREREQS)
    assert done.status == 0, done.text
    assert packages(lab, 111)[-1].endswith("--no-install-recommends install nfs-common")
    assert packages(lab, 112) == ["DEBIAN_FRONTEND= dnf -y -q --setopt=install_weak_deps=False install nfs-utils"]
    for vmid in (111, 112):
        assert lab.inside(vmid, "readlink /dev/kmsg").strip() == "/dev/console"
    # /dev is new at every start, and k3s may not start before it is complete.
    lab("exec", "--", "pct", "reboot", "112")
    lab.wait_until("the container's boot", lambda: lab.inside(112, "systemctl is-system-running; true").strip() == "running")
    assert lab.inside(112, "readlink /dev/kmsg").strip() == "/dev/console"
    lab.play(PREREQS).assert_unchanged()


def test_refuses_a_node_that_does_not_match_its_profile(lab: Lab) -> None:
    profile = "{k3s_prereqs_profile: {os_id: rocky, os_version: '10'}}"
    lab.play(PREREQS, "-e", profile, "-e", "k3s_prereqs_hosts=k3s-worker-2").assert_unchanged()
    lab.play(PREREQS, "-e", profile).assert_failed_with("os_id: the distribution is debian, and has to be rocky")
    debian = "{k3s_prereqs_profile: {os_id: debian, os_version: '13'}}"
    lab.play(PREREQS, "-e", debian, "-e", "k3s_prereqs_hosts=k3s-worker-1").assert_unchanged()


def test_reports_a_busy_package_manager_with_its_message(lab: Lab) -> None:
    lab("fault", "packages", "111", "lock")
    lab.play(PREREQS, "-e", "{k3s_prereqs_packages: [open-iscsi]}", "-l", "k3s-worker-1").assert_failed_with(
        "installing open-iscsi ended with status 1", "Could not get lock"
    )
    lab("fault", "packages", "111", "none")
