"""Links of the documentation lead to what is there: in a checkout, and in the tarball for the pages that are packed."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
import yaml
from conftest import ROOT

GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
FENCED = re.compile(r"^```[\s\S]*?^```|^ {4}.*$|`[^`\n]*`", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


def is_packed(path: str) -> bool:
    """As ansible-galaxy decides: a pattern that matches a folder leaves out all that is in it."""
    parts = [PurePosixPath(path), *PurePosixPath(path).parents][:-1]
    return not any(fnmatch(str(part), pattern) for part in parts for pattern in GALAXY["build_ignore"])


def links_of(text: str) -> list[str]:
    links = LINK.findall(FENCED.sub("", text))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


@cache
def anchors_of(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def fault_of(page: str, link: str) -> str | None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.exists():
        return f"{page}: {link} does not exist"
    relative = str(target.resolve().relative_to(ROOT))
    if is_packed(page) and not is_packed(relative):
        return f"{page}: {link} is not in the tarball; name it without a link"
    if anchor and anchor not in anchors_of(target):
        return f"{page}: {link} has no such heading"
    return None


PAGES = [path for path in tracked() if path.endswith(".md")]


def test_finds_dead_links_and_passes_others() -> None:
    assert links_of("[a](b.md) `[c](d.md)` [e](https://f) ![g](h.svg)\n\n    [i](j.md)\n") == ["b.md", "h.svg"]
    assert "does not exist" in str(fault_of("README.md", "nothing.md"))
    assert "not in the tarball" in str(fault_of("README.md", "Cargo.toml"))
    assert "no such heading" in str(fault_of("README.md", "SECURITY.md#nothing"))
    assert fault_of("README.md", "SECURITY.md#secrets") is None
    assert fault_of("CONTRIBUTING.md", "Cargo.toml") is None


def test_pages_for_operators_are_packed() -> None:
    assert {"README.md", "CHANGELOG.md", "inventory/notes.md", "playbooks/docs/modules/pct_exec.md"} <= {page for page in PAGES if is_packed(page)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_what_is_there(page: str) -> None:
    faults = [fault for link in links_of((ROOT / page).read_text()) if (fault := fault_of(page, link))]
    assert not faults, "\n".join(faults)


def test_no_address_is_a_placeholder() -> None:
    addresses = {key: GALAXY[key] for key in ("repository", "documentation", "homepage", "issues") if key in GALAXY}
    assert not [address for address in addresses.values() if "example" in address], addresses
