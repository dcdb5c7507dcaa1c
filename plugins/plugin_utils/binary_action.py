# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one action plugin behind all modules of this collection.

Ansible sends all of a binary module at every task and every loop item. Here the program, which is all modules, is
kept on the host, named by its SHA-256, and a task is one round trip that carries the arguments only, by stdin.
Wherever that cannot be done safely, Ansible's own way is taken, which always works.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.homelab.k3s.plugins.plugin_utils import remote
from ansible_collections.homelab.k3s.plugins.plugin_utils.arguments import Arguments, to_json
from ansible_collections.homelab.k3s.plugins.plugin_utils.binaries import COLLECTION, PROGRAM, Binary, all_binaries, binary_for
from ansible_collections.homelab.k3s.plugins.plugin_utils.settings import setting

display = Display()


class CannotKeep(Exception):
    """The host is not one where a program may be kept, and nothing has run yet. The text says why."""


class BinaryActionModule(ActionBase):
    """Runs the module that MODULE names."""

    MODULE = ""
    # The results that nobody is to see.
    SECRET_RESULTS: tuple[str, ...] = ()

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        self._place = self._task.delegate_to or task_vars.get("inventory_hostname", "the host")
        arguments = Arguments(self.MODULE, {**self._task.args, **self.added_arguments()})
        if (arguments.has_secrets or self.SECRET_RESULTS) and display.verbosity > 2:
            # From -vvv on a connection shows what a command wrote, before anything could censor it.
            self._connection._play_context.no_log = True
        try:
            answer = self._run_module(arguments.values, task_vars)
        except AnsibleConnectionFailure as failure:
            answer = self._unreachable(failure, task_vars)
        result.update(arguments.censor(answer))
        if arguments.warnings:
            result["warnings"] = [*result.get("warnings", []), *arguments.warnings]
        self._hide_secrets(result)
        return result

    def _hide_secrets(self, result: dict[str, Any]) -> None:
        if self.SECRET_RESULTS and result.get("failed"):
            # Nobody registers a failure for its content, and its message has to be seen.
            for name in (*self.SECRET_RESULTS, "module_stdout"):
                result.pop(name, None)
        elif any(result.get(name) for name in self.SECRET_RESULTS):
            # Also where the task forgot to say so. Until 2.18 only the play's own word counts.
            result["_ansible_no_log"] = self._play_context.no_log = True

    def added_arguments(self) -> dict[str, Any]:
        """What the module needs of the control node; nothing, for most."""
        return {}

    # Kept or transferred

    def _run_module(self, values: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        binaries = all_binaries()
        reason = self._why_not_keep(task_vars)
        if not reason:
            try:
                return self._run_kept(binaries, values, task_vars)
            except CannotKeep as cannot:
                reason = str(cannot)
                display.warning(f"{self._place}: the programs of {COLLECTION} are sent anew with each task: {reason}")
        display.vvv(f"{COLLECTION}.{self.MODULE} goes Ansible's own way: {reason}", host=self._place)
        binary = binary_for(binaries, self._ask_kind(), self._place)
        if self._is_become_unprivileged() and self._can_feed() and not self._task.async_val:
            # Ansible's own way ends here on hosts without ACLs: it writes the files as another user.
            return self._run_once(binary, values, task_vars)
        return self._run_transferred(binary, values, task_vars, reason)

    def _why_not_keep(self, task_vars: Mapping[str, Any]) -> str:
        if self._task.async_val:
            return "async needs Ansible's own wrapper"
        if not setting("keep", task_vars, self._templar):
            return "the setting `keep` is false"
        if C.DEFAULT_KEEP_REMOTE_FILES:
            return "ANSIBLE_KEEP_REMOTE_FILES asks for Ansible's files"
        if not self._can_feed():
            return f"the connection {self._connection.transport} cannot hand over stdin"
        return ""

    def _can_feed(self) -> bool:
        """Whether a command's stdin can be given: what Ansible calls pipelining, switched on or not."""
        become = self._connection.become
        # `su` reads from the terminal; older Ansible versions know that of its name only.
        become_feeds = not become or (getattr(become, "pipelining", True) and not become.name.endswith("su"))
        return bool(self._connection.has_pipelining and become_feeds and self._connection._shell.SHELL_FAMILY == "sh")

    # Kept on the host

    def _run_kept(self, binaries: list[Binary], values: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        verify = setting("verify", task_vars, self._templar)
        script = remote.run_kept(binaries, self.MODULE, self._compute_environment_string(), verify)
        arguments = self._as_module_reads(values, task_vars)
        for is_last in (False, True):
            answer = self._say(script, arguments)
            ended = self._result(answer)
            if ended is not None:
                return ended
            if answer.word == "unbuilt":
                binary_for(binaries, answer.detail, self._place)
            if answer.word in ("odd", ""):
                raise CannotKeep(answer.detail or f"no shell script runs there: {self._last_words}")
            if is_last:
                break
            if answer.was_started and not answer.could_not_start and (verify == "always" or self._is_intact(binaries)):
                # It was our program, and it may have been at work: doing it twice is for the user to decide.
                return self._died(answer)
            self._store(binary_for(binaries, self._ask_kind(), self._place))
        if answer.was_started and not answer.could_not_start:
            return self._died(answer)
        raise CannotKeep("the program that was just sent does not start there (is the home folder mounted noexec?)")

    def _is_intact(self, binaries: list[Binary]) -> bool:
        binary = binary_for(binaries, self._ask_kind(), self._place)
        return self._say(remote.check_kept(binary)).word == "intact"

    def _store(self, binary: Binary) -> None:
        display.vvv(f"sending the program {PROGRAM} ({binary.platform})", host=self._place)
        answer = self._say(remote.store(binary), binary.content())
        if answer.word != "stored":
            raise CannotKeep(answer.detail or f"the program could not be stored: {self._last_words}")

    # For one task only

    def _run_once(self, binary: Binary, values: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        stored = self._say(remote.store_for_once(binary), binary.content())
        if stored.word != "stored":
            raise AnsibleActionFail(
                f"bringing {COLLECTION}.{self.MODULE} to {self._place}: {stored.detail or self._last_words}"
            )
        script = remote.run_once(stored.detail, self.MODULE, self._compute_environment_string())
        answer = self._say(script, self._as_module_reads(values, task_vars))
        return self._result(answer) or self._died(answer)

    # Ansible's own way

    def _run_transferred(
        self, binary: Binary, values: dict[str, Any], task_vars: dict[str, Any], reason: str
    ) -> dict[str, Any]:
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        result = self._execute_module(
            module_name=binary.transfer_name(self.MODULE), module_args=values, task_vars=task_vars, wrap_async=wrap_async
        )
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if result.get("_ansible_parsed") is False:
            result["msg"] = f"{result.get('msg', '')} (sent in Ansible's own way, since {reason})"
        return result

    # Talking to the host

    def _say(self, script: str, stdin: bytes = b"\n") -> remote.Answer:
        # Never an empty stdin: Ansible would ask for a terminal, which mixes stderr into the answer.
        self._spoken = self._low_level_execute_command(script, sudoable=True, in_data=stdin)
        return remote.understood(self._spoken["stdout"])

    @property
    def _last_words(self) -> str:
        words = (self._spoken["stderr"].strip() or self._spoken["stdout"].strip()).splitlines()
        return words[-1] if words else f"exit status {self._spoken['rc']}"

    def _ask_kind(self) -> str:
        # Without become: the kind of the host is nobody's secret, and sudo may want a terminal.
        said = self._low_level_execute_command("uname -s -m", sudoable=False)["stdout"].split("\n")
        return next((line.strip() for line in reversed(said) if line.strip()), "")

    def _as_module_reads(self, values: Mapping[str, Any], task_vars: dict[str, Any]) -> bytes:
        arguments = dict(values)
        self._update_module_args(f"{COLLECTION}.{self.MODULE}", arguments, task_vars)
        return to_json(arguments)

    def _result(self, answer: remote.Answer) -> dict[str, Any] | None:
        """The module's answer as Ansible would have taken it, or None if there is none."""
        try:
            result = json.loads(answer.output)
        except ValueError:
            return None
        if not isinstance(result, dict):
            return None
        result = {key: value for key, value in result.items() if not key.startswith("_ansible_")}
        for stream in ("stdout", "stderr"):
            if stream in result and f"{stream}_lines" not in result:
                result[f"{stream}_lines"] = (result[stream] or "").splitlines()
        return {**result, "_ansible_parsed": True}

    def _died(self, answer: remote.Answer) -> dict[str, Any]:
        status = "nobody saw how" if answer.status is None else f"exit status {answer.status}"
        return {
            "failed": True,
            "msg": (
                f"running {COLLECTION}.{self.MODULE} on {self._place}: it ended without an answer ({status}). "
                "It may have done a part of its work and was not started again; look at the host, then run this again"
            ),
            "module_stdout": answer.output,
            "module_stderr": self._spoken["stderr"],
            "rc": answer.status,
        }

    # Who is meant

    def _unreachable(self, failure: AnsibleConnectionFailure, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """For a delegated task the *other* host is lost: a failure of this one, so that its `rescue` can run.

        The nodes of this collection are logical hosts that are never connected to.
        """
        node = task_vars.get("inventory_hostname")
        delegate = self._task.delegate_to
        if not delegate or delegate == node:
            raise failure
        return {
            "failed": True,
            "unreachable_host": str(delegate),
            "msg": (
                f"running {COLLECTION}.{self.MODULE} for {node} on {delegate}: {delegate} cannot be reached: {failure}. "
                "If the connection broke in the middle, the module may still be at work there"
            ),
        }
