"""The page and the plot of the benches, made from figures that stay the same; nothing is measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "benches"))

from bench import PARTS, page, plot  # noqa: E402
from bench.rows import Row, figure, ratio, spread  # noqa: E402

DATA = json.loads((HERE / "results.json").read_text())
SVG = "{http://www.w3.org/2000/svg}"


def row(**given: object) -> Row:
    return Row(**{"group": "g", "name": "n", "unit": "ms", "samples": [1.0], **given})


@pytest.fixture(scope="module")
def text() -> str:
    return page.render(DATA)


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def drawn(data: dict) -> ElementTree.Element:
    return ElementTree.fromstring(plot.draw(data))


def words(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def test_a_row_has_the_median_and_the_spread_of_its_samples() -> None:
    it = row(samples=[500, 400, 900])
    assert (it.median, spread(it)) == (500, "400 to 900, n = 3")
    assert spread(row(samples=[7])) == "once"


@pytest.mark.parametrize(("target", "is_over"), [(None, False), (3, False), (2.5, False), (2.49, True)])
def test_only_a_median_above_its_target_is_over(target: float | None, is_over: bool) -> None:
    assert row(samples=[1, 2, 3, 9], target=target).is_over is is_over


def test_a_ratio_is_that_of_pairs_and_not_of_medians() -> None:
    ours, theirs = row(name="ours", samples=[1, 20, 3]), row(name="theirs", samples=[10, 40, 10])
    it = ratio(ours, theirs, 0.4)
    assert (it.name, it.samples, it.median, it.target) == ("ours / theirs", [0.1, 0.5, 0.3], 0.3, 0.4)


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [(923.4, "ms", "923 ms"), (31.74, "s", "31.7 s"), (2.384, "×", "2.38 ×"), (0.5034, "×", "0.503 ×"), (29, "", "29")],
)
def test_a_figure_has_as_many_digits_as_say_something(value: float, unit: str, written: str) -> None:
    assert figure(value, unit) == written


def test_the_table_has_medians_spreads_and_what_is_over(text: str) -> None:
    rows = table(text)
    assert ["command", "500 ms", "400 to 900, n = 3", "", ""] in rows
    assert ["pct_exec / command", "0.180 ×", "0.144 to 0.250, n = 3", "0.2 ×", "met"] in rows
    assert ["node_drain / kubectl drain", "1.37 ×", "1.20 to 1.54, n = 2", "1.1 ×", "**OVER**"] in rows
    assert text.count("**OVER**") == 1


def test_what_is_missed_is_named_at_the_top(text: str) -> None:
    assert "Targets met: 1, missed: 1:\n\n- (c) a drain of 10 pods: node_drain / kubectl drain is 1.37 ×, the target 1.1\n" in text


def test_parts_of_one_run_share_a_line_and_others_have_theirs(text: str) -> None:
    assert "- (a), (c): 2026-01-31, 3 rounds; 2 cores, 24 GiB of memory; k3s: the lab's stand-in" in text
    assert "- (e): 2026-02-01, 1 round; " in text


def test_a_part_that_was_not_run_has_no_section_and_a_note_says_what_was_not_measured(text: str) -> None:
    headings = [line for line in text.splitlines() if line.startswith("## (")]
    assert headings == [f"## ({letter}) {PARTS[letter].TITLE}" for letter in "ace"]
    assert "- Not measured: a way that is <not> installed & missing." in text


def test_the_plot_is_valid_and_has_every_comparison() -> None:
    svg = drawn(DATA)
    found = words(svg)
    assert {"a task", "500 ms", "a drain of 10 pods", "3.50 s", "50 nodes", "500 nodes"} <= set(found)
    assert "pct_exec / command: 0.180 ×, target 0.2" in found
    assert [word for word in found if "OVER" in word] == ["node_drain / kubectl drain: 1.37 ×, target 1.1 OVER"]


def test_the_bars_of_a_group_have_one_scale() -> None:
    bars = {bar.get("class"): float(bar.get("width", "0")) for bar in list(drawn(DATA).iter(f"{SVG}rect"))[1:3]}
    assert bars["ours"] / bars["other"] == pytest.approx(100 / 500, rel=0.01)


def test_the_plot_needs_no_other_file_and_is_readable_in_the_dark() -> None:
    drawing = plot.draw(DATA)
    assert "prefers-color-scheme: dark" in drawing and 'class="paper"' in drawing
    assert not [word for word in ("href", "url(", "@import", "<script") if word in drawing]


def test_nothing_leaves_the_picture() -> None:
    svg = drawn(DATA)
    width, height = (float(svg.get(side, "0")) for side in ("width", "height"))
    for element in svg.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x", "-1")) <= width
        assert 0 <= float(element.get("y", "-1")) <= height


def test_a_part_alone_can_be_shown() -> None:
    for letter in DATA:
        alone = {letter: DATA[letter]}
        assert f"## ({letter})" in page.render(alone)
        drawn(alone)


def test_page_and_plot_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    page.write(DATA, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["benchmarks.md", "benchmarks.svg"]


def test_availability_has_a_page_of_its_own_and_leaves_the_other_one(tmp_path: Path) -> None:
    rows = [{"group": "API", "name": "c1, of 300", "unit": "", "samples": [0], "target": 0, "ours": True, "at": None}]
    part = {"setting": DATA["a"]["setting"], "rows": rows, "notes": []}
    page.write({"g": part}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["availability.md"]
    written = (tmp_path / "availability.md").read_text()
    assert "| c1, of 300 | 0 | once | 0 | met |" in written and written.startswith("# Availability")
    page.write({**DATA, "g": part}, tmp_path / "all")
    assert PARTS["g"].TITLE not in (tmp_path / "all/benchmarks.md").read_text()
