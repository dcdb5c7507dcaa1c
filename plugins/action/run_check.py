# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule
from ansible_collections.homelab.k3s.plugins.plugin_utils.given import Given, plain_tree

PAIR_VARIABLES = [
    "k3s_upgrade_canary_pairs",
    "k3s_upgrade_canary_old_worker_host",
    "k3s_upgrade_canary_new_worker_host",
    "k3s_prereqs_profile",
]


class ActionModule(BinaryActionModule):
    MODULE = "run_check"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._given = Given(task_vars or {}, self._loader)
        return super().run(tmp, task_vars)

    def added_arguments(self) -> dict[str, Any]:
        return {
            "inventory": self._given.inventory(),
            "variables": self._given.variables(),
            "known": self._given.known,
            "own": self._given.own(),
            "values": {**self._given.values(self._chosen_by()), **self._values_of_the_play(self._chosen_by())},
        }

    def _chosen_by(self) -> list[str]:
        """The variables whose values the module needs, not only their types."""
        arguments = self._task.args
        names = [arguments[option] for option in ("nodes_of", "gone_of") if arguments.get(option)]
        return names + PAIR_VARIABLES if boolean(arguments.get("worker_pairs") or False) else names

    def _values_of_the_play(self, names: list[str]) -> dict[str, Any]:
        """What an `import_playbook` sets in `vars`: more than the inventory, and less than `-e`."""
        of_play = self._task._parent._play.vars
        return {
            name: plain_tree(self._templar.template(of_play[name]))
            for name in names
            if name in of_play and not self._given.is_extra(name)
        }
