"""From empty containers to a cluster, an interrupted run, and a node that is removed and reinstalled."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import Lab, Run, lab_with


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """New containers: two controllers, one worker."""
    yield from lab_with(
        tmp_path_factory.mktemp("lab"), "--controllers", "2", "--workers", "1", "--empty", "all", "--time-factor", "10"
    )


SETTINGS = """
all:
  vars:
    k3s_server_config: {disable: [metrics-server]}
    k3s_agent_config: {node-label: [tier=work]}
    k3s_node_config: "{{ {'node-label+': ['first=yes']} if inventory_hostname == 'k3s-worker-1' else {} }}"
    k3s_server_config_secrets: {agent-token: lab-agent-token, etcd-s3-secret-key: lab-s3-secret-key}
    k3s_registries: {configs: {registry.lab: {auth: {username: lab, password: lab-registry-password}}}}
"""
# The first server's own token is made by it, that of the agents is given.
GIVEN = ("lab-registry-password", "lab-agent-token", "lab-s3-secret-key")


def install(lab: Lab, *arguments: str) -> Run:
    settings = lab.folder / "settings.yaml"
    settings.write_text(SETTINGS)
    return lab.play("install-k3s", "-i", str(settings), *arguments)


def ready_late(lab: Lab, vmid: int, seconds: int) -> None:
    """Delays an agent's READY to systemd, as in a k3s that waits for the next heartbeat of its node."""
    lab.inside(vmid, f"mkdir -p /etc/lab && echo '{{\"agent-ready\": {seconds}}}' >/etc/lab/faults.json")


def test_the_plan_changes_nothing(lab: Lab) -> None:
    planned = install(lab, "--check", "--diff", "-vvv")
    assert planned.status == 0, planned.text
    for word in ("as the first server", "join the cluster as a server", "join the cluster as a worker", "registries.yaml"):
        assert word in planned.text
    assert not [word for word in GIVEN if word in planned.text]
    assert lab.inside(101, "ls -A /usr/local/bin; ls /etc/rancher 2>/dev/null; true") == ""


def test_warns_of_an_unknown_flag_before_writing_it(lab: Lab) -> None:
    planned = install(lab, "--check", "-e", '{"k3s_node_config": {"node-lable": ["a=b"]}}')
    assert planned.status == 0, planned.text
    text = " ".join(planned.text.split())
    assert "is known to have a flag node-lable: a server passes over it" in text, planned.text
    assert "is known to have a flag node-lable: an agent that does not have it does not start" in text, planned.text


def test_installs_a_cluster_in_empty_containers(lab: Lab) -> None:
    # Killed in the midst of the first server's installation.
    run = lab.begin("install-k3s", "-i", str(lab.folder / "settings.yaml"))
    record = "test -f /var/lib/homelab-k3s/install-record.json && echo yes; true"
    lab.wait_until("an installation begins", lambda: lab.inside(101, record).strip() == "yes")
    lab.kill(run, remote_too=True)
    done = install(lab, "-vvv", "--diff")
    assert done.status == 0, done.text[-4000:]
    lab.assert_no_secret_in(done, 101, *GIVEN)
    nodes = lab.nodes()
    assert set(nodes) == {"k3s-controller-1", "k3s-controller-2", "k3s-worker-1"}
    voters = [name for name, node in nodes.items() if "node-role.kubernetes.io/etcd" in node["metadata"]["labels"]]
    assert len(voters) == 2
    assert nodes["k3s-worker-1"]["metadata"]["labels"].get("first") == "yes"
    assert nodes["k3s-worker-1"]["metadata"]["labels"].get("tier") == "work"
    assert "metrics-server" not in lab.kubectl("get", "deployments", "-A")
    files = lab.inside(111, "stat -c '%a %n' /etc/rancher/k3s/registries.yaml /etc/rancher/k3s/config.yaml.d/*")
    assert {line.split()[0] for line in files.splitlines()} == {"600"}
    unit = lab.inside(111, "cat /etc/systemd/system/k3s-agent.service*")
    token = lab.inside(101, "cat /var/lib/rancher/k3s/server/token").strip().rsplit(":", 1)[-1]
    assert "ExecStart" in unit and not [word for word in (token, *GIVEN) if word in unit]


def test_installs_a_worker_whose_unit_is_active_late(lab: Lab) -> None:
    name = "k3s-worker-1"
    removed = uninstall(lab, name, "-e", f"k3s_uninstall_confirm={name}")
    assert removed.status == 0, removed.text[-4000:]
    ready_late(lab, 111, 600)
    begun = time.monotonic()
    done = install(lab)
    assert done.status == 0, done.text[-4000:]
    assert time.monotonic() - begun < 300
    for words in ("k3s-agent.service is still activating", "node k3s-worker-1 was Ready after", "network policies"):
        assert words in done.text, done.text[-4000:]
    assert lab.inside(111, "systemctl is-active k3s-agent; true").strip() == "activating"
    pid = lab.inside(111, "systemctl show -p MainPID k3s-agent")
    # The next run leaves it alone.
    install(lab).assert_unchanged()
    assert lab.inside(111, "systemctl show -p MainPID k3s-agent") == pid
    # Nor is it waited for when its container starts.
    lab("exec", "--", "pct", "stop", "111")
    started = lab.play("join-k3s-worker", "-e", "k3s_join_worker_host=k3s-worker-1")
    assert started.status == 0, started.text[-4000:]
    assert lab.inside(111, "systemctl is-system-running; true").strip() == "starting"
    lab.inside(111, "rm /etc/lab/faults.json && systemctl restart k3s-agent")


def uninstall(lab: Lab, names: str, *arguments: str) -> Run:
    return lab.play("uninstall-k3s", "-e", f"k3s_uninstall_hosts={names}", *arguments)


