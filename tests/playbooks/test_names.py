"""The names of plays and tasks are what an operator reads of a run, and short descriptions what a list of modules shows. `cargo xtask check` reads
their words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

LONGEST_NAME = 59

NAMED = sorted(
    path
    for folder in ("playbooks", "roles", "molecule")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yaml", ".yml") and "files" not in path.parts
)


def names(items: object) -> Iterator[str]:
    """The names of plays and tasks, also those in blocks."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and "name" in item:
            yield str(item["name"])
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from names(item.get(key)) if isinstance(item, dict) else ()


def names_of(path: Path) -> list[str]:
    return list(names(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize("path", [path for path in NAMED if names_of(path)], ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_tasks_are_short(path: Path) -> None:
    for name in names_of(path):
        assert len(name) <= LONGEST_NAME, f"{len(name)} characters: {name}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("modules/*/*.yml")), ids=lambda path: path.stem)
def test_short_descriptions_are_short(path: Path) -> None:
    described = yaml.safe_load(path.read_text())["DOCUMENTATION"]["short_description"]
    assert len(described) <= LONGEST_NAME, f"{len(described)} characters: {described}"


def test_there_are_names_to_check() -> None:
    assert sum(len(names_of(path)) for path in NAMED) > 500
