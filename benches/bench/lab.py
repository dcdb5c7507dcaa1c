# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab that is measured in: a cluster of the wanted size, and what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = os.environ.get("LAB", str(ROOT / "target/lab/lab"))
WORK = ROOT / ".cache/bench"
PROGRAMS = ROOT / "plugins/modules/__bin__/x86_64"


@dataclass
class Lab:
    controllers: int
    workers: int
    inventory: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run([LAB, *arguments], input=stdin, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"lab {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def on_host(self, script: str) -> str:
        return self("exec", "--host", "pve1", "--", "sh", "-ec", script)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self("kubectl", *arguments, stdin=stdin)

    def versions(self) -> set[str]:
        """Those that the cluster's nodes run."""
        nodes = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        return {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}

    def connections(self) -> int:
        """The ssh connections that the Proxmox hosts have accepted so far."""
        logs = Path("/run/homelab-lab/hosts").glob("*/sshd.log")
        return sum(log.read_text().count("Accepted publickey") for log in logs)


class Labs:
    """Brings up the wanted cluster when a part needs it, and takes it down when another one is needed."""

    def __init__(self, time_factor: float) -> None:
        self.time_factor = time_factor
        self.up: Lab | None = None
        # A lab that was up before is used, and neither changed nor taken down.
        self.found = "lab: up" in subprocess.run([LAB, "status"], capture_output=True, text=True, check=False).stdout

    def get(self, controllers: int = 1, workers: int = 2) -> Lab | None:
        """None: a lab of another size was up before."""
        wanted = (controllers, workers)
        if self.up is None or (self.up.controllers, self.up.workers) != wanted:
            if self.found:
                return self._use_found(wanted)
            self.down()
            self._bring_up(controllers, workers)
        return self.up

    def _bring_up(self, controllers: int, workers: int) -> None:
        print(f"== bringing up a lab of {controllers} + {workers}", flush=True)
        size = ("--controllers", str(controllers), "--workers", str(workers))
        self.up = self._lab(controllers, workers)
        self.up("up", *size, "--time-factor", str(self.time_factor))
        self.up.inventory.write_text(self.up("inventory"))

    def _use_found(self, wanted: tuple[int, int]) -> Lab | None:
        lab = self._lab(*wanted)
        lab.inventory.write_text(lab("inventory"))
        groups = inventory(lab.inventory)
        has = (len(groups["k3s_controllers"]["hosts"]), len(groups["k3s_workers"]["hosts"]))
        self.up = lab if has == wanted else None
        return self.up

    def _lab(self, controllers: int, workers: int) -> Lab:
        return Lab(controllers, workers, WORK / "lab.yaml")

    def down(self) -> None:
        if self.up and not self.found:
            self.up("down")
        self.up = None


def inventory(path: Path) -> dict:
    command = ["ansible-inventory", "--inventory", path, "--list"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def wait_until(what: str, holds: Callable[[], bool], limit: float = 300) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {limit} s")
        time.sleep(0.5)


@contextmanager
def labs(time_factor: float) -> Iterator[Labs]:
    """However the run ends, what it brought up goes."""
    all_labs = Labs(time_factor)
    try:
        yield all_labs
    finally:
        all_labs.down()