def test_refuses_to_remove_nodes_by_mistake(lab: Lab) -> None:
    lab.play("uninstall-k3s").assert_failed_with("names no node of the group k3s_cluster")
    uninstall(lab, "k3s-worker-1,k3s-wroker-2").assert_failed_with("k3s_uninstall_hosts names k3s-wroker-2")
    uninstall(lab, "k3s-worker-1", "-e", "k3s_uninstall_confirm=k3s_workers").assert_failed_with(
        "-e k3s_uninstall_confirm=k3s-worker-1", "Nothing was touched"
    )
    uninstall(lab, "k3s_controllers").assert_failed_with("the cluster would be gone")
    uninstall(lab, "k3s_controllers", "-e", "k3s_uninstall_cluster=true").assert_failed_with("k3s-worker-1 would be left")
    assert len(lab.nodes()) == 3
    assert lab.cordoned() == set()


def killed(lab: Lab, name: str, task: str) -> None:
    """A removal that is killed between a task and the previous one."""
    run = lab.begin("uninstall-k3s", "-e", f"k3s_uninstall_hosts={name}", "-e", f"k3s_uninstall_confirm={name}")
    lab.hold_in(task)
    lab.kill(run, remote_too=True)


def test_removes_a_controller_after_killed_runs(lab: Lab) -> None:
    name = "k3s-controller-2"
    # Drained; then out of etcd, perhaps in the midst of the script; then without k3s, and the cluster still has its Node.
    for task in ("Remove its etcd member", "Run k3s' uninstall script", "List the etcd members"):
        killed(lab, name, task)
        assert name in lab.nodes()
    assert lab.cordoned() == {name}
    run = lab.begin("uninstall-k3s", "-e", f"k3s_uninstall_hosts={name}", "-e", f"k3s_uninstall_confirm={name}", "-vvv", "--diff")
    # What a killed run has asked for may still happen while the next one is at work.
    lab.hold_in("Renew the cluster lock")
    lab.kubectl("delete", "node", name)
    done = lab.go_on(run)
    assert done.status == 0, done.text[-4000:]
    lab.assert_no_secret_in(done, 101, *GIVEN)
    assert set(lab.nodes()) == {"k3s-controller-1", "k3s-worker-1"}
    assert "/etc/rancher/node" in done.text
    assert lab.inside(102, "ls /usr/local/bin /etc/systemd/system | grep k3s; true") == ""
    secrets = lab.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
    assert "k3s-controller-2.node-password" not in secrets and "k3s-worker-1.node-password" in secrets
    uninstall(lab, name, "-e", f"k3s_uninstall_confirm={name}").assert_unchanged()


def brought(lab: Lab, name: str, make: str) -> str:
    """Creates a file on the Proxmox host; returns the variables with its path and hash."""
    lab("exec", "--", "sh", "-c", f"cd /root && {make}")
    total = lab("exec", "--", "sha256sum", f"/root/{name}").split()[0]
    kind = name.split(".")[0]
    return f"k3s_install_{kind}_path: /root/{name}, k3s_install_{kind}_sha256: {total}"


def test_reinstalls_a_removed_node_without_a_download(lab: Lab) -> None:
    version = lab.versions()["k3s-controller-1"]
    url = f"http://10.99.0.1:8080/releases/download/{version}/k3s"
    files = [brought(lab, "binary", f"curl -sf {url} -o binary"), brought(lab, "images.tar", "echo images > images.tar")]
    lab("fault", "download", "404")
    lab("fault", "sums", "404")
    # With the only server stopped, there must be no other cluster, and no node can part from this one.
    lab.inside(101, "systemctl stop k3s")
    install(lab, "-e", "k3s_primary_controller_host=k3s-controller-2").assert_failed_with("the first server of another cluster")
    uninstall(lab, "k3s-worker-1").assert_failed_with("No remaining controller's API is ready")
    # It is started again, and the other joins it.
    again = install(lab, "-e", "{" + ", ".join(files) + "}")
    assert again.status == 0, again.text
    assert set(lab.versions().values()) == {version} and len(lab.nodes()) == 3
    assert lab.inside(102, "cat /var/lib/rancher/k3s/agent/images/images.tar").strip() == "images"


def test_joins_one_worker_without_a_download(lab: Lab) -> None:
    version = lab.versions()["k3s-controller-1"]
    lab("fault", "clear")
    url = "http://10.99.0.1:8080"
    files = [
        brought(lab, "binary", f"curl -sf {url}/releases/download/{version}/k3s -o binary"),
        brought(lab, "images.tar", "echo images of a worker > images.tar"),
        brought(lab, "script", f"curl -sf {url}/install.sh -o script"),
    ]
    for what in ("download", "sums", "script"):
        lab("fault", what, "404")
    lab("fault", "rebuild", "111")
    done = lab.play("join-k3s-worker", "-e", "k3s_join_worker_host=k3s-worker-1", "-e", "{" + ", ".join(files) + "}")
    assert done.status == 0, done.text[-4000:]
    assert lab.versions()["k3s-worker-1"] == version
    assert lab.inside(111, "cat /var/lib/rancher/k3s/agent/images/images.tar").strip() == "images of a worker"


def test_removes_a_cluster_with_all_its_nodes(lab: Lab) -> None:
    names = ["-e", "k3s_uninstall_confirm=k3s_cluster", "-e", "k3s_uninstall_cluster=true"]
    done = uninstall(lab, "k3s_cluster", *names)
    assert done.status == 0, done.text
    for vmid in (101, 102, 111):
        assert lab.inside(vmid, "ls -A /usr/local/bin /var/lib/rancher /etc/rancher/k3s 2>/dev/null | grep k3s; true") == ""
    uninstall(lab, "k3s_cluster", *names).assert_unchanged()
