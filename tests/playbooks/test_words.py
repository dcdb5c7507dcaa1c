"""What an operator reads is in the field's own words: the rules are in CONTRIBUTING.md, under "Words"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

LONGEST_NAME = 59

# The word, and what to write in its place.
BANNED = {
    r"\btold\b|\btells?\b|\btelling\b": "report, show, list, print",
    r"\bwhole\b": "healthy, complete, ready, or nothing",
    r"\bmend(s|ed)?\b": "fix, repair",
    r"\bheld against\b": "compare with",
    r"\bspeaks? against\b": "refusal, reason",
    r"\btaken up\b|\btakes? (it|them) up\b": "resume",
    r"\bcut off\b": "interrupted",
    r"(?<!there )\bis no (?!longer)[a-z]+": "is not a …",
    r"\bas it (is|was)\b|\bas they (are|were)\b": "unchanged, as before",
    r"\bplaces?\b": "node, host, folder",
    r"\bways\b": "name them",
    r"\bgives?\b": "return, set, release",
    r"\bknows?\b": "have, read, find",
    r"\bjudg(e|es|ed|ing)\b": "check, verify, compare",
    r"\blook(s|ed|ing)? (at|for|whether)\b": "check, read, find, inspect, wait for",
    r"^(See|Note|Say) (that|whether|what|which|who|when|how|why)\b": "check, verify, record, report",
    r"\bone after the other\b": "one at a time",
}

# Where such a word is Kubernetes', Ansible's or English's only one, or a message of a module is quoted.
ALLOWED = (
    r"in place\b",
    r"_place\b",
    r"known_bad|\bunknown\b",
    r"is no failover|is no backup",
    # Messages of modules, their results, and variables.
    r"`[^`]*`",
    r"\bk3s_\w+(\.\w+)*",
    r"[\w/.-]+\.ya?ml",
)

ALLOWED_WORDS = re.compile("|".join(ALLOWED))
# The tables of README.md, and most of the playbooks' pages, are made from the modules' own documentation and from the playbooks, which are checked themselves.
GENERATED = re.compile(r"<!-- BEGIN (\w+)[^>]* -->.*?<!-- END \1 -->", re.DOTALL)

NAMED = sorted(
    path
    for folder in ("playbooks", "roles", "molecule")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yaml", ".yml") and "files" not in path.parts
)
PAGES = [
    *(ROOT / page for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "inventory/notes.md")),
    *sorted((ROOT / "playbooks/docs").glob("*.md")),
    *sorted((ROOT / "playbooks/docs/playbooks").glob("*.md")),
]
SPECIFICATION = ROOT / "roles/k3s/meta/argument_specs.yml"


def names(items: object) -> Iterator[str]:
    """The names of plays and tasks, also those in blocks."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and "name" in item:
            yield str(item["name"])
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from names(item.get(key)) if isinstance(item, dict) else ()


def banned_in(text: str) -> list[str]:
    """What is found, each with what to write in its place."""
    text = ALLOWED_WORDS.sub("", text)
    return [
        f"{found.group()}: write {instead}"
        for pattern, instead in BANNED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def names_of(path: Path) -> list[str]:
    return list(names(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Stop where something speaks against it", ["speaks against"]),
        ("Mend it, then look at the node as it was", ["Mend", "as it was", "look at"]),
        ("A change in place, `no_place`, and k3s_allow_known_bad", []),
    ],
)
def test_finds_banned_words_and_passes_allowed_ones(text: str, found: list[str]) -> None:
    assert [fault.split(":")[0] for fault in banned_in(text)] == found


@pytest.mark.parametrize("path", [path for path in NAMED if names_of(path)], ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_tasks_are_short_and_plain(path: Path) -> None:
    for name in names_of(path):
        assert len(name) <= LONGEST_NAME, f"{len(name)} characters: {name}"
        assert not banned_in(name), f"{name!r} has {banned_in(name)}"


def test_there_are_names_to_check() -> None:
    assert sum(len(names_of(path)) for path in NAMED) > 500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_plain_words(page: Path) -> None:
    text = GENERATED.sub("", page.read_text())
    faults = [(number, banned_in(line), line) for number, line in enumerate(text.splitlines(), 1) if banned_in(line)]
    assert not faults, faults


def test_descriptions_of_variables_use_plain_words() -> None:
    options = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["playbooks"]["options"]
    faults = [(name, banned_in(option["description"])) for name, option in options.items() if banned_in(option["description"])]
    assert not faults, faults


def test_messages_and_comments_of_playbooks_use_plain_words() -> None:
    paths = [path for path in NAMED if "molecule" not in path.parts] + [ROOT / "inventory/group_vars/k3s_cluster.yaml"]
    faults = [
        (str(path.relative_to(ROOT)), number, banned_in(line), line.strip())
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned_in(line)
    ]
    assert not faults, faults
