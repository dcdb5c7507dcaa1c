"""Modules that several playbooks use have their arguments defined once, and every play uses those."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

DEFAULTS = yaml.safe_load((ROOT / "roles/k3s/defaults/main.yaml").read_text())
SHARED = {name.removeprefix("k3s_arguments_"): value for name, value in DEFAULTS.items() if name.startswith("k3s_arguments_")}
PLAYS = [
    (path.stem, play)
    for path in sorted((ROOT / "playbooks").glob("playbook-*.yaml"))
    for play in yaml.safe_load(path.read_text())
    if "module_defaults" in play
]


def tasks_of(items: list[dict]) -> list[dict]:
    """All tasks, also those in blocks."""
    found = []
    for item in items:
        found.append(item)
        for key in ("block", "rescue", "always"):
            found += tasks_of(item.get(key, []))
    return found


def task_files() -> dict[str, list[dict]]:
    folder = ROOT / "playbooks/tasks"
    return {path.name: tasks_of(yaml.safe_load(path.read_text())) for path in sorted(folder.glob("*.yaml"))}


def used_by(play: dict, files: dict[str, list[dict]]) -> set[str]:
    """The modules that a play may run, through all files that it imports or includes."""
    modules: set[str] = set()
    waiting, seen = tasks_of(play.get("tasks", [])), set()
    while waiting:
        task = waiting.pop()
        for key, value in task.items():
            if key.startswith("homelab.k3s."):
                modules.add(key.removeprefix("homelab.k3s."))
            if key in ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks"):
                file = (value if isinstance(value, str) else value["file"]).removeprefix("tasks/")
                if file not in seen:
                    seen.add(file)
                    waiting += files[file]
    return modules


@pytest.mark.parametrize("module", SHARED)
def test_shared_arguments_have_one_module_each(module: str) -> None:
    assert list(SHARED[module]) == [f"homelab.k3s.{module}"]


def test_every_play_uses_the_shared_arguments() -> None:
    files = task_files()
    checked = 0
    for path in sorted((ROOT / "playbooks").glob("playbook-*.yaml")):
        for play in yaml.safe_load(path.read_text()):
            for module in used_by(play, files) & set(SHARED):
                if module == "k3s_prereqs" and "prereqs.yaml" in str(play):
                    # That file has its own, with what the operating system has to be.
                    continue
                given = play.get("module_defaults", {}).get(f"homelab.k3s.{module}")
                assert given == f"{{{{ k3s_arguments_{module}['homelab.k3s.{module}'] }}}}", (path.name, play["name"], module)
                checked += 1
    assert checked > 20


def test_every_installation_uses_the_shared_arguments() -> None:
    """So binary_path, images_path and script_path reach every installation, for containers without a network."""
    for name, tasks in task_files().items():
        for task in tasks:
            own = set(task.get("homelab.k3s.k3s_install") or {}) - {"state", "version", "args", "run_id", "vmid", "node_name", "role"}
            assert not own, (name, task["name"], own)
    shared = SHARED["k3s_install"]["homelab.k3s.k3s_install"]
    for option in ("script_path", "binary_path", "images_path", "download_url"):
        assert re.fullmatch(r"\{\{ k3s_(install_)?" + option + r" \| default\(omit, true\) \}\}", shared[option])


OMITTED = "Hello world!"


@pytest.mark.parametrize(("value", "given"), [(0, "0"), (7, "7"), ("", OMITTED), (None, OMITTED), ("{{ omit }}", OMITTED)])
@pytest.mark.parametrize(
    ("variable", "module", "option"),
    [("k3s_drain_grace_period", "node_drain", "grace_period"), ("k3s_install_settle", "k3s_install", "settle")],
)
def test_zero_is_a_value_and_not_a_missing_one(
    tmp_path: Path, variable: str, module: str, option: str, value: object, given: str
) -> None:
    """`default(omit, true)` alone would leave out a 0 of the inventory: pods would get their own grace period."""
    argument = f"{{{{ k3s_arguments_{module}['homelab.k3s.{module}'].{option} }}}}"
    tasks = [
        # The default of `msg` is what shows that it was omitted.
        {"ansible.builtin.debug": {"msg": argument}, "register": "shown"},
        {"ansible.builtin.copy": {"content": "{{ shown.msg }}", "dest": str(tmp_path / "given")}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "roles": ["homelab.k3s.k3s"], "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": {variable: value, "pct_id": 101, "node_name": "n1"}}}))
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "given").read_text() == given
