"""What stops every playbook before it starts. The words of each fault: modules/run_check/tests/cases.yml."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml
from conftest import PLAYBOOKS, ROOT, SOUND, play, together

# Where --limit means the nodes to work on.
OF_NODES = [
    "check-k3s-certificates",
    "check-k3s-cluster-health",
    "ensure-worker-prereqs",
    "postcheck-k3s-upgrade",
    "upgrade-k3s",
]
NEED_WORKERS = ["canary-worker-cutover", "join-k3s-worker", "k3s-major-upgrade"]


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory):
    """Each playbook once, with an inventory without the cluster's group, a limit, and a misspelt and a mistyped variable."""
    inventory = tmp_path_factory.mktemp("begin") / "hosts.ini"
    inventory.write_text(SOUND.split("[k3s_cluster:children]")[0])
    wrong = ["-e", "k3s_drain_timout=5", "-e", "k3s_drain_evict_timeout=soon", "--limit", "w2"]
    runs = together(partial(play, playbook, inventory, *wrong) for playbook in PLAYBOOKS)
    return dict(zip(PLAYBOOKS, runs))


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_every_playbook_checks_groups_limit_and_variables(all_at_once, playbook: str) -> None:
    run = all_at_once[playbook]
    run.assert_refused_with(
        "The group k3s_cluster is missing in the inventory",
        "[k3s_cluster:children] k3s_controllers k3s_workers",
        "k3s_drain_timout (given with -e) is not a variable of these playbooks. Did you mean k3s_drain_timeout?",
        'k3s_drain_evict_timeout (given with -e) is "soon", and has to be a whole number.',
    )
    refused = "--limit w2 does not apply to this playbook: "
    # The group that a limit is compared with is missing.
    named = "--limit w2 names no node of the group k3s_cluster"
    assert (named if playbook in OF_NODES else refused) in run.words, run.text


def test_the_suggested_lines_can_be_copied(all_at_once) -> None:
    lines = [line.strip() for line in all_at_once["upgrade-k3s"].text.splitlines()]
    at = lines.index("[k3s_cluster:children]")
    assert lines[at + 1 : at + 3] == ["k3s_controllers", "k3s_workers"]


def test_refuses_a_missing_workers_group_where_needed(tmp_path: Path) -> None:
    """A cluster may be one server; playbooks for workers report the missing group."""
    inventory = tmp_path / "hosts.ini"
    lines = [line for line in SOUND.splitlines() if not line.startswith("w") and line not in ("[k3s_workers]", "k3s_workers")]
    inventory.write_text("\n".join(lines) + "\n")
    *runs, other = together(partial(play, playbook, inventory) for playbook in [*NEED_WORKERS, "backup-k3s"])
    for run in runs:
        run.assert_refused_with("The group k3s_workers is missing", "[k3s_workers] k3s-worker-1 pct_id=111")
    other.assert_begun()


def test_reports_faults_of_nodes_in_every_inventory_format(tmp_path: Path, sound: Path) -> None:
    ini = sound.read_text().replace("w2 pct_id=112", "w2 pct_id=111")
    groups = {
        "pve": {"hosts": {"pve1": {"ansible_host": "192.0.2.11"}}},
        "k3s_cluster": {
            "children": {
                "k3s_controllers": {"hosts": {"c1": {"pct_id": 101}}},
                "k3s_workers": {"hosts": {"w1": {}, "w2": {"pct_id": 112, "pve_host": "pve9"}}},
            }
        },
    }
    answer = {
        "pve": {"hosts": ["pve1"]},
        "k3s_controllers": {"hosts": ["c1"]},
        "k3s_workers": {"hosts": ["w1"]},
        "_meta": {"hostvars": {"pve1": {}, "c1": {"pct_id": 101}, "w1": {"node_name": "c1"}}},
    }
    script = tmp_path / "hosts.py"
    script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(answer)!r})\n")
    script.chmod(0o755)
    sound.write_text(ini)
    in_yaml = tmp_path / "hosts.yaml"
    in_yaml.write_text(yaml.safe_dump({"all": {"children": groups}}))
    runs = together(partial(play, "upgrade-k3s", inventory) for inventory in (sound, in_yaml, script))
    runs[0].assert_refused_with("w1 and w2 have the pct_id 111 on pve1: each node has its own.")
    runs[1].assert_refused_with(
        "w1 has no pct_id (`pct list` on its Proxmox host shows the id). Write: w1: pct_id: 111",
        "w2 has the pve_host pve9, which is not in the group pve (pve1)",
    )
    runs[2].assert_refused_with(
        "The group k3s_cluster is missing",
        '"k3s_cluster": {"children": ["k3s_controllers", "k3s_workers"]}',
        'Write: "_meta": {"hostvars": {"w1": {"pct_id": "111"}}}',
        "c1 and w1 have the node_name c1",
    )


