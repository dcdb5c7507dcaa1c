"""Hands mkdocs the pages where they are, so that their links work in the repository, in the tarball and in the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md", "CHANGELOG.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "lab/README.md", "inventory/notes.md",
    "docs/*.md", "playbooks/docs/**/*.md",
)  # fmt: skip
# What pages show or link to: copied, not rendered.
BESIDE = ("docs/*.svg", "inventory/*.yaml", "LICENSE")
# Marks a link that is taken out; it never reaches a page.
SOURCE = "source:"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)((?:#[^)\s]*)?)(?=\))")


def paths(patterns: tuple[str, ...]) -> list[str]:
    return sorted({str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for path in paths(PAGES):
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls, inclusion=InclusionLevel.INCLUDED))
    for path in paths(BESIDE):
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to a source, which the site has not, becomes its path."""

    def replace(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), found[1]))
        return found[0] if files.get_file_from_path(target) or not (ROOT / target).exists() else SOURCE + target

    return re.sub(r"\[([^\]]*)\]\(" + re.escape(SOURCE) + r"[^)]*\)", r"\1", LINK.sub(replace, with_deeper_items(markdown)))


def with_deeper_items(markdown: str) -> str:
    """What belongs to an item of a list is indented by 4, as mkdocs wants it; elsewhere the width of the item's mark is enough."""
    lines, width = [], 0
    for line in markdown.split("\n"):
        mark = re.match(r"(\d+\. |- )", line)
        if mark:
            width = len(mark[0])
        elif line and not line.startswith(" "):
            width = 0
        depth = len(line) - len(line.lstrip())
        if width and depth >= width and not re.match(r"\s+(\d+\.|-) ", line):
            line = " " * (depth - width + 4) + line.lstrip()
        lines.append(line)
    return "\n".join(lines)
