# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule
from ansible_collections.homelab.k3s.plugins.plugin_utils.given import Given


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
        }
