# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is measured: a row has every sample, so that median and spread can be computed again from the raw data."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """A figure, measured several times. Rows of one group are measured side by side, and compared."""

    group: str
    name: str
    unit: str
    samples: list[float]
    # The median may reach it, and no more.
    target: float | None = None
    # Of this collection, beside what others do.
    ours: bool = False
    # The size at which it was measured, for a curve.
    at: int | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def low(self) -> float:
        return min(self.samples)

    @property
    def high(self) -> float:
        return max(self.samples)

    @property
    def is_over(self) -> bool:
        return self.target is not None and self.median > self.target


def ratio(over: Row, under: Row, target: float | None) -> Row:
    """How many times the cost of another way. Samples are paired by the time of their measurement, so that a busy moment hits both of a pair."""
    pairs = zip(over.samples, under.samples, strict=True)
    return Row(over.group, f"{over.name} / {under.name}", "×", [a / b for a, b in pairs], target)


@dataclass
class Report:
    """The rows of one part, printed as they come."""

    rows: list[Row] = field(default_factory=list)
    # What was not measured, and why.
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> Row:
        self.rows.append(row)
        print(f"  {line(row)}", flush=True)
        return row

    def compare(self, ours: Row, theirs: Iterable[tuple[Row, float | None]]) -> None:
        for row, target in theirs:
            self.add(ratio(ours, row, target))

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(f"  not measured: {text}", flush=True)

    def as_data(self) -> dict[str, Any]:
        return {"rows": [asdict(row) for row in self.rows], "notes": self.notes}


def line(row: Row) -> str:
    target = "" if row.target is None else f"  target {row.target:g}{'  OVER' if row.is_over else ''}"
    what = f"{row.group}: {row.name}"
    return f"{what:<78} {figure(row.median, row.unit):>10}  ({spread(row)}){target}"


def figure(value: float, unit: str) -> str:
    """Three digits that say something; a number that is counted has no others than its own."""
    size = abs(value)
    digits = 0 if unit == "" or size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}{' ' * (unit != '')}{unit}"


def spread(row: Row) -> str:
    if len(row.samples) == 1:
        return "once"
    low, high = (figure(value, row.unit).removesuffix(row.unit).strip() for value in (row.low, row.high))
    return f"{low} to {high}, n = {len(row.samples)}"
