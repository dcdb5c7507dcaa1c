"""Expressions of the role and the playbooks on which the safety of a node depends, as Ansible evaluates them."""

from __future__ import annotations

import base64
import json
import re
import subprocess

import pytest
import yaml
from conftest import ROOT, SOUND

UNTOUCHED = "{{ k3s_is_untouched | bool }}"
WELL = "{{ k3s_is_well | bool }}"
# The expression, the facts of the node, and the value.
CASES = [
    (UNTOUCHED, {"k3s_seen_install": {"record": None}}, True),
    (UNTOUCHED, {"k3s_seen_install": {"record": None}, "k3s_installed": {"failed": True}}, False),
    # It was refused, it failed in a step, it died.
    (UNTOUCHED, {"k3s_seen_install": {"record": None}, "k3s_installed": {"failed": True, "changed": False, "actions": []}}, True),
    (UNTOUCHED, {"k3s_seen_install": {"record": None}, "k3s_installed": {"failed": True, "changed": True, "actions": []}}, False),
    (UNTOUCHED, {"k3s_seen_install": {"record": None}, "k3s_installed": {"failed": True, "changed": False, "actions": ["stop"]}}, False),
    (UNTOUCHED, {"k3s_seen_install": {"record": None}, "k3s_installed": {"failed": True, "changed": False, "rc": 137}}, False),
    (UNTOUCHED, {"k3s_seen_install": {"record": {"version": "v1.36.3+k3s1"}}}, False),
    # The installation could not be read.
    (UNTOUCHED, {"k3s_seen_install": {"failed": True}}, False),
    (WELL, {"k3s_left": {"record": None}, "k3s_alive": {"rc": 0}}, True),
    (WELL, {"k3s_left": {"record": None}, "k3s_alive": {"rc": 1}}, False),
    (WELL, {"k3s_left": {"record": {"version": "v1.36.3+k3s1"}}, "k3s_alive": {"rc": 0}}, False),
    (WELL, {"k3s_left": {"failed": True}, "k3s_alive": {"rc": 0}}, False),
    # No controller was ready to ask.
    (WELL, {"k3s_left": {"record": None}, "k3s_alive": {"skipped": True}}, False),
    ("{{ k3s_controllers_others_first }}", {"inventory_hostname": "c1"}, ["c2", "c1"]),
    ("{{ k3s_via }}", {"k3s_ready_controllers": ["c2"]}, "c2"),
    ("{{ k3s_via }}", {"k3s_ready_controllers": []}, "c1"),
    ("{{ k3s_is_stopped }}", {"k3s_stop_file": ""}, False),
    ("{{ k3s_is_stopped }}", {"k3s_stop_file": __file__}, True),
    ("{{ k3s_is_stopped }}", {"k3s_stop_file": __file__ + ".gone"}, False),
    ("{{ k3s_is_stopped }}", {"k3s_stop_file": "$PWD/."}, True),
]


def variable_of(playbook: str, play: str, name: str) -> str:
    plays = yaml.safe_load((ROOT / f"playbooks/playbook-{playbook}.yaml").read_text())
    return next(one["vars"][name] for one in plays if one["name"] == play)


