# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection's programs, as they lie beside the stubs on the control node.

`plugins/modules/__bin__/<platform>/<module>` is what `make install` writes. A platform is an architecture
(`x86_64`, for Linux) or another operating system and an architecture (`darwin_aarch64`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

from ansible.errors import AnsibleActionFail

COLLECTION = "homelab.k3s"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "modules", "__bin__")

# What `uname -m` and `uname -s` call them.
MACHINES = {"x86_64": ["x86_64", "amd64"], "aarch64": ["aarch64", "arm64"]}
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "freebsd": "FreeBSD"}


@dataclass(frozen=True)
class Binary:
    """One module's program for one platform."""

    module: str
    platform: str
    path: str
    sha256: str

    @property
    def unames(self) -> list[str]:
        """What `uname -s -m` answers on the hosts that can run it."""
        system, machine = ("linux", self.platform) if self.platform in MACHINES else self.platform.split("_", 1)
        return [f"{SYSTEMS.get(system, system)} {name}" for name in MACHINES.get(machine, [machine])]

    @property
    def transfer_name(self) -> str:
        """The name under which Ansible itself finds the program, to send it in its own way."""
        return f"{COLLECTION}.__bin__.{self.platform}.{self.module}"

    def content(self) -> bytes:
        with open(self.path, "rb") as program:
            return program.read()


def binaries_of(module: str) -> list[Binary]:
    """The programs of one module, one a platform; none is a failure that says what to do."""
    platforms = sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
    paths = [(platform, os.path.join(FOLDER, platform, module)) for platform in platforms]
    found = [Binary(module, platform, path, _sha256(path)) for platform, path in paths if os.path.isfile(path)]
    if not found:
        raise AnsibleActionFail(
            f"looking for the program of {COLLECTION}.{module} in {FOLDER}: it is not built; "
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
        f"choosing the program of {COLLECTION}.{binaries[0].module} for {place}: that host is {uname or 'of no known kind'}, "
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
