# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule
from ansible_collections.homelab.k3s.plugins.plugin_utils.control_node import controller


class ActionModule(BinaryActionModule):
    MODULE = "cluster_lock"

    def added_arguments(self) -> dict[str, Any]:
        return {"controller": controller()}
