# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes how long each task of a play took to the file that STOPWATCH_FILE names."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stopwatch
type: aggregate
short_description: times tasks for the benches
description: Writes one JSON line for each task.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stopwatch"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._name, self._start = task.get_name(), time.perf_counter()

    def v2_runner_on_ok(self, result):
        seconds = time.perf_counter() - self._start
        with open(os.environ["STOPWATCH_FILE"], "a", encoding="utf-8") as times:
            times.write(json.dumps([self._name, seconds]) + "\n")
