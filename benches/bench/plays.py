# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a playbook, and counts what it costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.lab import ROOT, WORK, Lab


@dataclass
class Run:
    seconds: float
    # Of the control node: Ansible, and what it has started and waited for.
    processor: float
    ssh_calls: int
    connections: int
    entries: list[dict]

    @property
    def tasks(self) -> int:
        return sum("began" in entry for entry in self.entries)

    def times(self, task: str) -> list[float]:
        return [entry["seconds"] for entry in self.entries if entry.get("task") == task]


def play(lab: Lab, book: Path | str, variables: dict | None = None, pipelining: bool = True) -> Run:
    command = ["ansible-playbook", "--inventory", str(lab.inventory), str(book), "--extra-vars", json.dumps(variables or {})]
    # Connections of its own: those that the run before has left open would spare it some. The path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        files = Path(folder)
        settings = {**os.environ, **environment(files, pipelining)}
        before = lab.connections()
        seconds, processor = run(command, settings, files / "output")
        return Run(seconds, processor, lines(files / "calls"), lab.connections() - before, entries(files / "times"))


def environment(folder: Path, pipelining: bool) -> dict[str, str]:
    """Of a run whose tasks are timed, and whose calls of ssh are counted."""
    counting = folder / "ssh"
    counting.write_text(f'#!/bin/sh\necho >>{folder}/calls\nexec {shutil.which("ssh")} "$@"\n')
    counting.chmod(0o755)
    return {
        "ANSIBLE_PIPELINING": str(int(pipelining)),
        "ANSIBLE_SSH_EXECUTABLE": str(counting),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "benches/callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "stopwatch",
        "STOPWATCH_FILE": str(folder / "times"),
    }


def run(command: list[str], settings: dict[str, str], output: Path) -> tuple[float, float]:
    """Its seconds, and its processor's."""
    started = time.perf_counter()
    with output.open("w") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=written, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output.read_text()[-4000:]}")
    return seconds, usage.ru_utime + usage.ru_stime


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def entries(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_book(name: str, plays: list[dict]) -> Path:
    book = WORK / f"{name}.yml"
    book.write_text(json.dumps(plays))
    return book
