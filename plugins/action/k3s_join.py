# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule


class ActionModule(BinaryActionModule):
    MODULE = "k3s_join"
    SECRET_RESULTS = ("token", "agent_token")
