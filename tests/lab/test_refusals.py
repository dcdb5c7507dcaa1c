"""What stops an upgrade before it starts: by name, with nothing changed."""

from __future__ import annotations

import pytest
from conftest import Lab


@pytest.fixture(autouse=True)
def untouched(lab: Lab):
    """After each test the cluster is unchanged."""
    before = (lab.versions(), lab.cordoned(), [lab.installation(vmid) for vmid in (101, 111, 112)])
    yield
    lab("fault", "clear")
    assert (lab.versions(), lab.cordoned(), [lab.installation(vmid) for vmid in (101, 111, 112)]) == before
    assert not lab.marks()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (["lock", "112", "backup"], ["k3s-worker-2", "locked (backup)"]),
        (["full-disk", "112"], ["k3s-worker-2: install: ", "MiB free on", "are wanted"]),
        (["missing", "112"], ["k3s-worker-2", "there is no container 112 on this Proxmox host"]),
    ],
)
def test_refuses_a_faulty_container(lab: Lab, fault: list[str], words: list[str]) -> None:
    lab("fault", *fault)
    lab.upgrade().assert_failed_with(*words)


def test_refuses_a_stopped_container(lab: Lab) -> None:
    lab("fault", "stop", "112")
    try:
        lab.upgrade().assert_failed_with("k3s-worker-2", "container 112 is stopped: start it with `pct start 112`")
    finally:
        lab("fault", "start", "112")
        lab.kubectl("wait", "--for=condition=Ready", "node/k3s-worker-2", "--timeout=60s")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (["k3s-worker-2", "pct_id", "900"], ["k3s-worker-2", "900 is a virtual machine (on pve1), not a container"]),
        (["k3s-worker-2", "pct_id", "111"], ["k3s-worker-1 and k3s-worker-2 have the pct_id 111 on pve1"]),
        (["k3s-worker-2", "node_name", "k3s-worker-9"], ["looking for the node k3s-worker-9: the cluster has none of that name"]),
    ],
)
def test_refuses_a_wrong_mapping(lab: Lab, variables: list[str], words: list[str]) -> None:
    host, key, value = variables
    wrong = lab.folder / "host_vars" / f"{host}.yaml"
    wrong.parent.mkdir(exist_ok=True)
    text = lab.inventory.read_text()
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() == f"{host}:")
    end = next((n for n in range(at + 1, len(lines)) if lines[n].strip().startswith(f"{key}:")), at)
    lines[end] = lines[end].split(f"{key}:")[0] + f"{key}: {value}"
    lab.inventory.write_text("\n".join(lines) + "\n")
    try:
        lab.upgrade().assert_failed_with(*words)
    finally:
        lab.inventory.write_text(text)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("404", "answered with status 404"),
        ("500", "answered with status 500"),
        ("html", "answered with status 200, text/html"),
        ("empty", "an empty answer"),
        ("name", "releases/tag/stable\""),
    ],
)
def test_refuses_garbage_from_the_channel_server(lab: Lab, answer: str, word: str) -> None:
    lab("fault", "channel", answer)
    lab.upgrade().assert_failed_with("asking for the channel stable", word, "no version of k3s in it")


@pytest.mark.parametrize("answer", ["json", "listing-only"])
def test_accepts_other_channel_formats(lab: Lab, answer: str) -> None:
    lab("fault", "channel", answer)
    run = lab.upgrade("--check")
    run.assert_unchanged()
    assert lab.channel("stable") in run.text


@pytest.mark.parametrize(
    ("download", "words"),
    [
        # curl reports a file that ends too early.
        ("truncated", ["downloading k3s v", "failed (status 18)"]),
        ("altered", ["has the SHA-256 sum", "truncated or altered, it was removed"]),
    ],
)
def test_refuses_a_damaged_download(lab: Lab, download: str, words: list[str]) -> None:
    lab("fault", "download", download)
    lab.upgrade().assert_failed_with("does not begin", "No node was drained", *words)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("v1.35.4+k3s1", ["downgrade: ", "is newer than v1.35.4+k3s1"]),
        ("v1.37.0+k3s1", ["leaves out v1.36", "-e k3s_target_version=v1.36.", "then v1.37.0+k3s1"]),
        ("stable", ['"stable" is not a version of k3s']),
    ],
)
def test_refuses_an_impossible_version(lab: Lab, version: str, words: list[str]) -> None:
    lab.upgrade("-e", f"k3s_target_version={version}").assert_failed_with(*words)


def test_refuses_an_unreachable_proxmox_host(lab: Lab) -> None:
    lab("fault", "ssh-down", "pve1", "--how", "refuse")
    try:
        lab.upgrade().assert_failed_with("k3s-controller-1", "port 22: Connection refused")
    finally:
        lab("fault", "ssh-up", "pve1")


def test_refuses_a_pod_without_a_controller(lab: Lab) -> None:
    lab.kubectl(
        "run", "naked", "--image=x", "--restart=Never", "--overrides",
        '{"spec": {"nodeName": "k3s-worker-1"}}',
    )
    try:
        lab.upgrade().assert_failed_with("naked", "k3s_drain_force")
    finally:
        lab.kubectl("delete", "pod", "naked", "--grace-period=0", "--force")


def test_check_mode_shows_the_plan_and_changes_nothing(lab: Lab) -> None:
    run = lab.upgrade("--check", "--diff")
    run.assert_unchanged()
    for name, vmid in (("k3s-controller-1", 101), ("k3s-worker-1", 111), ("k3s-worker-2", 112)):
        assert f"{name} (container {vmid} on pve1): {lab.starts()} -> {lab.channel('stable')}" in run.words, run.text
