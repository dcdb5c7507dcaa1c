"""safety.md names existing tests."""

from __future__ import annotations

import re

from conftest import ROOT


def test_every_row_names_existing_tests() -> None:
    page = (ROOT / "playbooks/docs/safety.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| input")]
    assert len(rows) > 20
    sources = "".join(path.read_text() for folder in ("playbooks", "lab") for path in (ROOT / "tests" / folder).glob("test_*.py"))
    there = set(re.findall(r"^ *def (test_\w+)\(", sources, re.MULTILINE))
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row.split("|")[-2])
        assert named and set(named) <= there, row
