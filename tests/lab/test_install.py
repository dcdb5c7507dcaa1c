"""From empty containers to a cluster: what k3s needs there, its installation, and runs that were cut off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Lab, Run, lab_with

PREREQS = "ensure-worker-prereqs"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Containers as new ones are: two controllers, two workers, the second one Rocky by its name."""
    for lab in lab_with(
        tmp_path_factory.mktemp("lab"), "--controllers", "2", "--workers", "2", "--empty", "all", "--time-factor", "10"
    ):
        lab("fault", "os-release", "112", "rocky10")
        yield lab


def packages(lab: Lab, vmid: int) -> list[str]:
    return lab.inside(vmid, "cat /var/lib/lab/packages.log 2>/dev/null; true").splitlines()


def test_what_a_container_lacks_is_named_and_no_node_is_changed(lab: Lab) -> None:
    conf = "/etc/pve/lxc/112.conf"
    lab("exec", "--", "sh", "-c", f"cp {conf} /tmp/112.conf; sed -i '/^features/d; /^lxc.apparmor/d' {conf}")
    refused = lab.play(PREREQS)
    lab("exec", "--", "cp", "/tmp/112.conf", conf)
    refused.assert_failed_with(f"give {conf} on pve1 the line `features: nesting=1`", "stop and start the container")
    lab("fault", "os-release", "112", "alpine")
    unknown = lab.play(PREREQS)
    lab("fault", "os-release", "112", "rocky10")
    unknown.assert_failed_with("the distribution is alpine")
    assert packages(lab, 111) == []
    lab.play(PREREQS, "-e", "k3s_prereqs_hosts=k3s-worker-9").assert_failed_with("names none of the nodes")


def test_workers_of_two_distributions_get_what_they_need_once(lab: Lab) -> None:
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


def test_a_profile_must_hold(lab: Lab) -> None:
    profile = "{k3s_prereqs_profile: {os_id: rocky, os_version: '10'}}"
    lab.play(PREREQS, "-e", profile, "-e", "k3s_prereqs_hosts=k3s-worker-2").assert_unchanged()
    lab.play(PREREQS, "-e", profile).assert_failed_with("the distribution is debian, and has to be rocky")


def test_a_busy_package_manager_is_told_in_its_own_words(lab: Lab) -> None:
    lab("fault", "packages", "111", "lock")
    lab.play(PREREQS, "-e", "{k3s_prereqs_packages: [open-iscsi]}", "-l", "k3s-worker-1").assert_failed_with(
        "installing open-iscsi ended with status 1", "Could not get lock"
    )
    lab("fault", "packages", "111", "none")


SETTINGS = """
all:
  vars:
    k3s_server_config: {disable: [metrics-server]}
    k3s_agent_config: {node-label: [tier=work]}
    k3s_node_config: "{{ {'node-label+': ['first=yes']} if inventory_hostname == 'k3s-worker-1' else {} }}"
    k3s_registries: {configs: {registry.lab: {auth: {username: lab, password: lab-registry-password}}}}
"""


def install(lab: Lab, *arguments: str) -> Run:
    settings = lab.folder / "settings.yaml"
    settings.write_text(SETTINGS)
    return lab.play("install-k3s", "-i", str(settings), *arguments)


def test_the_plan_changes_nothing(lab: Lab) -> None:
    planned = install(lab, "--check", "--diff")
    assert planned.status == 0, planned.text
    for word in ("as the first server", "join the cluster as a server", "join the cluster as a worker", "registries.yaml"):
        assert word in planned.text
    assert "lab-registry-password" not in planned.text
    assert lab.inside(101, "ls -A /usr/local/bin; ls /etc/rancher 2>/dev/null; true") == ""


