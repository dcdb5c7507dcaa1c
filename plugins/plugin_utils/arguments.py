# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task's arguments: checked and typed as the module's stub says, its private values kept out of the answer."""

from __future__ import annotations

import copy
import datetime
import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.homelab.k3s.plugins.plugin_utils.binaries import COLLECTION

CENSORED = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
STARS = "********"
# A shorter value stands in every other word of an answer: it is hidden only where it stands alone.
SHORTEST_HIDDEN_INSIDE = 4
# A line of a private text (a key, a kubeconfig) that is shown on its own must be hidden on its own.
SHORTEST_HIDDEN_LINE = 16
LONGEST_TEXT_SPLIT_IN_LINES = 64 * 1024


class Arguments:
    """The arguments of one task, and its private values."""

    def __init__(self, module: str, given: Mapping[str, Any]) -> None:
        stub = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{module}")
        spec = _as_for_another_host(stub.ARGUMENT_SPEC)
        given = {name: value for name, value in given.items() if value is not None}
        checked = ArgumentSpecValidator(spec).validate(given)
        self._secrets = _forms_to_hide(checked._no_log_values)  # Only AnsibleModule reads it in public.
        self.warnings = [
            f"both option {warning['option']} and its alias {warning['alias']} are set" for warning in checked._warnings
        ]
        if checked.error_messages:
            raise AnsibleActionFail(self.censor(_refusal(module, checked)))
        self.values = _only_given(spec, given, checked.validated_parameters)

    @property
    def has_secrets(self) -> bool:
        return bool(self._secrets)

    def censor(self, answer: Any) -> Any:
        """The same answer without the private values."""
        return _censored(answer, self._secrets)


def to_json(arguments: Mapping[str, Any]) -> bytes:
    """As the module reads it; dates and vaulted values of older Ansible versions become text."""
    return json.dumps(arguments, default=_to_plain).encode("utf-8", errors="surrogateescape")


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Sequence) and not hasattr(value, "decrypt"):
        return list(value)
    return str(value)


def _as_for_another_host(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Paths are those of the target: `~` and `$HOME` of the control node must not be put in."""
    spec = copy.deepcopy(dict(spec))
    for option in spec.values():
        for key in ("type", "elements"):
            if option.get(key) == "path":
                option[key] = "str"
        if "options" in option:
            option["options"] = _as_for_another_host(option["options"])
    return spec


def _only_given(spec: Mapping[str, Any], given: Mapping[str, Any], checked: Mapping[str, Any]) -> dict[str, Any]:
    """The typed values of the options that the task names: defaults are the module's own business."""
    values = {}
    for name, option in spec.items():
        names = [name, *option.get("aliases", [])]
        value = next((given[known] for known in names if known in given), None)
        if value is None:
            continue
        # YAML reads `version: 1.30` as 1.3: only the module can say so, if it sees the number.
        is_lossy = option.get("type", "str") == "str" and isinstance(value, float)
        values[name] = value if is_lossy else checked[name]
    return values


def _refusal(module: str, checked: Any) -> str:
    unsupported = [".".join(name) if isinstance(name, tuple) else str(name) for name in checked.unsupported_parameters]
    message = "; ".join(checked.error_messages)
    if unsupported:
        message = f"Unsupported parameters for ({COLLECTION}.{module}) module: {message}"
    return message


def _forms_to_hide(values: set[str]) -> list[str]:
    """The private values as they may show up: trimmed, quoted, line by line; longest first, since one may hold another."""
    forms = set()
    for value in map(str, values):
        forms.update((value, value.strip(), json.dumps(value.strip())[1:-1]))
        if len(value) <= LONGEST_TEXT_SPLIT_IN_LINES:
            forms.update(line.strip() for line in value.splitlines() if len(line.strip()) >= SHORTEST_HIDDEN_LINE)
    return sorted((form for form in forms if form), key=lambda form: (-len(form), form))


def _censored(answer: Any, secrets: list[str]) -> Any:
    if not secrets or answer is None or isinstance(answer, bool):
        return answer
    if isinstance(answer, str):
        if answer in secrets:
            return CENSORED
        for secret in secrets:
            if len(secret) >= SHORTEST_HIDDEN_INSIDE:
                answer = answer.replace(secret, STARS)
        return answer
    if isinstance(answer, (int, float)):
        return CENSORED if len(str(answer)) >= SHORTEST_HIDDEN_INSIDE and str(answer) in secrets else answer
    if isinstance(answer, Mapping):
        return {_censored(key, secrets): _censored(value, secrets) for key, value in answer.items()}
    if isinstance(answer, Sequence):
        return [_censored(value, secrets) for value in answer]
    return answer
