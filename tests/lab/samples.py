"""The samples of output in the playbooks' pages, between `<!-- BEGIN sample COMMAND -->` and `<!-- END sample -->`.

`make samples` runs the documented commands in the lab and writes what they print into the pages. A run of test_guide compares the kinds
of lines, so that a page whose playbook prints something else is found."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "playbooks/docs/playbooks").glob("*.md"))
BLOCK = re.compile(r"(<!-- BEGIN sample (.*?) -->\n)(.*?)(<!-- END sample -->)", re.DOTALL)
TASK = re.compile(r"^TASK \[(.*?)\] \*+\n(.*?)(?=^(?:TASK|PLAY)|\Z)", re.DOTALL | re.MULTILINE)
ANSWER = re.compile(r"^ok: \[([\w-]+).*?\] => \n((?: {4}.*\n?)+)", re.MULTILINE)
# Folders of the walk, and what they are by default.
FOLDERS = (
    (r"/root/guide-backups", "/var/lib/homelab-k3s/backups"),
    (r"/\S*/lab\d+/kubeconfig", "~/.kube/k3s-k3s-controller-1.config"),
    # The control node's name and process.
    (r"the run \S+-\d+-\d+", "the run laptop-4242-1"),
)
LONGEST = 24


def shown(output: str) -> Iterator[tuple[str, list[str]]]:
    """Each task that printed a message, with its lines; those of several hosts below their names."""
    for name, body in TASK.findall(output):
        answers = [(host, yaml.safe_load(text)) for host, text in ANSWER.findall(body)]
        answers = sorted((host, answer["msg"]) for host, answer in answers if "msg" in answer)
        lines: list[str] = []
        for host, message in answers:
            parts = message if isinstance(message, list) else [message]
            texts = [line for part in parts for line in words(part).splitlines()]
            lines += [f"{host}:", *(f"  {text}" for text in texts)] if len(answers) > 1 else texts
        if lines:
            left = len(lines) - LONGEST
            yield name, lines if left < 2 else [*lines[:LONGEST], f"… and {left} more lines"]


def words(part: object) -> str:
    return "; ".join(f"{key}: {value}" for key, value in part.items()) if isinstance(part, dict) else str(part)


def sample(output: str) -> str:
    for pattern, instead in FOLDERS:
        output = re.sub(pattern, instead, output)
    parts = ["\n".join([f"# {name}", *lines]) for name, lines in shown(output)]
    return "\n\n".join(parts)


def kind(line: str) -> str:
    """The words of a line before its first figure or name: they say which line it is. A table's columns are as wide as the longest path."""
    return " ".join(re.split(r"[\d:/=\"]|\bk3s-", line.strip(), maxsplit=1)[0].split())


def kinds(text: str) -> set[str]:
    return {kind(line) for line in text.splitlines() if kind(line) and not line.strip().startswith(("…", "$"))}


def commands() -> dict[str, Path]:
    """The commands that have a sample, and its page."""
    return {command: page for page in PAGES for _begin, command, _text, _end in BLOCK.findall(page.read_text())}


def missing(command: str, output: str) -> set[str]:
    """Kinds of lines that the page shows and the run did not print."""
    page = commands().get(command)
    texts = [text for _begin, name, text, _end in BLOCK.findall(page.read_text()) if name == command] if page else []
    return {found for text in texts for found in kinds(text)} - kinds(sample(output))


def write(folder: Path) -> None:
    outputs = [path.read_text() for path in sorted(folder.iterdir())]
    # Where a command was run twice, its first run had something to do.
    printed = {output.splitlines()[0].removeprefix("$ "): sample(output) for output in reversed(outputs)}
    for page in PAGES:

        def replace(found: re.Match[str]) -> str:
            begin, command, _text, end = found.groups()
            lines = [f"    {line}".rstrip() for line in printed[command].splitlines()]
            return f"{begin}\n" + "\n".join([f"    $ {command}", "", *lines]) + f"\n\n{end}"

        page.write_text(BLOCK.sub(replace, page.read_text()))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