# The lock that the first play has acquired is released by the last one, which has asked the other controllers first.
RESTARTS = variable_of("refresh-k3s-kubeconfig", "Fetch the kubeconfig", "k3s_restarts_something")
OTHERS_FIRST = {"k3s_asked": {"results": [{"item": "c2", "rc": 0}, {"item": "c1", "rc": 0}]}}
CASES += [
    (RESTARTS, {**OTHERS_FIRST, "k3s_kubeconfig_due": {"actions": ["renew the certificate"]}}, True),
    (RESTARTS, {**OTHERS_FIRST, "k3s_kubeconfig_due": {"actions": []}}, False),
    (RESTARTS, {**OTHERS_FIRST, "k3s_kubeconfig_due": {"actions": []}, "k3s_rotate_all": True}, True),
    (RESTARTS, {**OTHERS_FIRST, "k3s_kubeconfig_due": {"failed": True}}, False),
]
GATED = variable_of("refresh-k3s-kubeconfig", "Fetch the kubeconfig", "k3s_gate_restarts")
UNASKED = {"k3s_asked": {"results": [{"item": "c1", "rc": 1}, {"item": "c2", "msg": "c2 cannot be reached"}]}}
CASES += [
    (GATED, OTHERS_FIRST, True),
    (GATED, {**OTHERS_FIRST, "k3s_certificates_gate": "false"}, False),
    # A restart cannot make it worse.
    (GATED, UNASKED, False),
    ("{{ k3s_ready_controllers }}", UNASKED, []),
    ("{{ k3s_ready_controllers }}", {"k3s_asked": {"results": [{"item": "c2", "rc": None}, {"item": "c1", "rc": 0}]}}, ["c1"]),
    ("{{ k3s_fault }}", {"ansible_failed_result": {"failed": True, "msg": "it is full"}}, "it is full"),
    (
        "{{ k3s_fault }}",
        {"ansible_failed_result": {"results": [{"failed": True, "msg": "a"}, {"failed": False, "msg": "b"}, {"item": 3}, {"failed": True}]}},
        "a; no reason given",
    ),
]

# What is registered of some nodes and missing of the others.
REGISTERED = """c1 pct_id=101 k3s_node="{'node_name': 'n1'}" k3s_downloaded="{'msg': 'no such version'}"
c2 pct_id=102"""
CASES += [
    ("{{ k3s_expected_nodes }}", {}, ["n1"]),
    ("{{ k3s_download_faults }}", {"k3s_plan": {"turns": [{"host": host, "install": True} for host in ("c2", "c1")]}}, ["no such version"]),
]
for file in ("plan", "plan-batches"):
    [task] = yaml.safe_load((ROOT / f"playbooks/tasks/{file}.yaml").read_text())
    CASES.append((task["homelab.k3s.upgrade_plan"]["nodes"], {}, [{"node_name": "n1"}]))

# Drains beside each other share the budgets: each may take as long as all of them.
[DRAIN] = [
    task["homelab.k3s.node_drain"]
    for task in yaml.safe_load((ROOT / "playbooks/tasks/upgrade-node.yaml").read_text())[0]["block"]
    if task["name"] == "Drain the node"
]
for nodes, limits in ((["w1"], (120, 600)), (["w1", "w2", "w3"], (360, 1800))):
    for option, limit in zip(("evict_timeout", "timeout"), limits):
        CASES.append((DRAIN[option], {"k3s_round": nodes, "k3s_drain_evict_timeout": "120", "k3s_drain_timeout": 600}, limit))


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What each expression is, in one run."""
    folder = tmp_path_factory.mktemp("expressions")
    inventory = folder / "hosts.ini"
    inventory.write_text(SOUND.replace("c1 pct_id=101", REGISTERED))
    tasks = [
        {
            "name": f"Case {number}",
            # In one word, which Ansible does not break.
            "ansible.builtin.debug": {"msg": f"case-{number}={{{{ value | to_json | b64encode }}}}"},
            "vars": {**facts, "value": expression},
        }
        for number, (expression, facts, _) in enumerate(CASES)
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["homelab.k3s.k3s"], "tasks": tasks}
    (folder / "play.yaml").write_text(yaml.safe_dump([play]))
    command = ["ansible-playbook", "-i", str(inventory), str(folder / "play.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"case-(\d+)=([\w+/=]+)", done.stdout))
    return [json.loads(base64.b64decode(found[str(number)])) for number in range(len(CASES))]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][0][:40]} {CASES[number][1]}")
def test_expressions_are_safe_where_something_is_unknown(values: list[object], number: int) -> None:
    expression, facts, expected = CASES[number]
    assert values[number] == expected, (expression, facts)
