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


@pytest.mark.parametrize("answer", ["json", "listing-only"])
def test_accepts_other_channel_formats(lab: Lab, answer: str) -> None:
    lab("fault", "channel", answer)
    run = lab.upgrade("--check")
    run.assert_unchanged()
    assert lab.channel("stable") in run.text


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


def test_check_mode_shows_the_plan_and_changes_nothing(lab: Lab) -> None:
    run = lab.upgrade("--check", "--diff")
    run.assert_unchanged()
    for name, vmid in (("k3s-controller-1", 101), ("k3s-worker-1", 111), ("k3s-worker-2", 112)):
        assert f"{name} (container {vmid} on pve1): {lab.starts()} -> {lab.channel('stable')}" in run.words, run.text
