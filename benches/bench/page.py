# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages and the plot, made from the raw data alone, so that they can be made again without a lab."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import PARTS, plot
from bench.rows import Row, figure, spread

HEAD = """# Benchmarks

<!-- Made by `make bench`; edit benches/bench/page.py instead. -->

What this collection costs beside what people would use instead, measured side by side on the [lab](../lab/README.md).

![Each comparison as bars, with their spread, and the cost of a node as clusters grow](benchmarks.svg)

## How to read it

- **Ratios count, not seconds.** Seconds are those of one machine, its load and the lab's k3s. What is compared was measured in turn, so that
  a busy minute hits both; a ratio is the median of the ratios of such pairs.
- A figure is the median, with its smallest and largest sample and their number. Smaller is better everywhere.
- A target is the most that a median may reach. `OVER` marks a median above it; `make bench` fails then.
- The raw data, every sample, is in `.cache/bench/results.json` after a run. `benches/run --help` has the options: parts, rounds, folder.
"""

AVAILABILITY = """# Availability during an upgrade

<!-- Made by `benches/run --only g`; edit benches/bench/page.py instead. -->
"""
# Measured on a real k3s, which the others are not: a page of its own, that neither rewrites the other.
OF_ITS_OWN = "g"


def write(data: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if costs := {letter: part for letter, part in data.items() if letter != OF_ITS_OWN}:
        (folder / "benchmarks.svg").write_text(plot.draw(costs))
        (folder / "benchmarks.md").write_text(render(costs))
    if OF_ITS_OWN in data:
        (folder / "availability.md").write_text(render_availability(data[OF_ITS_OWN]))


def rows(part: dict[str, Any]) -> list[Row]:
    return [Row(**row) for row in part["rows"]]


def render(data: dict[str, Any]) -> str:
    return "\n".join([HEAD, *settings(data), *missed(data), *(line for letter in PARTS for line in section(letter, data))])


def render_availability(part: dict[str, Any]) -> str:
    setting = part["setting"]
    machine = f"{setting['cores']} cores, {setting['memory_gib']} GiB of memory, all nodes on it"
    measured = f"Measured once, on {setting['date']}; k3s: {setting['k3s']}; ansible-core {setting['ansible_core']}; {machine}.\n"
    return "\n".join([AVAILABILITY, f"{PARTS[OF_ITS_OWN].ABOUT}\n", measured, *table(part)]) + "\n"


def settings(data: dict[str, Any]) -> Iterator[str]:
    """One line where all parts are of one run; else one for each of them."""
    yield "## What was measured\n"
    lines = {letter: describe(data[letter]["setting"]) for letter in sorted(data)}
    for text in dict.fromkeys(lines.values()):
        letters = [f"({letter})" for letter, line in lines.items() if line == text]
        yield f"- {', '.join(letters)}: {text}"
    yield ""


def describe(setting: dict[str, Any]) -> str:
    rounds = "1 round" if setting["rounds"] == 1 else f"{setting['rounds']} rounds"
    machine = f"{setting['cores']} cores, {setting['memory_gib']} GiB of memory"
    versions = f"ansible-core {setting['ansible_core']} with pipelining (part (a): on and off), Python {setting['python']}"
    return f"{setting['date']}, {rounds}; {machine}; k3s: {setting['k3s']}; {versions}"


def missed(data: dict[str, Any]) -> Iterator[str]:
    over = [(letter, row) for letter in sorted(data) for row in rows(data[letter]) if row.is_over]
    kept = sum(row.target is not None for letter in data for row in rows(data[letter])) - len(over)
    yield f"Targets met: {kept}, missed: {len(over)}{':' if over else '.'}\n"
    for letter, row in over:
        yield f"- ({letter}) {row.group}: {row.name} is {figure(row.median, row.unit)}, the target {row.target:g}"
    if over:
        yield ""


def section(letter: str, data: dict[str, Any]) -> Iterator[str]:
    if letter not in data:
        return
    part = data[letter]
    yield f"## ({letter}) {PARTS[letter].TITLE}\n\n{PARTS[letter].ABOUT}\n"
    yield f"Load average of a minute at the start: {part['setting']['load']}.\n"
    yield from table(part)


def table(part: dict[str, Any]) -> Iterator[str]:
    yield "| | median | spread | target | |\n|---|---:|---|---:|---|"
    for group, members in groupby(rows(part), key=lambda row: row.group):
        yield f"| **{group}** | | | | |"
        yield from (table_row(row) for row in members)
    yield ""
    yield from (f"- Not measured: {note}." for note in part["notes"])
    if part["notes"]:
        yield ""


def table_row(row: Row) -> str:
    target = "" if row.target is None else f"{row.target:g} {row.unit}".rstrip()
    verdict = "" if row.target is None else "**OVER**" if row.is_over else "met"
    return f"| {row.name} | {figure(row.median, row.unit)} | {spread(row)} | {target} | {verdict} |"
