# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plot: what is compared, as bars of a common scale for each group, and the curve of a node's share.

Everything is in the file, also its background, so that it can be read wherever an image is shown, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape

from bench.rows import Row, figure

WIDTH, MARGIN, GAP = 1000, 24, 40
COLUMN = (WIDTH - 2 * MARGIN - GAP) // 2
LABEL, VALUE = 180, 70
HEADING, BAR, RATIO, AFTER = 22, 18, 15, 16
CURVE, INDENT = 210, 24
TIMES = ("ms", "s")
COMPARED = "acdf"

STYLE = """
    text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #3d3d3a }
    .paper { fill: #ffffff } .title { font-size: 17px; font-weight: 600; fill: #141413 }
    .heading { font-weight: 600; fill: #141413 } .small { font-size: 11px; fill: #6b6b66 }
    .ours { fill: #1f6fd0 } .other { fill: #b4b4ad } .over { fill: #b3261e; font-weight: 600 }
    .spread { stroke: #3d3d3a; stroke-width: 1.2 } .axis { stroke: #d5d5cf; stroke-width: 1 }
    .line { stroke: #1f6fd0; stroke-width: 2; fill: none } .line-1 { stroke: #c2641c } .dot-1 { fill: #c2641c }
    @media (prefers-color-scheme: dark) {
      text { fill: #c9c9c2 } .paper { fill: #16171a } .title, .heading { fill: #f2f2ec } .small { fill: #96968f }
      .ours { fill: #5a9dee } .other { fill: #63645f } .over { fill: #ff8a80 } .spread { stroke: #e2e2db }
      .axis { stroke: #3a3b3f } .line { stroke: #5a9dee } .line-1 { stroke: #f0a35e } .dot-1 { fill: #f0a35e }
    }"""


def draw(data: dict[str, Any]) -> str:
    groups = list(compared(data))
    curves = list(shares(data))
    left, right = balance(groups)
    top = 70
    column_end = top + max(height(left), height(right))
    end = column_end + (CURVE + GAP if curves else 0) + MARGIN
    body = [
        text(MARGIN, 34, "What it costs, side by side", "title"),
        text(MARGIN, 54, "Medians; the thin line is the spread. Smaller is better. Each group has its own scale.", "small"),
        *column(left, MARGIN, top),
        *column(right, MARGIN + COLUMN + GAP, top),
        *(curve(curves, column_end + GAP) if curves else ()),
    ]
    return "\n".join([head(end), *(f"  {line}" for line in body), "</svg>", ""])


def head(height_of_all: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height_of_all}" width="{WIDTH}" '
        f'height="{height_of_all}" role="img">\n  <title>Benchmarks of homelab.k3s</title>\n  <style>{STYLE}\n  </style>\n'
        f'  <rect class="paper" width="{WIDTH}" height="{height_of_all}"/>'
    )


def compared(data: dict[str, Any]) -> Iterator[list[Row]]:
    """Groups in which something of ours is beside something of others, and their ratios."""
    for letter in COMPARED:
        rows = [Row(**row) for row in data.get(letter, {"rows": []})["rows"]]
        for _group, members in groupby(rows, key=lambda row: row.group):
            group = list(members)
            if len({row.ours for row in bars(group)}) > 1:
                yield group


def bars(group: Iterable[Row]) -> list[Row]:
    # What has a target and is a time is a difference of two bars.
    return [row for row in group if row.unit in TIMES and row.target is None]


def ratios(group: Iterable[Row]) -> list[Row]:
    return [row for row in group if row.target is not None]


def height(groups: list[list[Row]]) -> int:
    return sum(HEADING + BAR * len(bars(group)) + RATIO * len(ratios(group)) + AFTER for group in groups)


def balance(groups: list[list[Row]]) -> tuple[list[list[Row]], list[list[Row]]]:
    """Two columns in reading order, as even as the groups allow."""
    cuts = range(len(groups) + 1)
    best = min(cuts, key=lambda cut: max(height(groups[:cut]), height(groups[cut:])))
    return groups[:best], groups[best:]


def column(groups: list[list[Row]], x: int, y: int) -> Iterator[str]:
    for group in groups:
        yield from draw_group(group, x, y)
        y += height([group])


def draw_group(group: list[Row], x: int, y: int) -> Iterator[str]:
    yield text(x, y + 12, group[0].group, "heading")
    y += HEADING
    room = COLUMN - LABEL - VALUE
    scale = room / max(row.high for row in bars(group))
    for row in bars(group):
        yield from bar(row, x, y, scale)
        y += BAR
    for row in ratios(group):
        over = " OVER" if row.is_over else ""
        words = f"{row.name}: {figure(row.median, row.unit)}, target {row.target:g}{over}"
        yield text(x + INDENT, y + 11, words, "over" if over else "small")
        y += RATIO


def bar(row: Row, x: int, y: int, scale: float) -> Iterator[str]:
    start, middle = x + LABEL, y + BAR / 2 - 2
    yield text(x + LABEL - 8, y + 11, row.name, "", "end")
    kind = "ours" if row.ours else "other"
    yield f'<rect class="{kind}" x="{start}" y="{y + 1}" width="{row.median * scale:.1f}" height="{BAR - 6}" rx="2"/>'
    if row.high > row.low:
        low, high = (f"{start + value * scale:.1f}" for value in (row.low, row.high))
        yield f'<line class="spread" x1="{low}" y1="{middle}" x2="{high}" y2="{middle}"/>'
    yield text(round(start + row.high * scale) + 6, y + 11, figure(row.median, row.unit))


def shares(data: dict[str, Any]) -> Iterator[list[Row]]:
    rows = [Row(**row) for row in data.get("e", {"rows": []})["rows"]]
    for _group, members in groupby((row for row in rows if row.at), key=lambda row: row.group):
        yield list(members)


def curve(curves: list[list[Row]], y: int) -> Iterator[str]:
    """A node's share at each size: what is linear is level here, and a quadratic step rises."""
    left, right, floor = MARGIN + 60, WIDTH - MARGIN - 180, y + CURVE - 30
    every = [row for rows in curves for row in rows]
    first, last = (math.log10(pick(row.at for row in every)) for pick in (min, max))
    most = max(row.high for row in every) or 1

    def across(row: Row) -> float:
        return left + (math.log10(row.at) - first) / ((last - first) or 1) * (right - left)

    def up(value: float) -> float:
        return floor - value / most * (CURVE - 70)

    yield text(MARGIN, y + 12, "A node's share of the processor time, as the cluster grows", "heading")
    yield f'<line class="axis" x1="{left}" y1="{floor}" x2="{right}" y2="{floor}"/>'
    for value in (0, most):
        yield text(left - 10, up(value) + 4, figure(value, "ms") if value else "0", "small", "end")
    for size in sorted({row.at for row in every}):
        at = next(row for row in every if row.at == size)
        yield text(across(at), floor + 18, f"{size:,} nodes", "small", "middle")
    for number, rows in enumerate(curves):
        yield from draw_curve(rows, number, [(across(row), up(row.median)) for row in rows])


def draw_curve(rows: list[Row], number: int, points: list[tuple[float, float]]) -> Iterator[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="line line-{number}" points="{path}"/>'
    for x, y in points:
        yield f'<circle class="ours dot-{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    end_x, end_y = points[-1]
    module = rows[-1].group.split(":")[0]
    yield text(end_x + 10, end_y + 4, f"{module}, {figure(rows[-1].median, 'ms')}")


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "") -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{escape(words)}</text>'
