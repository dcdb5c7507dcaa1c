# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kills the control process before a task, or with a module. For tests only."""

from __future__ import annotations

import json
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: crash
type: aggregate
short_description: crashes the control process for the tests of the lab
description:
  - Writes the names of the tasks, in the order in which they begin, to the file that CRASH_TASKS names.
  - Kills all of ansible-playbook before the task whose number is in CRASH_TASK, or, where CRASH_CONTROL is set, when a module was killed.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "crash"

    def __init__(self):
        super().__init__()
        self._number = 0

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._number += 1
        with open(os.environ["CRASH_TASKS"], "a", encoding="utf-8") as names:
            names.write(f"{task.get_name()}\n")
        if os.environ.get("CRASH_TASK") == str(self._number):
            os.killpg(0, signal.SIGKILL)

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_cleanup_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result):
        self._die_with_a_module(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._die_with_a_module(result)

    def v2_runner_item_on_ok(self, result):
        self._die_with_a_module(result)

    def v2_runner_item_on_failed(self, result):
        self._die_with_a_module(result)

    def _die_with_a_module(self, result):
        answer = result._result
        # Of a private task only that it failed is seen.
        is_hidden = "censored" in answer and result.is_failed()
        if "CRASH_CONTROL" in os.environ and (is_hidden or "it ended without an answer" in json.dumps(answer, default=str)):
            os.killpg(0, signal.SIGKILL)
