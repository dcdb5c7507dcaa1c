"""Watches the lab's processes and files while playbooks run: `watch.py FOLDER MARK`, until it is ended.

Every 10 ms each process that is the lab's, by its cgroup, or ansible's, by a variable in its environment, is looked at: the command
line of each program that it runs, and its environment. Every 50 ms the files in folders of ours are looked at, with modes and owners,
so that a file is seen that is there for a moment. FOLDER/processes has what was seen, FOLDER/files each file once for each mode and
owner, FOLDER/figures.json how often was looked."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path

PERIOD = 0.01
FILES_EVERY = 5
# A process of others may become the lab's: it is moved into the cgroup after it has begun.
CLASSIFY_EVERY = 50
# A process becomes another program soon after it has begun, or hardly ever.
YOUNG = 100
OLD_EVERY = 20
LAB = os.environ.get("LAB_NAME", "homelab-lab")
IN_LAB = re.compile(rf":/{re.escape(LAB)}/([^/\n]+)")
INIT = re.compile(rb"^NSpid:.*\t1$", re.MULTILINE)
# Where modules put files; a folder's own mode counts too.
IN_CONTAINER = ("var/lib/homelab-k3s", "etc/rancher", "tmp", "var/tmp")
ON_HOST = ("root/.ansible", "root/guide-backups")


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        # It has ended.
        return b""


class Watch:
    def __init__(self, folder: Path, mark: str) -> None:
        self.folder = folder
        self.mark = f"{mark}=".encode()
        # Of each process of ours the command line that was seen last, and since when it is there.
        self.ours: dict[str, bytes] = {}
        self.since: dict[str, int] = {}
        self.others: set[str] = set()
        # What was seen, with where the process was.
        self.seen: dict[bytes, str] = {}
        self.processes: set[tuple[str, bytes]] = set()
        # Of each container, and of each host, a process through which its files are seen.
        self.doors: dict[str, str] = {}
        self.files: set[tuple[str, str, int, int, int]] = set()
        self.looks = 0
        self.gaps: list[float] = []

    def look(self) -> None:
        self.looks += 1
        if self.looks % CLASSIFY_EVERY == 0:
            self.others.clear()
        listed = {name for name in os.listdir("/proc") if name.isdigit()}
        self.others &= listed
        for gone in self.ours.keys() - listed:
            del self.ours[gone], self.since[gone]
        for pid in listed - self.others:
            self.look_at(pid)
        if self.looks % FILES_EVERY == 0:
            self.look_at_files()

    def look_at(self, pid: str) -> None:
        if pid in self.ours:
            if self.looks - self.since[pid] > YOUNG and (self.looks + int(pid)) % OLD_EVERY:
                return
            command = read(f"/proc/{pid}/cmdline")
            if command and command != self.ours[pid]:
                self.keep(pid, command, read(f"/proc/{pid}/environ"), self.place(pid))
            return
        place, environment = self.place(pid), read(f"/proc/{pid}/environ")
        if place == "" and self.mark not in environment:
            self.others.add(pid)
            return
        self.keep(pid, read(f"/proc/{pid}/cmdline"), environment, place)

    def place(self, pid: str) -> str:
        found = IN_LAB.search(read(f"/proc/{pid}/cgroup").decode())
        return found[1] if found else ""

    def keep(self, pid: str, command: bytes, environment: bytes, place: str) -> None:
        self.ours[pid] = command
        self.since.setdefault(pid, self.looks)
        self.processes.add((pid, command))
        for text in (command, environment):
            self.seen.setdefault(text, place or "control node")
        # What init starts is called as init is, for a moment.
        is_init = command.startswith(b"/sbin/init") and INIT.search(read(f"/proc/{pid}/status"))
        if is_init or (place.endswith("-sshd") and place not in self.doors):
            self.doors[place] = pid

    def look_at_files(self) -> None:
        for place, pid in list(self.doors.items()):
            for folder in ON_HOST if place.endswith("-sshd") else IN_CONTAINER:
                self.walk(place, f"/proc/{pid}/root", folder)
        self.walk("control node", "", str(self.folder / "control"))

    def walk(self, place: str, root: str, path: str) -> None:
        try:
            found = os.lstat(f"{root}/{path}")
            # The machine's own folders are entered and are not ours.
            if not path.endswith("tmp"):
                self.files.add((place, path, found.st_mode, found.st_uid, found.st_gid))
            if stat.S_ISDIR(found.st_mode):
                for name in os.listdir(f"{root}/{path}"):
                    self.walk(place, root, f"{path}/{name}")
        except OSError:
            # It was there for a moment, or is not there yet.
            return

    def write(self) -> None:
        blocks = (f"{place}\n".encode() + text.replace(b"\0", b"\n") + b"\n\n" for text, place in self.seen.items())
        (self.folder / "processes").write_bytes(b"".join(blocks))
        files = [dict(zip(("place", "path", "mode", "uid", "gid"), file)) for file in sorted(self.files)]
        (self.folder / "files").write_text("\n".join(map(json.dumps, files)))
        gaps = sorted(self.gaps)
        figures = {
            "looks": self.looks,
            "programs": len(self.processes),
            "texts": len(self.seen),
            "files": len(self.files),
            "doors": self.doors,
            "median_ms": round(1000 * gaps[len(gaps) // 2], 1),
            "late_ms": round(1000 * gaps[len(gaps) * 95 // 100], 1),
        }
        (self.folder / "figures.json").write_text(json.dumps(figures))


def main(folder: Path, mark: str) -> None:
    watch = Watch(folder, mark)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    before = time.monotonic()
    while not ended:
        watch.look()
        now = time.monotonic()
        time.sleep(max(0, PERIOD - (now - before)))
        after = time.monotonic()
        watch.gaps.append(after - before)
        before = after
    watch.write()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
