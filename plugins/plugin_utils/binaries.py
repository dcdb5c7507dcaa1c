# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection's programs, as they lie beside the stubs on the control node.

`plugins/modules/__bin__/<platform>/homelab-k3s` is what `make install` writes: all modules, one of them chosen by
the first argument, or by the name of the file. A platform is an architecture (`x86_64`, for Linux) or another
operating system and an architecture (`darwin_aarch64`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

from ansible.errors import AnsibleActionFail

COLLECTION = "homelab.k3s"
PROGRAM = "homelab-k3s"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "modules", "__bin__")

# What `uname -m` and `uname -s` call them.
MACHINES = {"x86_64": ["x86_64", "amd64"], "aarch64": ["aarch64", "arm64"]}
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "freebsd": "FreeBSD"}


@dataclass(frozen=True)
class Binary:
    """The program for one platform."""

    platform: str
    path: str
    sha256: str

    @property
    def unames(self) -> list[str]:
        """What `uname -s -m` answers on the hosts that can run it."""
        system, machine = ("linux", self.platform) if self.platform in MACHINES else self.platform.split("_", 1)
        return [f"{SYSTEMS.get(system, system)} {name}" for name in MACHINES.get(machine, [machine])]

    def transfer_name(self, module: str) -> str:
        """The name under which Ansible itself finds the program, to send it in its own way.

        It is that of a link beside the program. The copy that arrives is named after the link, and so runs that module.
        """
        return f"{COLLECTION}.__bin__.{self.platform}.{module}"

    def content(self) -> bytes:
        with open(self.path, "rb") as program:
            return program.read()


def all_binaries() -> list[Binary]:
    """The programs, one a platform; none is a failure that says what to do."""
    platforms = sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
    paths = [(platform, os.path.join(FOLDER, platform, PROGRAM)) for platform in platforms]
    found = [Binary(platform, path, _sha256(path)) for platform, path in paths if os.path.isfile(path)]
    if not found:
        raise AnsibleActionFail(
            f"looking for the program of {COLLECTION} in {FOLDER}: it is not built; "
            "run `make install` in the collection's folder"
        )
    return found


def binary_for(binaries: list[Binary], uname: str, place: str) -> Binary:
    """The program that runs where `uname -s -m` answered this."""
    for binary in binaries:
        if uname in binary.unames:
            return binary
    built = ", ".join(binary.platform for binary in binaries)
    raise AnsibleActionFail(
        f"choosing the program of {COLLECTION} for {place}: that host is {uname or 'of no known kind'}, "
        f"and there are programs for {built} only; build one with `cargo xtask install --target TRIPLE`"
    )


def _sha256(path: str) -> str:
    status = os.stat(path)
    return _sha256_at(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=None)
def _sha256_at(path: str, _mtime_ns: int, _size: int) -> str:
    # A loop runs all its items in one process: the program is hashed once for all of them.
    with open(path, "rb") as program:
        return hashlib.sha256(program.read()).hexdigest()