def test_a_cluster_is_made_of_empty_containers(lab: Lab) -> None:
    # Killed in the midst of the first server's installation.
    run = lab.begin("install-k3s", "-i", str(lab.folder / "settings.yaml"))
    record = "test -f /var/lib/homelab-k3s/install-record.json && echo yes; true"
    lab.wait_until("an installation begins", lambda: lab.inside(101, record).strip() == "yes")
    lab.kill(run, remote_too=True)
    done = install(lab)
    assert done.status == 0, done.text
    assert "lab-registry-password" not in done.text
    nodes = lab.nodes()
    assert set(nodes) == {"k3s-controller-1", "k3s-controller-2", "k3s-worker-1", "k3s-worker-2"}
    voters = [name for name, node in nodes.items() if "node-role.kubernetes.io/etcd" in node["metadata"]["labels"]]
    assert len(voters) == 2
    assert nodes["k3s-worker-1"]["metadata"]["labels"].get("first") == "yes"
    assert nodes["k3s-worker-2"]["metadata"]["labels"].get("tier") == "work"
    assert "metrics-server" not in lab.kubectl("get", "deployments", "-A")
    token = lab.inside(101, "cat /var/lib/rancher/k3s/server/token").strip().rsplit(":", 1)[-1]
    assert token and token not in done.text
    files = lab.inside(111, "stat -c '%a %n' /etc/rancher/k3s/registries.yaml /etc/rancher/k3s/config.yaml.d/*")
    assert {line.split()[0] for line in files.splitlines()} == {"600"}
    assert token not in lab.inside(111, "cat /etc/systemd/system/k3s-agent.service*")


def test_a_node_that_is_installed_is_told_of_another_configuration_and_left_alone(lab: Lab) -> None:
    other = install(lab, "-e", "{k3s_agent_config: {node-label: [tier=other]}}")
    other.assert_unchanged()
    assert "50-homelab-k3s.yaml is not what the inventory says" in other.text


def uninstall(lab: Lab, names: str, *arguments: str) -> Run:
    return lab.play("uninstall-k3s", "-e", f"k3s_uninstall_hosts={names}", *arguments)


def test_nobody_is_removed_by_mistake(lab: Lab) -> None:
    lab.play("uninstall-k3s").assert_failed_with("names none of the nodes")
    uninstall(lab, "k3s-worker-2").assert_failed_with("-e k3s_uninstall_confirm=k3s-worker-2")
    uninstall(lab, "k3s-worker-2", "-e", "k3s_uninstall_confirm=k3s-worker-1").assert_failed_with("Nothing was touched")
    uninstall(lab, "k3s_controllers").assert_failed_with("nothing of the cluster would be left")
    uninstall(lab, "k3s_controllers", "-e", "k3s_uninstall_cluster=true").assert_failed_with("k3s-worker-1, k3s-worker-2 would be left")
    assert len(lab.nodes()) == 4
    assert lab.cordoned() == set()


def test_a_worker_and_a_controller_go(lab: Lab) -> None:
    names = "k3s-worker-2,k3s-controller-2"
    done = uninstall(lab, names, "-e", f"k3s_uninstall_confirm={names}")
    assert done.status == 0, done.text
    assert set(lab.nodes()) == {"k3s-controller-1", "k3s-worker-1"}
    assert "/etc/rancher/node" in done.text
    for vmid in (102, 112):
        assert lab.inside(vmid, "ls /usr/local/bin /etc/systemd/system | grep k3s; true") == ""
    secrets = lab.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
    assert "k3s-worker-2.node-password" not in secrets and "k3s-worker-1.node-password" in secrets


def brought(lab: Lab, name: str, make: str) -> str:
    """A file on the Proxmox host, made there; the variables that name it."""
    lab("exec", "--", "sh", "-c", f"cd /root && {make}")
    total = lab("exec", "--", "sha256sum", f"/root/{name}").split()[0]
    kind = name.split(".")[0]
    return f"k3s_install_{kind}_path: /root/{name}, k3s_install_{kind}_sha256: {total}"


def test_what_was_removed_comes_back_without_any_download(lab: Lab) -> None:
    version = lab.versions()["k3s-controller-1"]
    url = f"http://10.99.0.1:8080/releases/download/{version}/k3s"
    files = [brought(lab, "binary", f"curl -sf {url} -o binary"), brought(lab, "images.tar", "echo images > images.tar")]
    lab("fault", "download", "404")
    lab("fault", "sums", "404")
    # With the only server stopped, there must be no other cluster, and no node can part from this one.
    lab.inside(101, "systemctl stop k3s")
    install(lab, "-e", "k3s_primary_controller_host=k3s-controller-2").assert_failed_with("the first server of another cluster")
    uninstall(lab, "k3s-worker-1").assert_failed_with("is ready. A node is removed through one that stays")
    # It is started again, and the others join it.
    again = install(lab, "-e", "{" + ", ".join(files) + "}")
    assert again.status == 0, again.text
    assert set(lab.versions().values()) == {version} and len(lab.nodes()) == 4
    for vmid in (102, 112):
        assert lab.inside(vmid, "cat /var/lib/rancher/k3s/agent/images/images.tar").strip() == "images"
