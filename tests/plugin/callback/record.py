# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes every result of a play, as the playbook sees it, to the file that RECORD_FILE names."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: records results for the tests
description: Writes one JSON line for each result.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"

    def _record(self, status, outcome):
        result = outcome.result if hasattr(outcome, "result") else outcome._result
        task = outcome.task if hasattr(outcome, "task") else outcome._task
        host = outcome.host if hasattr(outcome, "host") else outcome._host
        with open(os.environ["RECORD_FILE"], "a", encoding="utf-8") as record:
            line = {"status": status, "task": task.get_name(), "host": host.get_name(), "result": dict(result)}
            record.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._record("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._record("unreachable", result)

    def v2_runner_item_on_ok(self, result):
        self._record("item", result)
