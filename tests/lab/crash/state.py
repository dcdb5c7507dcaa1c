"""What a run has left: files, processes and nodes, in a form that does not differ between two undisturbed runs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from conftest import Lab

HOST = "pve1"
# Everything below these is compared, except what changes all the time.
OF_THE_HOST = ("/root", "/run", "/etc/pve")
OF_A_CONTAINER = ("/",)
# Kernel's; the stand-in k3s's own data and pods; systemd's and the packages' notes; systemd's folders with a random name for each
# service of each boot. The rest of the host's tree is the machine's.
VOLATILE = re.compile(
    r"/(proc|sys|dev)$"
    r"|/var/(log|cache)$|/var/lib/(apt|dpkg|systemd|kubelet)$|/var/lib/rancher/k3s/(server/db/etcd|agent/(containerd|etc))$"
    r"|/tmp/systemd-private-[^/]*$"
    r"|/run/(systemd|udev|user|dbus|lock/lxc|homelab-lab|homelab-k3s-crash|k3s|netns)$|/run/ansible-cp$"
)
# Settings are compared by their content, apart from what each machine and each renewal makes anew, and the lab's own notes. What is
# larger is a program or a database.
SETTINGS = re.compile(r"^/etc/(?!machine-id|ssh/|rancher/node/password|rancher/k3s/k3s.yaml|lab/)|/var/lib/rancher/k3s/server/(token|agent-token|node-token)$")
LARGEST = 256 * 1024
# Times, random words and process ids; hashes in names.
RANDOM = re.compile(r"\d{8}T\d{6}Z|\b[0-9a-f]{8,}\b|(?<![a-z])\d+")
# Helm keeps a Secret for each change of a release.
REVISION = re.compile(r"(?<=\.)v\d+$")


def of(lab: Lab, *versions: str) -> dict[str, frozenset]:
    """The state after a run. Of the versions that were there before and are there now only the order counts."""
    roots = {vmid: container_root(lab, vmid) for vmid in lab.containers()}
    found: dict[str, frozenset] = {}
    for name, root, folders in [(HOST, host_root(lab), OF_THE_HOST), *((str(vmid), root, OF_A_CONTAINER) for vmid, root in roots.items())]:
        for path, entry in files(root, folders, versions):
            # Of files whose names differ in numbers alone: of each kind any number, as of backups.
            found[f"{name}:{path}"] = found.get(f"{name}:{path}", frozenset()) | {entry}
    # Together: pods may be on other nodes afterwards.
    found["processes in containers"] = frozenset(processes("".join(lab.inside(vmid, "ps -eo args") for vmid in roots)))
    found[f"processes on {HOST}"] = frozenset(processes(lab("exec", "--", "sh", "-c", "pgrep --ns $$ --nslist net,mnt -a .")))
    for name, node in lab.nodes().items():
        found[f"node {name}"] = frozenset([in_words(of_node(node), versions)])
    # The columns are as wide as the longest name.
    found["objects"] = frozenset(REVISION.sub("", RANDOM.sub("#", " ".join(line.split()))) for line in objects(lab).splitlines())
    return found


def objects(lab: Lab) -> str:
    """What a datastore may lose, or have too much of."""
    columns = "custom-columns=:.kind,:.metadata.namespace,:.metadata.name"
    return lab.kubectl("get", "configmaps,secrets,deployments", "-A", "--no-headers", "-o", columns)


def voters(lab: Lab) -> int:
    """How many Nodes say that their etcd member votes."""
    conditions = [entry for node in lab.nodes().values() for entry in node["status"]["conditions"]]
    return sum(entry["type"] == "EtcdIsVoter" and entry["status"] == "True" for entry in conditions)


def of_node(node: dict) -> str:
    # Which run it was, and when, are beside the point.
    ours = {key: RANDOM.sub("#", value) for key, value in node["metadata"].get("annotations", {}).items() if "homelab" in key}
    conditions = {entry["type"]: entry["status"] for entry in node["status"]["conditions"]}
    spec = {key: node["spec"].get(key) for key in ("unschedulable", "taints")}
    return f"{node['status']['nodeInfo']['kubeletVersion']} {spec} {ours} {sorted(conditions.items())} {sorted(node['metadata']['labels'].items())}"


def container_root(lab: Lab, vmid: int) -> Path:
    return Path(f"/proc/{lab('exec', '--', 'lxc-info', '-n', str(vmid), '-pH').strip()}/root")


def host_root(lab: Lab) -> Path:
    sshd = lab("exec", "--", "sh", "-c", "pgrep --ns $$ --nslist net,mnt --oldest sshd").strip()
    return Path(f"/proc/{sshd}/root")


def files(root: Path, folders: tuple[str, ...], versions: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for path, status in walk(root, folders):
        kind = stat.S_IFMT(status.st_mode)
        entry: tuple[object, ...] = (oct(status.st_mode), status.st_uid, status.st_gid)
        if SETTINGS.search(path) and kind == stat.S_IFREG and status.st_size < LARGEST:
            entry += (hashlib.sha256(in_words(read(root, path), versions).encode()).hexdigest(),)
        yield RANDOM.sub("#", path), entry


def walk(root: Path, folders: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
    left = [folder.rstrip("/") for folder in folders]
    while left:
        folder = left.pop()
        try:
            entries = list(os.scandir(f"{root}{folder}/"))
        except OSError:
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}"
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if VOLATILE.search(path):
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                left.append(path)


def read(root: Path, path: str) -> str:
    try:
        return Path(f"{root}{path}").read_text(errors="replace")
    except OSError:
        return ""


def in_words(text: str, versions: tuple[str, ...]) -> str:
    for number, version in enumerate(versions):
        text = text.replace(version, f"<version {number}>")
    return text


def processes(listed: str) -> list[str]:
    """Kinds of processes, without those that asked."""
    asked = re.compile(r"ps -eo args|pgrep |COMMAND|sshd: |/bin/sh -c|lxc-attach|sftp-server|\[.*\]$|pct exec")
    return sorted({RANDOM.sub("#", line.strip()) for line in listed.splitlines() if not asked.search(line)})


def differences(before: dict[str, frozenset], after: dict[str, frozenset]) -> dict[str, str]:
    """What differs, each with what is gone and what is new."""
    found = {}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, frozenset()), after.get(key, frozenset())
        if old != new:
            found[key] = f"gone: {sorted(old - new)}, new: {sorted(new - old)}"
    return found


def lasting(look: Callable[[], dict[str, str]], limit: float = 10) -> dict[str, str]:
    """What goes away by itself is not left: systemd cleans temporary files now and then, and a pod starts where it is to run."""
    end = time.monotonic() + limit
    while (found := look()) and time.monotonic() < end:
        time.sleep(1)
    return found


def secrets_in_wide_files(lab: Lab, since: float) -> list[str]:
    """Files changed since then that others can read, and that have a part of a token or of a private key."""
    roots = {str(vmid): container_root(lab, vmid) for vmid in lab.containers()}
    words = {word for root in roots.values() for word in secrets(root)}
    assert words
    found = []
    for name, root, folders in [(HOST, host_root(lab), OF_THE_HOST), *((name, root, OF_A_CONTAINER) for name, root in roots.items())]:
        for path, status in walk(root, folders):
            is_wide = stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and status.st_size < LARGEST
            if is_wide and status.st_ctime >= since:
                text = read(root, path)
                if any(word in text for word in words):
                    found.append(f"{name}:{path} ({stat.filemode(status.st_mode)})")
    return found


def secrets(root: Path) -> Iterator[str]:
    server = Path(f"{root}/var/lib/rancher/k3s/server")
    # A link leads to a path of the container, which would be this machine's here.
    for token in (token for token in server.glob("*token") if not token.is_symlink()):
        yield token.read_text().strip().rsplit(":", 1)[-1]
    for key in server.glob("tls/**/*.key"):
        yield from (line for line in key.read_text().splitlines() if len(line) == 64)
