# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user may choose about the way of the programs to the hosts.

Each is a line of `[homelab_k3s]` in ansible.cfg, an environment variable, or an Ansible variable; the later wins.
Ansible has no options of action plugins, hence the registration by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import constants as C

DEFINITIONS = {
    "verify": {
        "description": [
            "When the kept program is hashed before its use, which costs some 3 ms for each MB of it.",
            "V(changed) hashes it again where its size, its inode or a time of it has changed since it was verified.",
            "V(never) trusts the folder, which only root or the user itself can write.",
        ],
        "type": "str",
        "choices": ["changed", "always", "never"],
        "default": "changed",
        "env": [{"name": "HOMELAB_K3S_VERIFY"}],
        "ini": [{"section": "homelab_k3s", "key": "verify"}],
        "vars": [{"name": "homelab_k3s_verify"}],
    },
    "keep": {
        "description": [
            "Whether programs are kept on the hosts, in C(~/.ansible/homelab.k3s).",
            "V(false) leaves nothing there: each task sends the program as Ansible sends any binary module.",
        ],
        "type": "bool",
        "default": True,
        "env": [{"name": "HOMELAB_K3S_KEEP"}],
        "ini": [{"section": "homelab_k3s", "key": "keep"}],
        "vars": [{"name": "homelab_k3s_keep"}],
    },
}
PLUGIN = {"plugin_type": "action", "plugin_name": "homelab.k3s"}


def setting(name: str, task_vars: Mapping[str, Any], templar: Any) -> Any:
    """The value that holds for this task."""
    C.config.initialize_plugin_configuration_definitions(PLUGIN["plugin_type"], PLUGIN["plugin_name"], DEFINITIONS)
    known = [entry["name"] for entry in DEFINITIONS[name]["vars"]]
    variables = {key: templar.template(task_vars[key]) for key in known if key in task_vars}
    return C.config.get_config_value(name, variables=variables, **PLUGIN)
