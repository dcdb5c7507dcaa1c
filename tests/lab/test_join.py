"""Controllers that join a cluster: new ones, rebuilt ones under the same and under another name, the first one too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from conftest import HELD, Lab, lab_with

DATA = "/var/lib/rancher/k3s"
OURS = "/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-join.yaml"
# Its name is that of an empty container which stands in for another one's machine in the last test.
SPARE = 104


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One controller with etcd, three empty containers for others, one worker."""
    options = ("--controllers", "4", "--workers", "1", "--time-factor", "10", "--empty", "102,103,104")
    for lab in lab_with(tmp_path_factory.mktemp("lab"), *options):
        know(lab, 101, 102)
        yield lab


def know(lab: Lab, *vmids: int) -> None:
    """Writes the inventory with these controllers."""
    text = lab("inventory")
    for vmid in {101, 102, 103, 104} - set(vmids):
        name = f"k3s-controller-{vmid - 100}"
        entry = f"            {name}:\n              pct_id: {vmid}\n              node_name: {name}\n              pve_host: pve1\n"
        assert entry in text
        text = text.replace(entry, "")
    lab.inventory.write_text(text)


def etcdctl(lab: Lab, through: int, words: str) -> dict:
    tls = f"{DATA}/server/tls/etcd"
    options = f"--cacert {tls}/server-ca.crt --cert {tls}/client.crt --key {tls}/client.key"
    return json.loads(
        lab.inside(through, f"ETCDCTL_API=3 etcdctl {options} --endpoints https://127.0.0.1:2379 -w json {words}")
    )


def members(lab: Lab, through: int) -> dict[str, str]:
    """The etcd members by node name, with their state."""
    found = etcdctl(lab, through, "member list")["members"]
    return {
        member.get("name", "").rsplit("-", 1)[0]: "learner" if member.get("isLearner") else "voter" for member in found
    }


def assert_voters(lab: Lab, *vmids: int) -> None:
    wanted = {f"k3s-controller-{vmid - 100}": "voter" for vmid in vmids}
    for vmid in vmids:
        assert members(lab, vmid) == wanted
    nodes = lab.nodes()
    servers = {name for name, node in nodes.items() if "node-role.kubernetes.io/etcd" in node["metadata"]["labels"]}
    assert servers == set(wanted)
    ready = lab.kubectl("wait", "--for=condition=Ready", "node", *wanted, "--timeout=60s")
    assert ready.count("condition met") == len(vmids)


def join(lab: Lab, *arguments: str) -> str:
    run = lab.play("join-k3s-ha-servers", *arguments)
    assert run.status == 0, run.text
    token = lab.inside(101, f"cat {DATA}/server/token").strip().rsplit(":", 1)[-1]
    assert token not in run.text, "a secret was printed"
    return run.text


def marks(lab: Lab) -> int:
    return len(lab("status", "--history").splitlines())


def leader(lab: Lab, through: int) -> dict:
    """The etcd member that leads, as this server sees it. Answers only where there is one."""
    leads = etcdctl(lab, through, "endpoint status")[0]["Status"]["leader"]
    return next(member for member in etcdctl(lab, through, "member list")["members"] if member["ID"] == leads)


def make_leader(lab: Lab, vmid: int) -> None:
    """Lets this server lead etcd: then the loss of another one is not followed by an election, in which all may fail."""
    found = leader(lab, vmid)
    name = f"k3s-controller-{vmid - 100}"
    if not found["name"].startswith(name):
        wanted = next(member for member in etcdctl(lab, vmid, "member list")["members"] if member["name"].startswith(name))
        at = found["clientURLs"][0]
        etcdctl(lab, vmid, f"move-leader {wanted['ID']:x} --endpoints {at}")
    assert leader(lab, vmid)["name"].startswith(name)


def assert_one_down_at_most(lab: Lab, since: int, of: set[int]) -> None:
    """No two of these servers, which were up before, were down at once."""
    names = {f"k3s-controller-{vmid - 100}" for vmid in of}
    changes = lab("status", "--history").splitlines()[since:]
    assert changes, "no server has started since"
    for line in changes:
        down = names - set(json.loads(line)["up"])
        assert len(down) <= 1, "\n".join([line, *changes, *(journal_of(lab, vmid) for vmid in of)])


def journal_of(lab: Lab, vmid: int) -> str:
    return lab.inside(vmid, "journalctl --unit k3s --lines 60 --no-pager --output short-precise")


def test_check_mode_shows_the_plan_and_changes_nothing(lab: Lab) -> None:
    run = lab.play("join-k3s-ha-servers", "--check")
    run.assert_unchanged()
    for words in ("an etcd voter already", "it joins https://10.99.0.101:6443"):
        assert words in run.text, run.text
    assert lab.inside(102, f"ls {OURS} 2>/dev/null; true") == ""


def test_refuses_a_join_before_anything_is_touched(lab: Lab) -> None:
    lab.inside(102, "mkdir -p /etc/rancher/k3s; echo 'cluster-cidr: 10.9.0.0/16' > /etc/rancher/k3s/config.yaml")
    run = lab.play("join-k3s-ha-servers")
    lab.inside(102, "rm /etc/rancher/k3s/config.yaml")
    run.assert_failed_with("(setting)", "cluster-cidr", "nothing was touched")
    run = lab.play("join-k3s-ha-servers", "-e", "k3s_api_url=https://10.99.0.250:6443")
    run.assert_failed_with("(unreachable)")
    run = lab.play("join-k3s-ha-servers", "-e", "k3s_primary_controller_host=k3s-controller-2")
    run.assert_failed_with("whose API is not ready")
    run = lab.play("join-k3s-ha-servers", "-e", "k3s_join_replaces=k3s-controller-2")
    run.assert_failed_with("which is still in the inventory")
    assert lab.inside(102, f"ls {OURS} 2>/dev/null; true") == ""
    assert members(lab, 101) == {"k3s-controller-1": "voter"}


