"""Holds a run between two tasks until a test lets it go on: by Ansible itself, so that it cannot be a task too late.

`K3S_HOLD` names a file: `in TASK` or `before TASK`. While it says so, the run waits before the task after TASK, or before TASK."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hold
type: aggregate
short_description: holds a run between two tasks
description: Waits between two tasks until a file is gone.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "hold"

    def __init__(self):
        super().__init__()
        self.file = Path(os.environ["K3S_HOLD"])
        # The order whose task has begun.
        self.begun = ""

    def order(self):
        try:
            return self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def v2_playbook_on_task_start(self, task, is_conditional):
        while order := self.order():
            where, name = order.split(" ", 1)
            is_named = task.get_name().startswith(name)
            if self.begun != order and not (is_named and where == "before"):
                self.begun = order if is_named else ""
                return
            self.file.with_suffix(".held").touch()
            while self.order() == order:
                time.sleep(0.05)
