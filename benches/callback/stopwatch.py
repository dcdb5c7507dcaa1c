# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes which tasks of a play began and how long each took to the file that STOPWATCH_FILE names."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stopwatch
type: aggregate
short_description: times tasks for the benches
description: Writes a JSON line when a task begins, one for each host that it is begun for, and one for each on which it has ended.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stopwatch"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._name, self._start = task.get_name(), time.perf_counter()
        self._write(began=self._name)

    def v2_runner_on_start(self, host, task):
        self._write(starts=task.get_name(), host=host.get_name(), at=time.time())

    def v2_runner_on_ok(self, result):
        self._write(task=self._name, seconds=time.perf_counter() - self._start)

    def _write(self, **entry):
        with open(os.environ["STOPWATCH_FILE"], "a", encoding="utf-8") as times:
            times.write(json.dumps(entry) + "\n")
