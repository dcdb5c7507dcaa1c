# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who runs this playbook, and what else runs on the control node.

A run lock says by whom it is held. Whether that run still lives can only be seen from the control node it was
started on: by process id *and* start time, since ids are used again, on the same boot of the same machine.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def controller() -> dict[str, Any]:
    """This run and its control node, as the module cluster_lock reads it."""
    # Tasks run in workers; their parent is the ansible-playbook that the user sees.
    pid = os.getppid()
    started = _started_linux() if (PROC / "self" / "stat").exists() else _started_elsewhere()
    return {
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "host": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid": pid,
        "start": started.get(pid, ""),
        "alive": [f"{number}:{start}" for number, start in sorted(started.items())],
    }


def _boot_id() -> str:
    """Names what process ids are comparable in: a boot, a pid namespace and, where others are hidden, a user."""
    if not PROC.joinpath("self", "stat").exists():
        return _output("sysctl", "-n", "kern.bootsessionuuid") or _output("sysctl", "-n", "kern.boottime")
    boot = PROC.joinpath("sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = re.sub(r"\D", "", os.readlink(PROC / "self/ns/pid"))
    hidden = [] if PROC.joinpath("1/stat").exists() else [f"uid-{os.getuid()}"]
    return "/".join([boot, namespace, *hidden])


def _started_linux() -> dict[int, str]:
    """The start, in ticks since boot, of every process that has not ended."""
    started = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in parentheses may hold anything: what counts comes after the last one.
            fields = folder.joinpath("stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            started[int(folder.name)] = fields[19].decode("ascii")
    return started


def _started_elsewhere() -> dict[int, str]:
    started = {}
    for line in _output("ps", "-axo", "pid=,stat=,lstart=").splitlines():
        pid, state, start = line.split(None, 2)
        if not state.startswith("Z"):
            started[int(pid)] = "-".join(start.split())
    return started


def _output(*argv: str) -> str:
    answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10, env={**os.environ, "LC_ALL": "C"})
    return answer.stdout.strip()
