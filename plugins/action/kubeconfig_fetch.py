# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule


class ActionModule(BinaryActionModule):
    MODULE = "kubeconfig_fetch"
    SECRET_RESULTS = ("kubeconfig",)

    def added_arguments(self) -> dict[str, Any]:
        """What `kubectl` would see where ansible-playbook was started; elsewhere that would be another one's."""
        if self._task.args.get("state") != "written" or self._connection.transport != "local" or self._connection.become:
            return {}
        seen = {"kubeconfig_env": os.environ.get("KUBECONFIG"), "home": str(Path.home()), "cwd": os.getcwd()}
        return {name: value for name, value in seen.items() if value and self._task.args.get(name) is None}
