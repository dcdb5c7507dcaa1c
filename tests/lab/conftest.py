"""A lab per test file, the operators' commands on it, and queries of it that do not use our modules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# `make lab` builds it.
LAB = Path(os.environ.get("LAB", ROOT / "target/lab/lab"))
# A playbook that hangs must not hang the test run.
PLAYBOOK_LIMIT = 600
LEASE = "homelab-k3s-run"
# Words for pgrep, on a Proxmox host: what runs beside on the machine, or in another lab, is none of ours.
OUR_MODULES = "--ns $$ --nslist net,mnt -f '[/]homelab.k3s/'"
# The message about `held`.
HELD = (
    "the cluster is held by operator@elsewhere (process 7, a test, since 20",
    "if it is dead, its lock ends by itself in 120 min, or run again with -e k3s_break_lock=true",
)


def seed() -> str:
    """Another sample with each commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return os.environ.get("SEED") or head.stdout.strip() or "none"


@dataclass
class Run:
    """A playbook that ran to its end."""

    status: int
    text: str

    @property
    def words(self) -> str:
        """The output, without Ansible's line breaks."""
        return " ".join(self.text.split())

    def assert_failed_with(self, *words: str) -> None:
        assert self.status != 0, self.text
        for word in words:
            assert word in self.words, f"{word!r} is not in:\n{self.text}"

    def assert_unchanged(self) -> None:
        assert self.status == 0, self.text
        recap = [line for line in self.text.split("PLAY RECAP")[-1].splitlines() if "changed=" in line]
        # A play without hosts has changed nothing either.
        assert recap and not [line for line in recap if "changed=0" not in line], self.text


