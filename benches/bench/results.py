# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The raw data: one file with every sample of every part, and under what circumstances it was taken."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.lab import WORK
from bench.rows import Report

FILE = WORK / "results.json"


def load() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def keep(letter: str, setting: dict[str, Any], report: Report) -> None:
    """At once, so that a later part that fails loses nothing."""
    data = load()
    data[letter] = {"setting": setting, **report.as_data()}
    part = FILE.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n")
    part.replace(FILE)


def setting(rounds: int, time_factor: float) -> dict[str, Any]:
    """What matters of this machine and its programs; not whose it is."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "rounds": rounds,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        # Processes that wanted a core when the part began: what else the machine was at.
        "load": round(os.getloadavg()[0], 1),
        "ansible_core": version("ansible-core"),
        "python": platform.python_version(),
        "k3s": k3s(time_factor),
    }


def k3s(time_factor: float) -> str:
    if folder := os.environ.get("LAB_K3S"):
        return "real: " + ", ".join(sorted(path.parent.name for path in Path(folder).glob("*/k3s")))
    pace = "its recorded pace" if time_factor == 1 else f"{time_factor:g} times its recorded pace"
    return f"the lab's stand-in, at {pace}"
