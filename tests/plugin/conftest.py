# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A throw-away host to try the action plugin on: an sshd of our own, a user of our own, a collection with a toy program of two modules."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
USER = "homelab-k3s-test"
OTHER_USER = "homelab-k3s-else"
BIN = Path(sys.executable).parent
KEPT = ".ansible/homelab.k3s"
# Ansible's own temporary folder, for homes in which its own way would fail too.
ELSEWHERE = "/tmp/homelab-k3s-test-tmp"

STUB = '''
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: NAME
short_description: reports what reached it
description: Reports what reached it.
options: {}
"""
ARGUMENT_SPEC = {
    "mode": {"type": "str", "choices": ["report", "crash", "silent", "noisy", "large", "fail"]},
    "count": {"type": "int", "default": 1, "aliases": ["number"]},
    "flag": {"type": "bool"},
    "names": {"type": "list", "elements": "str"},
    "table": {"type": "dict"},
    "path": {"type": "path"},
    "text": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "trace": {"type": "str"},
}


def main():
    AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True).fail_json("not built")


if __name__ == "__main__":
    main()
'''
# The header of a program for aarch64, and nothing behind it.
ALIEN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)

ACTION = """
from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule


class ActionModule(BinaryActionModule):
    MODULE = "NAME"
"""
MODULES = ("toy", "twin")

HOLDER = """
from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule
from ansible_collections.homelab.k3s.plugins.plugin_utils.control_node import controller


class ActionModule(BinaryActionModule):
    MODULE = "toy"

    def added_arguments(self):
        return {"table": controller()}
"""

KEEPER = """
from ansible_collections.homelab.k3s.plugins.plugin_utils.binary_action import BinaryActionModule


class ActionModule(BinaryActionModule):
    MODULE = "toy"
    SECRET_RESULTS = ("received",)
"""


def run(*argv: str | Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True, **options)


@dataclasses.dataclass
class Outcome:
    """What a play did."""

    status: int
    output: str
    records: list[dict]
    calls: int

    def one(self, task: str) -> dict:
        """The result of the one task with this name, with its status as `_status`."""
        [record] = [record for record in self.records if record["task"] == task and record["status"] != "item"]
        return {**record["result"], "_status": record["status"]}

    def arguments(self, task: str) -> dict:
        """The arguments as the toy received them."""
        return json.loads(self.one(task)["received"])

    def items(self, task: str) -> list[dict]:
        """The results of the items of a loop."""
        return [record["result"] for record in self.records if record["task"] == task and record["status"] == "item"]