@dataclass
class Lab:
    folder: Path
    options: list[str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def up(self) -> None:
        self("up", *self.options)
        self.inventory = self.folder / "hosts.yaml"
        self.inventory.write_text(self("inventory"))

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([LAB, *arguments], input=stdin, capture_output=True, text=True, timeout=300)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"lab {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def held(self) -> Path:
        """The file that `callback/hold.py` reads."""
        return self.folder / "hold"

    # Asking the lab

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Retries reads while no API answers, as in an etcd election; sends a change once."""
        deadline = time.monotonic() + (60 if arguments[0] in ("get", "wait") else 0)
        while True:
            done = self.run("kubectl", *arguments, stdin=stdin)
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < deadline, f"kubectl {arguments}: {done.stdout}{done.stderr}"
            time.sleep(0.5)

    def nodes(self) -> dict[str, dict]:
        items = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def ready_nodes(self) -> int:
        """How many are Ready; none while no API answers, as in an etcd election."""
        path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
        done = self.run("kubectl", "get", "nodes", "-o", path)
        return done.stdout.split().count("True") if done.returncode == 0 else 0

    def api_is_ready(self, vmid: int, host: str = "pve1") -> bool:
        return self.inside(vmid, "/usr/local/bin/k3s kubectl get --raw /readyz 2>/dev/null || true", host) == "ok"

    def versions(self) -> dict[str, str]:
        return {name: node["status"]["nodeInfo"]["kubeletVersion"] for name, node in self.nodes().items()}

    def holder(self) -> str:
        """The holder of the cluster lock."""
        lease = ("lease", "-n", "kube-system", LEASE)
        return self.kubectl("get", *lease, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")

    def cordoned(self) -> set[str]:
        return {name for name, node in self.nodes().items() if node["spec"].get("unschedulable")}

    def marks(self) -> dict[str, list[str]]:
        """Our annotations that are left on nodes."""
        found = {}
        for name, node in self.nodes().items():
            keys = [key for key in node["metadata"].get("annotations", {}) if "homelab" in key]
            if keys:
                found[name] = keys
        return found

    def inside(self, vmid: int, script: str, host: str = "pve1") -> str:
        return self("exec", "--host", host, "--", "pct", "exec", str(vmid), "--", "/bin/sh", "-c", script)

    def installation(self, vmid: int, host: str = "pve1") -> str:
        """What an upgrade must not change: the service's command line, environment and configuration."""
        script = """
            for unit in k3s k3s-agent; do
              f=/etc/systemd/system/$unit.service
              [ -f $f ] || continue
              echo "== $unit"; sed -n '/^ExecStart=/,$p' $f; sort $f.env
            done
            for f in /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/* /var/lib/rancher/k3s/server/token; do
              [ -f $f ] && { echo "== $f"; cat $f; }
            done
            true
        """
        return self.inside(vmid, script, host)

    def assert_no_secret_in(self, run: Run, vmid: int = 101, *others: str) -> None:
        """Neither the secret part of a server's tokens, nor a private key of the cluster, nor another word."""
        tokens = self.inside(vmid, "cat /var/lib/rancher/k3s/server/*token 2>/dev/null || true").split()
        keys = self.inside(vmid, "cat $(find /var/lib/rancher/k3s/server/tls -name '*.key') | grep -v -e -----").split()
        assert tokens and keys
        # A line of a key in PEM is long enough to be nothing else.
        words = [*(token.rsplit(":", 1)[-1] for token in tokens), *(line for line in keys if len(line) == 64), *others]
        found = [word[:4] + "…" for word in words if word in run.text]
        assert not found and "PRIVATE KEY" not in run.text, found

    def containers(self) -> list[int]:
        listed = self("exec", "--", "pct", "list").splitlines()[1:]
        return [int(line.split()[0]) for line in listed]

    # Versions

    def starts(self) -> str:
        """The version that the cluster began with."""
        return json.loads(self("release", "list"))["starts"]

    def channel(self, name: str) -> str:
        """The version of a channel."""
        return json.loads(self("release", "list"))["channels"][name]

    def offer_next(self) -> str:
        """Adds the patch release after that of the channel `stable`, and points the channel to it."""
        minor, patch = self.channel("stable").removesuffix("+k3s1").rsplit(".", 1)
        version = f"{minor}.{int(patch) + 1}+k3s1"
        self("release", "add", version)
        self("channel", "stable", version)
        return version

    @contextmanager
    def without_downloads(self, version: str) -> Iterator[tuple[str, str]]:
        """Meanwhile nothing can be downloaded; the arguments name the files that the Proxmox host has instead."""
        server = "http://10.99.0.1:8080"
        files = {"binary": f"{server}/releases/download/{version}/k3s", "script": f"{server}/install.sh"}
        given = {}
        for name, url in files.items():
            path = f"/root/brought-{name}"
            self("exec", "--", "curl", "-sf", url, "-o", path)
            total = self("exec", "--", "sha256sum", path).split()[0]
            given |= {f"k3s_install_{name}_path": path, f"k3s_install_{name}_sha256": total}
        faults = ("channel", "download", "sums", "script")
        for fault in faults:
            self("fault", fault, "404")
        try:
            yield ("-e", json.dumps(given))
        finally:
            for fault in faults:
                self("fault", fault, "none")

    # Running playbooks

    def command(self, playbook: str, *arguments: str) -> list[str]:
        # What a real node needs 5 s for, one of the lab shows in a tenth of it.
        settle = "k3s_install_settle=1"
        return ["ansible-playbook", "-i", str(self.inventory), f"k3s/playbook-{playbook}.yaml", "-e", settle, *arguments]

    def play(self, playbook: str, *arguments: str, **environment: str) -> Run:
        done = subprocess.run(
            self.command(playbook, *arguments),
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=PLAYBOOK_LIMIT,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def leave_lock(self) -> None:
        """The cluster lock of a run that has ended without releasing it."""
        arguments = ("pve1", "--inventory", str(self.inventory), "--module-name", "homelab.k3s.cluster_lock")
        subprocess.run(["ansible", *arguments, "--args", "vmid=101"], cwd=ROOT, check=True, capture_output=True)
        assert self.holder()

    def begin(self, playbook: str, *arguments: str) -> subprocess.Popen[str]:
        """Starts a run that a test will interrupt; a session of its own, so that all of it can be killed."""
        log = (self.folder / "interrupted.log").open("w")
        self.held.unlink(missing_ok=True)
        holding = {"ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"), "K3S_HOLD": str(self.held)}
        run = subprocess.Popen(
            self.command(playbook, *arguments),
            cwd=ROOT,
            env=os.environ | holding | {"ANSIBLE_CALLBACKS_ENABLED": "hold"},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(run)
        return run

    def reached(self, task: str) -> Callable[[], bool]:
        """Whether the started run has reached a task."""
        return lambda: f"TASK [{task}" in (self.folder / "interrupted.log").read_text()

    def hold_in(self, task: str, limit: float = 300) -> None:
        """Holds the run that has just been started in a task: that task continues, the next one starts after `go_on`."""
        self.write_hold("in", task)
        self.wait_until(task, lambda: self.reached(task)() or self.started[-1].poll() is not None, limit)
        assert self.started[-1].poll() is None, (self.folder / "interrupted.log").read_text()

    def hold_before(self, task: str, limit: float = 300) -> None:
        """Holds the run that has just been started where this task would start."""
        self.write_hold("before", task)
        is_held = self.held.with_suffix(".held").exists
        self.wait_until(f"a turn of {task}", lambda: is_held() or self.started[-1].poll() is not None, limit)
        assert self.started[-1].poll() is None, (self.folder / "interrupted.log").read_text()

    def write_hold(self, where: str, task: str) -> None:
        self.held.with_suffix(".held").unlink(missing_ok=True)
        new = self.held.with_suffix(".new")
        new.write_text(f"{where} {task}")
        new.rename(self.held)

    def go_on(self, run: subprocess.Popen[str]) -> Run:
        """Lets a held run go on, and waits for its end."""
        self.held.unlink(missing_ok=True)
        status = run.wait(PLAYBOOK_LIMIT)
        return Run(status, (self.folder / "interrupted.log").read_text())

    def upgrade(self, *arguments: str) -> Run:
        return self.play("upgrade-k3s", *arguments)

    def begin_upgrade(self, *arguments: str) -> subprocess.Popen[str]:
        return self.begin("upgrade-k3s", *arguments)

    def kill(self, run: subprocess.Popen[str], remote_too: bool) -> None:
        """`kill -9` of ansible-playbook; its module on the Proxmox host dies with it, or continues."""
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        if remote_too:
            self("exec", "--", "sh", "-c", f"pkill -KILL {OUR_MODULES} || true")

    def is_module_at_work(self) -> bool:
        return self("exec", "--", "sh", "-c", f"pgrep {OUR_MODULES} || true") != ""

    def lookers_at_the_lock(self) -> int:
        """The modules that have the lock of a container, or wait for it."""
        look = f"for p in $(pgrep {OUR_MODULES}); do ls -l /proc/$p/fd; done 2>/dev/null | grep -c '[.]lock$'; true"
        return int(self("exec", "--", "sh", "-c", look))

    def wait_until(self, what: str, probe: Callable[[], bool], limit: float = 300) -> None:
        deadline = time.monotonic() + limit
        while not probe():
            if time.monotonic() > deadline:
                log = self.folder / "interrupted.log"
                said = log.read_text()[-4000:] if log.exists() else ""
                pytest.fail(f"{what} did not come true within {limit} s\n{said}")
            time.sleep(0.2)


def lab_with(folder: Path, *options: str) -> Iterator[Lab]:
    lab = Lab(folder, list(options))
    subprocess.run([LAB, "down"], check=True, capture_output=True)
    try:
        lab.up()
        yield lab
    finally:
        for run in lab.started:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
        subprocess.run([LAB, "down"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One Proxmox host, one controller, two workers."""
    yield from lab_with(tmp_path_factory.mktemp("lab"), "--controllers", "1", "--workers", "2", "--time-factor", "10")


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three controllers and two workers on two Proxmox hosts."""
    yield from lab_with(
        tmp_path_factory.mktemp("lab"), "--controllers", "3", "--workers", "2", "--pve", "2", "--time-factor", "10"
    )


@pytest.fixture
def held(lab: Lab) -> Iterator[None]:
    """The cluster's lock, with a run on another control node, whose processes nobody here can see."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    notes = {"user": "operator", "host": "elsewhere", "boot-id": "another", "process": "7:70", "purpose": "a test"}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": LEASE,
            "namespace": "kube-system",
            "annotations": {f"homelab.k3s/{key}": value for key, value in notes.items()},
        },
        "spec": {"holderIdentity": "elsewhere-7-70", "leaseDurationSeconds": 7200, "acquireTime": now, "renewTime": now},
    }
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(lease))
    yield
    assert lab.holder() == "elsewhere-7-70"
    lab.kubectl("delete", "lease", "-n", "kube-system", LEASE)
