# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Ansible was given for a run: the inventory, `--limit`, and the variables of the playbooks that somebody has set.

A run itself sets variables of the same prefix (registered answers, facts). They are kept out by asking a variable manager
of our own, which has seen no task.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.inventory.manager import IGNORED
from ansible.module_utils.common.collections import is_sequence
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

PREFIX = "k3s_"
GROUPS = ("pve", "k3s_cluster", "k3s_controllers", "k3s_workers")
NODE_VARIABLES = ("pct_id", "node_name", "pve_host")
SPECIFICATION = Path(__file__).parents[2] / "roles/k3s/meta/argument_specs.yml"
# What Ansible looks for where no inventory is given; it need not be there.
USUAL_INVENTORY = "/etc/ansible/hosts"
# Set by the playbooks' own group_vars, from the groups that a node is in.
OF_THE_PLAYBOOKS = {"k3s_role"}
# More about a variable than the module needs.
WORDS = ("description", "version_added")


class Given:
    """What one run was given."""

    def __init__(self, task_vars: Mapping[str, Any], loader: Any) -> None:
        self._task_vars = task_vars
        self._hostvars = task_vars["hostvars"]
        self._groups = task_vars["groups"]
        self._extra = load_extra_vars(loader)
        self._untouched = VariableManager(loader=loader, inventory=self._hostvars._inventory)
        self.known = known_variables()

    @property
    def nodes(self) -> list[str]:
        """Hosts of any of the nodes' groups, in the inventory's order."""
        return list(dict.fromkeys(host for name in GROUPS[1:] for host in self._groups.get(name, [])))

    def inventory(self) -> dict[str, Any]:
        sources = [str(source) for source in self._task_vars.get("ansible_inventory_sources") or []]
        return {
            "sources": list(map(_named, sources)),
            "unread": self._unread(),
            "form": _form(sources),
            "groups": {name: list(hosts) for name, hosts in self._groups.items()},
            "nodes": [self._node(host) for host in self.nodes],
            "limit": self._task_vars.get("ansible_limit"),
            "limited_to": list(self._task_vars.get("ansible_play_hosts_all", [])),
        }

    def _unread(self) -> list[str]:
        """The sources that no inventory plugin could read to their end. Ansible only warns of them, and has taken over a part."""
        manager = self._hostvars._inventory
        read = set(map(str, manager._inventory.processed_sources))
        given = [str(source) for source in manager._sources]
        given = [source for source in given if source != USUAL_INVENTORY or os.path.exists(source)]
        return [_named(file) for source in given for file in _files(source) if file not in read]

    def _node(self, host: str) -> dict[str, Any]:
        node: dict[str, Any] = {"host": host, "unreadable": {}}
        for name in NODE_VARIABLES:
            try:
                value = self._hostvars[host][name] if name in self._hostvars[host] else None
            except AnsibleError as error:
                node["unreadable"][name] = str(error)
                continue
            if _is_template(value):
                node["unreadable"][name] = f"{value} names a variable that is not set"
            else:
                node[name] = _plain(value)
        return node

    def own(self) -> list[str]:
        own = []
        for host in self.nodes:
            try:
                names = self._hostvars[host].get("k3s_own_variables") or []
            except AnsibleError:
                continue
            own.extend(map(str, [names] if isinstance(names, str) else names))
        return list(dict.fromkeys(own))

    def is_extra(self, name: str) -> bool:
        """Whether `-e` sets this variable."""
        return name in self._extra

    def values(self, names: list[str]) -> dict[str, Any]:
        """The values of these variables on the first node, else their defaults."""
        found = {}
        for name in names:
            is_set = bool(self.nodes) and name in self._hostvars[self.nodes[0]]
            value = self._value(self.nodes[0], name) if is_set else self.known.get(name, {}).get("default")
            if value is not UNKNOWN:
                found[name] = plain_tree(value)
        return found

    def variables(self) -> list[dict[str, Any]]:
        """Each variable with the prefix once for `-e`, and once for each value that the inventory has for it."""
        found = []
        for name, raw in _ours(self._extra):
            value = self._value(self.nodes[0], name) if self.nodes else raw
            if value is not UNKNOWN:
                found.append({"name": name, "extra": True, "value": self._judged(name, value)})
        of_hosts: list[dict[str, Any]] = []
        for host in self.nodes:
            of_host = self._hostvars._inventory.get_host(host)
            for name, _value in _ours(self._untouched.get_vars(host=of_host, include_hostvars=False)):
                if name in self._extra or name in OF_THE_PLAYBOOKS:
                    continue
                value = self._value(host, name)
                if value is UNKNOWN:
                    continue
                value = self._judged(name, value)
                same = next((one for one in of_hosts if (one["name"], one["value"]) == (name, value)), None)
                if same:
                    same["hosts"].append(host)
                else:
                    of_hosts.append({"name": name, "hosts": [host], "value": value})
        return found + of_hosts

    def _value(self, host: str, name: str) -> Any:
        """The value that the tasks will see; where it needs what only a task has, nobody can say yet."""
        if name not in self.known:
            return None
        try:
            value = self._hostvars[host][name]
        except AnsibleError:
            return UNKNOWN
        return UNKNOWN if _is_template(value) else value

    def _judged(self, name: str, value: Any) -> Any:
        """Enough to judge the type by. What is in a list or a dictionary, and what may be secret, stays here."""
        if isinstance(value, Mapping):
            return {}
        if is_sequence(value):
            return []
        secret = self.known.get(name, {}).get("no_log")
        return "********" if secret and value is not None else _plain(value)


UNKNOWN = object()


def known_variables() -> dict[str, dict[str, Any]]:
    """The variables of the playbooks by name, as the role's argument specification has them."""
    entries = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))["argument_specs"].values()
    options = {name: option for entry in entries for name, option in entry["options"].items()}
    return {
        name: {key: value for key, value in option.items() if key not in WORDS} for name, option in options.items()
    }


def _ours(variables: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in variables.items() if name.startswith(PREFIX))


def _files(source: str) -> Iterator[str]:
    """The files of an inventory, as Ansible finds them."""
    if not os.path.isdir(source):
        yield source
        return
    for name in sorted(os.listdir(source)):
        if not IGNORED.search(os.fsencode(name)):
            yield from _files(os.path.join(source, name))


def _named(source: str) -> str:
    return os.path.relpath(source) if os.path.exists(source) else source


def _form(sources: list[str]) -> str:
    """How the first source is written: advice is copied into it."""
    for source in sources:
        path = Path(source)
        if path.suffix in (".yml", ".yaml", ".json"):
            return "yaml"
        if path.is_file():
            return "script" if os.access(path, os.X_OK) else "ini"
    return "yaml"


def _is_template(value: Any) -> bool:
    """Until Ansible 2.18 a template that names what is not set comes untemplated."""
    return isinstance(value, str) and "{{" in value


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def plain_tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain_tree(one) for key, one in value.items()}
    if is_sequence(value):
        return [plain_tree(one) for one in value]
    return _plain(value)
