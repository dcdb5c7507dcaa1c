# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule


class ActionModule(BinaryActionModule):
    MODULE = "kubeconfig_fetch"
    ANSWERS_SECRETS = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = super().run(tmp, task_vars)
        if answer.get("failed"):
            # Nobody registers a failure for its content, and its message has to be seen.
            answer.pop("kubeconfig", None)
        elif answer.get("kubeconfig"):
            # Also where the task forgot to say so. Until 2.18 only the play's own word counts.
            answer["_ansible_no_log"] = self._play_context.no_log = True
        return answer

    def added_arguments(self) -> dict[str, Any]:
        """What `kubectl` would see where ansible-playbook was started; elsewhere that would be another one's."""
        if self._task.args.get("state") != "written" or self._connection.transport != "local" or self._connection.become:
            return {}
        seen = {"kubeconfig_env": os.environ.get("KUBECONFIG"), "home": str(Path.home()), "cwd": os.getcwd()}
        return {name: value for name, value in seen.items() if value and self._task.args.get(name) is None}
