"""What a program used is its own, also where it has started others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEAN = Path(__file__).resolve().parents[2] / "benches/bench/lean.py"
BUSY = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"


def used(tmp_path: Path, script: str) -> tuple[float, float]:
    usage = tmp_path / "usage"
    subprocess.run([sys.executable, "-IS", LEAN, usage, "/bin/sh", "-c", script], check=True)
    seconds, mebibytes = map(float, usage.read_text().split())
    return seconds, mebibytes


def test_the_time_of_what_a_program_starts_is_not_its_own(tmp_path: Path) -> None:
    own, _memory = used(tmp_path, BUSY)
    others, _memory = used(tmp_path, f"sh -c '{BUSY}'; true")
    assert own > 0.02
    # Two hundredths of a second, of user and system, are the clock's.
    assert others < own / 2 + 0.02


def test_the_memory_of_whoever_measures_does_not_count_beyond_a_few_mebibytes(tmp_path: Path) -> None:
    _own, mebibytes = used(tmp_path, "true")
    assert 0 < mebibytes < 20