class Bench:
    """Runs plays against the throw-away host, and looks at what they leave there."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.home = Path(pwd.getpwnam(USER).pw_dir)
        self.collection = folder / "ansible_collections/homelab/k3s"
        self.calls = folder / "calls.log"
        self.plays = 0

    @property
    def program(self) -> Path:
        return self.collection / "plugins/modules/__bin__/x86_64/homelab-k3s"

    def kept(self, home: Path | None = None) -> list[Path]:
        folder = (home or self.home) / KEPT
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".checked-")) if folder.is_dir() else []

    def wipe(self) -> None:
        shutil.rmtree(self.home / ".ansible", ignore_errors=True)

    def keep(self) -> Path:
        """Puts the program where a play would have kept it."""
        self.wipe()
        login = pwd.getpwnam(USER)
        kept = self.home / KEPT / f"homelab-k3s-{hashlib.sha256(self.program.read_bytes()).hexdigest()}"
        kept.parent.mkdir(parents=True)
        kept.write_bytes(self.program.read_bytes())
        for path, mode in ((kept, 0o500), (kept.parent, 0o700), (kept.parent.parent, 0o700)):
            os.chown(path, login.pw_uid, login.pw_gid)
            path.chmod(mode)
        return kept

    def write_inventory(self, **variables) -> Path:
        login = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "ansible_ssh_executable": str(self.folder / "counting-ssh"),
            # Only async needs one; the one that runs the tests may lie where that user cannot look.
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        hosts = {
            "target": {**login, **variables},
            "gone": {**login, "ansible_port": 1, **variables},
            "here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "node": {"ansible_host": "192.0.2.1"},
        }
        path = self.folder / f"inventory-{self.plays}.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        return path

    def start(self, tasks: list[dict], host: str = "target", arguments=(), environment=None, variables=None, play=None):
        """Starts a play; `finish` waits for it."""
        self.plays += 1
        book = self.folder / f"play-{self.plays}.yml"
        book.write_text(yaml.safe_dump([{"hosts": host, "gather_facts": False, "tasks": tasks, **(play or {})}]))
        record = self.folder / f"record-{self.plays}.jsonl"
        settings = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "RECORD_FILE": str(record),
            **(environment or {}),
        }
        inventory = self.write_inventory(**(variables or {}))
        command = [BIN / "ansible-playbook", "-i", inventory, book, *arguments]
        process = subprocess.Popen(
            list(map(str, command)), env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )
        return process, record

    def finish(self, started) -> Outcome:
        process, record = started
        output, _none = process.communicate(timeout=300)
        records = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        calls = len(self.calls.read_text().splitlines()) if self.calls.exists() else 0
        return Outcome(process.returncode, output, records, calls)

    def play(self, tasks: list[dict], **options) -> Outcome:
        self.calls.unlink(missing_ok=True)
        return self.finish(self.start(tasks, **options))


def compile_toy(target: Path, edition: str) -> None:
    command = ["rustc", "--edition", "2024", "-C", "opt-level=s", "-C", "strip=symbols", "-o", target, HERE / "toy.rs"]
    environment = {**os.environ, "TOY_EDITION": edition}
    try:
        run(*command, "--target", "x86_64-unknown-linux-musl", env=environment, cwd=ROOT)
    except subprocess.CalledProcessError:
        run(*command, "-C", "target-feature=+crt-static", env=environment, cwd=ROOT)


def make_collection(folder: Path) -> None:
    plugins = folder / "ansible_collections/homelab/k3s/plugins"
    shutil.copytree(ROOT / "plugins/plugin_utils", plugins / "plugin_utils")
    (plugins / "action").mkdir()
    (plugins / "action/holder.py").write_text(HOLDER)
    (plugins / "action/keeper.py").write_text(KEEPER)
    for platform in ("x86_64", "aarch64"):
        (plugins / "modules/__bin__" / platform).mkdir(parents=True)
    for module in MODULES:
        (plugins / f"action/{module}.py").write_text(ACTION.replace("NAME", module))
        (plugins / f"modules/{module}.py").write_text(STUB.replace("NAME", module))
        for platform in ("x86_64", "aarch64"):
            (plugins / "modules/__bin__" / platform / module).symlink_to("homelab-k3s")
    compile_toy(plugins / "modules/__bin__/x86_64/homelab-k3s", "first")
    # Another platform's program lies beside it and must never be chosen.
    (plugins / "modules/__bin__/aarch64/homelab-k3s").write_bytes(ALIEN)


def start_sshd(folder: Path, port: int) -> subprocess.Popen:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host-key")
    shutil.copy(folder / "key.pub", folder / "authorized")
    Path("/run/sshd").mkdir(exist_ok=True)
    lines = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder}/host-key",
        f"AuthorizedKeysFile {folder}/authorized",
        f"PidFile {folder}/sshd.pid",
        "StrictModes no",
        "UsePAM no",
        f"AllowUsers {USER}",
        "Subsystem sftp internal-sftp",
        "MaxStartups 100",
        "MaxSessions 100",
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)
    for _attempt in range(1200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return sshd
        time.sleep(0.05)
    raise RuntimeError("the sshd of the tests does not listen")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def users():
    """A user to log in as, and one with a home of its own; both may do nothing but through sudo."""
    needed = ["/usr/sbin/sshd", "sudo", "useradd", "rustc"]
    missing = [name for name in needed if not shutil.which(name)]
    if os.getuid() != 0 or missing:
        pytest.skip(f"these tests need root and {', '.join(needed)}")
    sudoers = Path("/etc/sudoers.d/homelab-k3s-test")
    for name in (USER, OTHER_USER):
        subprocess.run(["userdel", "-rf", name], check=False, capture_output=True)
        run("useradd", "--system", "--create-home", "--home-dir", f"/var/lib/{name}", "--shell", "/bin/sh", name)
        run("chmod", "700", f"/var/lib/{name}")
        run("usermod", "-p", "*", name)  # a locked account cannot log in by key either
    sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    yield sudoers
    sudoers.unlink()
    for name in (USER, OTHER_USER):
        subprocess.run(["userdel", "-rf", name], check=False, capture_output=True)


@pytest.fixture(scope="session")
def host(users, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    folder.parent.parent.chmod(0o755)
    for part in (folder.parent, folder):
        part.chmod(0o755)
    make_collection(folder)
    counting = folder / "counting-ssh"
    counting.write_text(f'#!/bin/sh\ncase "$*" in *"-O stop"*) ;; *) echo call >>{folder}/calls.log ;; esac\nexec ssh "$@"\n')
    counting.chmod(0o755)
    port = free_port()
    sshd = start_sshd(folder, port)
    yield Bench(folder, port)
    sshd.terminate()
    sshd.wait(timeout=10)
    shutil.rmtree(ELSEWHERE, ignore_errors=True)


@pytest.fixture
def bench(host):
    """The host as new: no program kept, the toy of the first edition."""
    host.wipe()
    return host


def toy(name: str = "toy", **arguments) -> dict:
    """A task of that name; keywords of the task begin with an underscore."""
    return task("toy", name, **arguments)


def twin(name: str, **arguments) -> dict:
    """The same, of the program's other module."""
    return task("twin", name, **arguments)


def task(module: str, name: str, **arguments) -> dict:
    keywords = {key[1:]: value for key, value in arguments.items() if key.startswith("_")}
    options = {key: value for key, value in arguments.items() if not key.startswith("_")}
    return {"name": name, f"homelab.k3s.{module}": options, **keywords}
