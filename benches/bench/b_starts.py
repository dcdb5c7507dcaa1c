# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(b) The program's size, and how long each module takes from its start to an answer."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bench.lab import PROGRAMS, Labs
from bench.rows import Report, Row

TITLE = "Start and answer of a module"
ABOUT = "The program of all modules, and how long a module takes to refuse its arguments."
TIMES = 10
MIB = 1024 * 1024


def measure(report: Report, labs: Labs, rounds: int) -> None:
    size = (PROGRAMS / "homelab-k3s").stat().st_size / MIB
    report.add(Row("the program", "homelab-k3s, one architecture", "MiB", [size], target=8))
    modules = sorted(path for path in PROGRAMS.iterdir() if path.is_symlink())
    # All of them, again and again: a busy moment is not one module's.
    passes = [[answer(module) for module in modules] for _time in range(TIMES * rounds)]
    for module, times in zip(modules, zip(*passes, strict=True), strict=True):
        report.add(Row("refusing an unknown option", module.name, "ms", list(times), target=10))


def answer(program: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run([program, "-"], input=b'{"no_such_option": 1}', capture_output=True, check=False)
    taken = (time.perf_counter() - started) * 1000
    if b"no_such_option" not in done.stdout:
        raise RuntimeError(f"{program.name} did not refuse an unknown option: {done}")
    return taken
