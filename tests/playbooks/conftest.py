"""Playbooks with unreachable hosts: what is refused here is refused before any host is contacted."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(path.stem.removeprefix("playbook-") for path in (ROOT / "playbooks").glob("playbook-*.yaml"))
CHECK = "Check the inventory, the limit and the variables"
# A run that contacts a host fails there at once, and its second task is printed.
SOUND = """
[pve]
pve1 ansible_host=192.0.2.11 ansible_ssh_executable=/bin/false
[k3s_controllers]
c1 pct_id=101
[k3s_workers]
w1 pct_id=111
w2 pct_id=112
[k3s_cluster:children]
k3s_controllers
k3s_workers
"""


@dataclass
class Run:
    status: int
    text: str

    @property
    def words(self) -> str:
        """The output, without Ansible's line breaks."""
        return " ".join(self.text.split())

    def assert_refused_with(self, *words: str) -> None:
        """Refused by the first check, with no task after it."""
        assert self.status == 2, self.text
        assert set(re.findall(r"^TASK \[(.*?)\]", self.text, re.MULTILINE)) == {CHECK}, self.text
        for word in words:
            assert word in self.words, f"{word!r} is not in:\n{self.text}"

    def assert_begun(self) -> None:
        """The check has passed; the next task is one of the playbook."""
        assert len(re.findall(r"^TASK \[(.*?)\]", self.text, re.MULTILINE)) > 1, self.text
        assert "does not begin" not in self.text, self.text


def play(playbook: str, inventory: Path, *arguments: str) -> Run:
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), f"k3s/playbook-{playbook}.yaml", *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DISPLAY_FAILED_STDERR": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def together(runs: Iterable[Callable[[], Run]]) -> list[Run]:
    """Most of a run is the start of Ansible: parallel runs take less time."""
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        return list(pool.map(lambda run: run(), runs))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.ini"
    path.write_text(SOUND)
    return path
