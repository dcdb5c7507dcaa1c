"""The collection with the program of `make crash-program` in place of the one that is shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "target/crash/homelab-k3s"
BINARIES = Path("plugins/modules/__bin__")


def make(folder: Path) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH."""
    assert PROGRAM.is_file(), f"{PROGRAM} is missing: run `make crash-program`"
    collection = folder / "ansible_collections/homelab/k3s"
    # Copies: Ansible finds the program beside the file that a plugin really is.
    shutil.copytree(ROOT / "plugins", collection / "plugins", ignore=lambda _, names: {"__pycache__"} & {*names}, symlinks=True)
    for name in ("meta", "playbooks", "roles", "galaxy.yml"):
        (collection / name).symlink_to(ROOT / name)
    for platform in (collection / BINARIES).iterdir():
        shutil.copy(PROGRAM, platform / "homelab-k3s")
    return folder