def test_refuses_an_unreadable_inventory(tmp_path: Path) -> None:
    """Ansible would continue with what it has read so far: up to a group that is its own grandchild, or nothing at all."""
    cycle = tmp_path / "hosts.ini"
    cycle.write_text(SOUND + "[k3s_workers:children]\nk3s_cluster\n")
    runs = together(partial(play, "check-k3s-cluster-health", inventory) for inventory in (cycle, tmp_path / "none.ini"))
    for run in runs:
        assert run.status != 0 and "TASK" not in run.text, run.text
    assert "recursive dependency loop" in runs[0].words
    assert "none.ini" in runs[1].words


def test_refuses_an_inventory_that_was_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of one's own has Ansible's default: it warns, and goes on with what it has read so far."""
    monkeypatch.setenv("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "false")
    cycle = tmp_path / "hosts.ini"
    cycle.write_text(SOUND + "[more]\nw3 pct_id=113\n[more:children]\nless\n[less:children]\nmore\n")
    folder = tmp_path / "folder"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "group_vars/all.yml").write_text("a: b\n")
    (folder / "hosts.ini").write_text(SOUND)
    sound = play("check-k3s-cluster-health", folder)
    (folder / "more.yaml").write_text("k3s_workers: {hosts: {w3: {pct_id: 113}, w4: [}}\n")
    runs = together(partial(play, "check-k3s-cluster-health", inventory) for inventory in (cycle, folder))
    sound.assert_begun()
    runs[0].assert_refused_with("hosts.ini could not be read to its end")
    runs[1].assert_refused_with("folder/more.yaml could not be read to its end")


def test_refuses_a_missing_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "false")
    run = play("check-k3s-cluster-health", tmp_path / "none.ini")
    run.assert_refused_with("none.ini could not be read", "The group pve is missing", "The group k3s_controllers is missing", "The group k3s_cluster is missing")


def test_checks_the_variables_of_the_inventory(sound: Path) -> None:
    """Names without the prefix are not checked, nor are those in k3s_own_variables."""
    sound.with_name("group_vars").mkdir()
    sound.with_name("group_vars").joinpath("all.yaml").write_text(
        yaml.safe_dump(
            {
                "k3s_own_variables": ["k3s_site", "k3s_mine_*"],
                "k3s_site": "here",
                "k3s_mine_ups": "there",
                "site": "k3s",
                "k3s_drian_force": True,
                "k3s_backup_keep": "{{ 7 * 2 }}",
                "k3s_min_free_mb": "{{ 'many' }}",
                "k3s_server_config_secrets": "sesame",
                "k3s_backup_fetch_dir": "{{ what_only_a_task_has }}",
            }
        )
    )
    [run] = together([partial(play, "backup-k3s", sound, "-vvv", "-e", '{"k3s_registries": "sesame"}')])
    assert run.status == 2, run.text
    faults = re.findall(r"\b(k3s_\w+) \((?:given|in the inventory)", run.words)
    assert set(faults) == {"k3s_drian_force", "k3s_min_free_mb", "k3s_server_config_secrets", "k3s_registries"}, run.text
    assert "k3s_drian_force (in the inventory, of c1 and 2 more) is not a variable of these playbooks. Did you mean k3s_drain_force?" in run.words
    assert "sesame" not in re.sub(r"-e \{.*?sesame.*", "", run.text), run.text


def test_accepts_a_valid_inventory(sound: Path) -> None:
    """Also with a valid limit, and with -e as operators write it."""
    given = ["-e", "k3s_drain_force=yes k3s_drain_timeout=5 k3s_prereqs_allow=nesting,kmsg k3s_drain_grace_period=''"]
    pairs = ["-e", '{"k3s_upgrade_canary_pairs": [{"old": "w1", "new": "w2"}]}', "-e", "@k3s/vars/major-upgrade/rocky10.yaml"]
    runs = together(
        [
            partial(play, "upgrade-k3s", sound, "--limit", "w2", *given),
            partial(play, "check-k3s-certificates", sound, "--limit", "k3s_workers"),
            partial(play, "k3s-major-upgrade", sound, *pairs),
        ]
    )
    for run in runs:
        run.assert_begun()


def test_refuses_a_limit_without_a_node(sound: Path) -> None:
    run = play("upgrade-k3s", sound, "--limit", "pve1")
    run.assert_refused_with("--limit pve1 names no node of the group k3s_cluster (c1, w1, w2).")


def test_tags_do_not_skip_the_check(sound: Path) -> None:
    run = play("upgrade-k3s", sound, "--tags", "none-such", "-e", "k3s_drian_force=true")
    run.assert_refused_with("Did you mean k3s_drain_force?")


# The list of variables has one owner


def specification() -> dict[str, dict]:
    text = (ROOT / "roles/k3s/meta/argument_specs.yml").read_text()
    return yaml.safe_load(text)["argument_specs"]["playbooks"]["options"]


def test_every_default_is_in_the_specification() -> None:
    text = (ROOT / "roles/k3s/defaults/main.yaml").read_text()
    settable = yaml.safe_load(text.split("# --- read by the tasks, not for setting")[0])
    # Of the nodes themselves, and of their groups.
    settable = {name: value for name, value in settable.items() if name.startswith("k3s_") and name != "k3s_role"}
    options = specification()
    assert list(options) == list(settable)
    for name, value in settable.items():
        is_worked_out = isinstance(value, str) and "{{" in value
        if is_worked_out or (value == "" and options[name]["type"] == "int"):
            assert "default" not in options[name], name
        else:
            assert options[name]["default"] == value, name


def test_every_variable_is_in_the_example() -> None:
    text = (ROOT / "inventory/group_vars/k3s_cluster.yaml").read_text()
    listed = re.findall(r"^# (k3s_\w+):", text, re.MULTILINE)
    assert set(listed) == set(specification())


# What the run's variables choose


def chosen(folder: Path, inventory: str, play: dict, *arguments: str) -> dict:
    """The answer of the first check, of one play that begins as every playbook does."""
    (folder / "hosts.ini").write_text(inventory)
    shown = {"name": "Show", "ansible.builtin.debug": {"msg": "chosen={{ k3s_begun | to_json | b64encode }}"}}
    plays = [
        {"ansible.builtin.import_playbook": str(ROOT / "playbooks/begin.yaml"), **play},
        {"hosts": "w2", "connection": "local", "gather_facts": False, "tasks": [shown]},
    ]
    (folder / "play.yaml").write_text(yaml.safe_dump(plays))
    command = ["ansible-playbook", "-i", str(folder / "hosts.ini"), str(folder / "play.yaml"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    found = re.search(r"chosen=([\w+/=]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return json.loads(base64.b64decode(found[1]))


@pytest.mark.parametrize(
    ("of_group", "of_import", "arguments", "named"),
    [
        ({}, {}, [], ["w1", "w2"]),
        ({"k3s_prereqs_hosts": "c1"}, {}, [], ["c1"]),
        ({"k3s_prereqs_hosts": "c1"}, {"k3s_prereqs_hosts": "w1"}, [], ["w1"]),
        ({"k3s_prereqs_hosts": "{{ 'w' ~ 2 }}"}, {}, [], ["w2"]),
        ({"k3s_prereqs_hosts": "c1"}, {"k3s_prereqs_hosts": "w1"}, ["-e", "k3s_prereqs_hosts=k3s_cluster"], ["c1", "w1", "w2"]),
    ],
)
def test_a_variable_chooses_nodes_wherever_it_is_set(
    tmp_path: Path, of_group: dict, of_import: dict, arguments: list[str], named: list[str]
) -> None:
    """By its default, in a group of the nodes (not of the Proxmox hosts), in an import of the playbook, and with -e."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/k3s_cluster.yaml").write_text(yaml.safe_dump(of_group))
    play = {"vars": {"k3s_run": "The preparation", "k3s_run_nodes_of": "k3s_prereqs_hosts", **of_import}}
    found = chosen(tmp_path, SOUND, play, *arguments)["nodes"]
    assert found["named"] == named
    assert found["others"] == [node for node in ["c1", "w1", "w2"] if node not in named]


def test_pairs_and_nodes_that_are_gone_are_read_from_lists(tmp_path: Path) -> None:
    play = {"vars": {"k3s_run": "The upgrade", "k3s_run_worker_pairs": True, "k3s_run_gone_of": "k3s_join_replaces"}}
    given = ["-e", '{"k3s_upgrade_canary_pairs": [{"old": "w1", "new": "w2"}], "k3s_join_replaces": ["n7", "w1"]}']
    found = chosen(tmp_path, SOUND, play, *given, "-e", "@k3s/vars/major-upgrade/rocky10.yaml")
    assert found["pairs"] == {
        "workers": ["w2", "w1"],
        "of": {"w1": {"old": "w1", "new": "w2", "is_new": False}, "w2": {"old": "w1", "new": "w2", "is_new": True}},
        "not_workers": [],
        "is_ambiguous": False,
        "is_repeated": False,
        "profile_fault": None,
    }
    assert found["gone"] == {"named": ["n7", "w1"], "in_inventory": ["w1"]}
