"""What the pages quote exists: messages in the sources, pages in the site."""

from __future__ import annotations

import re
from functools import cache

import pytest
import yaml
from conftest import ROOT

TROUBLESHOOTING = ROOT / "playbooks/docs/troubleshooting.md"
# Messages of other programs, and what is described rather than quoted.
FOREIGN = ("`kubectl`:", "a Job `helm-install", "`ansible-playbook` says")


def message_rows(text: str) -> list[str]:
    cells = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell != "message" and not cell.startswith(FOREIGN)]


def fragments(cell: str) -> list[str]:
    """The quoted words, without what differs from run to run."""
    quoted = re.findall(r"`([^`]+)`", cell)
    return [part.strip(" :,.()") for text in quoted for part in re.split(r"…|: ", text) if len(part.strip(" :,.()")) > 3]


@cache
def sources() -> str:
    """Everything that can print a message, on one line as a reader sees it."""
    folders = ("crates", "modules", "playbooks", "roles", "plugins")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".rs", ".yaml", ".yml", ".py", ".sh")]
    files = [path for path in files if not {"tests", "docs"} & set(path.relative_to(ROOT).parts) and "tests" not in path.stem]
    texts = [path.read_text().split("#[cfg(test)]\nmod tests {")[0] for path in files]
    text = re.sub(r"\\\n\s*", "", "\n".join(texts))
    return re.sub(r"\s+", " ", text.replace('\\"', '"'))


def test_quotes_are_taken_apart_at_what_differs() -> None:
    assert message_rows("| message | b |\n|---|---|\n| `a … is locked` or `it` | c |\n") == ["`a … is locked` or `it`"]
    assert fragments("`skip_minor: from … leaves out …`, `etcd`") == ["skip_minor", "from", "leaves out", "etcd"]


@pytest.mark.parametrize("cell", message_rows(TROUBLESHOOTING.read_text()))
def test_a_message_is_in_the_sources(cell: str) -> None:
    found = fragments(cell)
    assert found
    missing = [part for part in found if part not in sources()]
    assert not missing, f"no program prints {missing}: correct the row in troubleshooting.md"


# The transcript in README.md is of a real k3s, on more nodes than the walk through the documentation has; its words are those of the modules.
@pytest.mark.parametrize(
    "words",
    [
        "nodes to work on", "the minor stays", "where either order is safe", "first: a backup of the datastore",
        "allows no disruption", "it is bypassed", "drained for", "evicted", "budgets bypassed for",
    ],
)  # fmt: skip
def test_the_transcript_of_the_readme_has_the_words_of_the_modules(words: str) -> None:
    assert words in (ROOT / "README.md").read_text()
    assert all(part in sources() for part in words.split(": ")), f"no module prints {words!r}: take the transcript anew"


def nav_of(entries: object) -> list[str]:
    if isinstance(entries, str):
        return [entries]
    inner = entries.values() if isinstance(entries, dict) else entries if isinstance(entries, list) else []
    return [path for entry in inner for path in nav_of(entry)]


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    listed = nav_of(yaml.safe_load((ROOT / "docs/site/mkdocs.yml").read_text())["nav"])
    pages = [path for folder in ("playbooks/docs", "docs", "inventory") for path in (ROOT / folder).rglob("*.md")]
    pages += [ROOT / "lab/README.md", *ROOT.glob("*.md")]
    assert sorted(listed) == sorted(str(page.relative_to(ROOT)) for page in pages)