def test_a_join_refuses_a_held_lock(lab: Lab, held: None) -> None:
    know(lab, 101, 102)
    lab.play("join-k3s-ha-servers").assert_failed_with(*HELD)
    assert members(lab, 101) == {"k3s-controller-1": "voter"}


def test_joins_two_controllers_after_a_killed_run(lab: Lab) -> None:
    know(lab, 101, 102, 103)
    since = marks(lab)
    run = lab.begin("join-k3s-ha-servers")
    lab.wait_until("its etcd", lambda: "wal" in lab.inside(103, f"ls {DATA}/server/db/etcd/member 2>/dev/null; true"))
    lab.kill(run, remote_too=True)
    lab("fault", "kill", "103", "k3s server")
    join(lab)
    assert_voters(lab, 101, 102, 103)
    assert lab.inside(102, f"stat -c %a {OURS}").strip() == "600"
    assert lab.inside(102, "systemctl is-enabled conf-kmsg.service").strip() == "enabled"
    assert_one_down_at_most(lab, since, {101, 102})


def test_rejoins_the_first_controller_after_a_rebuild(lab: Lab) -> None:
    before = {vmid: lab.installation(vmid) for vmid in (102, 103)}
    version = lab.versions()["k3s-controller-1"]
    make_leader(lab, 102)
    lab("fault", "rebuild", "101")
    since = marks(lab)
    with lab.without_downloads(version) as files:
        said = join(lab, *files)
    # Whichever is ready first.
    through = re.search(r"joined through k3s-controller-([23]):", said)
    assert through, said
    assert_voters(lab, 101, 102, 103)
    assert f"server: https://10.99.0.10{through[1]}:6443" in lab.inside(101, f"cat {OURS}")
    assert {vmid: lab.installation(vmid) for vmid in before} == before
    assert_one_down_at_most(lab, since, {101, 102, 103})
    lab.play("join-k3s-ha-servers").assert_unchanged()


def test_a_foreign_learner_blocks_the_join_and_stays(lab: Lab) -> None:
    know(lab, 101, 102, 103, SPARE)
    added = etcdctl(lab, 102, "member add ghost --learner --peer-urls=https://10.99.0.250:2380")
    run = lab.play("join-k3s-ha-servers", "-e", "k3s_etcd_wait=3")
    run.assert_failed_with("is a learner, not a voter yet", "k3s-controller-4")
    assert members(lab, 102)[""] == "learner"
    etcdctl(lab, 102, f"member remove {added['member']['ID']:x}")


def test_reports_why_a_server_did_not_join(lab: Lab) -> None:
    wrong = json.dumps({"k3s_server_args": ["--token=not-the-one"], "k3s_install_timeout": 8})
    run = lab.play("join-k3s-ha-servers", "-e", wrong)
    run.assert_failed_with("the server does not accept this token", "k3s-controller-4")
    lab.play("join-k3s-ha-servers").assert_failed_with("(other_token)", "nothing was touched")
    lab("fault", "rebuild", str(SPARE))
    assert_voters(lab, 101, 102, 103)


def test_replaces_a_controller_that_is_gone_for_good(lab: Lab) -> None:
    make_leader(lab, 101)
    lab("fault", "stop", "103")
    since = marks(lab)
    know(lab, 101, 102, SPARE)
    run = lab.play("join-k3s-ha-servers", "-e", "k3s_etcd_wait=3")
    run.assert_failed_with("k3s-controller-3", "is not healthy", "k3s_join_replaces=")
    join(lab, "-e", "k3s_join_replaces=k3s-controller-3")
    assert_voters(lab, 101, 102, SPARE)
    assert_one_down_at_most(lab, since, {101, 102})


def test_rejoins_a_rebuilt_worker(lab: Lab) -> None:
    before = lab.nodes()["k3s-worker-1"]["metadata"]["uid"]
    for arguments, words in (
        (["k3s_join_worker_host=k3s-controller-1"], "Name one of the group k3s_workers"),
        (["k3s_join_worker_host=k3s-worker-1", "-e", "k3s_join_server_url=http://10.99.0.101:6443"], "url: "),
    ):
        lab.play("join-k3s-worker", "-e", *arguments).assert_failed_with(words)
    lab("fault", "rebuild", "111")
    lab("fault", "stop", "111")
    worker = ("-e", "k3s_join_worker_host=k3s-worker-1", "-e", "k3s_join_server_url=https://10.99.0.102:6443")
    run = lab.play("join-k3s-worker", *worker)
    assert run.status == 0, run.text
    assert lab.nodes()["k3s-worker-1"]["metadata"]["uid"] != before
    ready = lab.kubectl("wait", "--for=condition=Ready", "node", "k3s-worker-1", "--timeout=60s")
    assert "condition met" in ready
    assert "server: https://10.99.0.102:6443" in lab.inside(111, f"cat {OURS}")
    lab.play("join-k3s-worker", *worker).assert_unchanged()
