# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""kubeconfig_fetch through ansible-playbook: no key is seen anywhere, and the file is the one that kubectl would take."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from conftest import BIN, HERE, ROOT

COLLECTIONS = ROOT / ".dev"
PROGRAM = ROOT / "plugins/modules/__bin__/x86_64/kubeconfig_fetch"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


class Desk:
    """A person's home folder, and the kubeconfig of a cluster as its controller has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = folder / "made"
        self.home = folder / "home"
        for path in (self.made, self.home, folder / "tmp"):
            path.mkdir()
        for name in ("server", "client"):
            openssl(self.made, "req", "-x509", *CURVE, "-subj", f"/CN=k3s-{name}-ca@1", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        self.source = self.made / "k3s.yaml"
        self.issue(365)

    def issue(self, days: int) -> None:
        """Writes the controller's kubeconfig with a client certificate that is valid for so long."""
        openssl(self.made, "req", "-new", *CURVE, "-subj", "/O=system:masters/CN=system:admin", "-keyout", "admin.key", "-out", "admin.csr")
        issued = ("-CA", "client.crt", "-CAkey", "client.key", "-CAcreateserial", "-days", str(days), "-out", "admin.crt")
        openssl(self.made, "x509", "-req", "-in", "admin.csr", *issued)
        chain = self.made / "chain.crt"
        chain.write_bytes((self.made / "admin.crt").read_bytes() + (self.made / "client.crt").read_bytes())
        key = data(self.made / "admin.key")
        user = {"client-certificate-data": data(chain), "client-key-data": key}
        cluster = {"certificate-authority-data": data(self.made / "server.crt"), "server": "https://127.0.0.1:6443"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "default", "cluster": cluster}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "users": [{"name": "default", "user": user}],
            "current-context": "default",
        }
        self.source.write_text(yaml.safe_dump(config))
        # As it stands in the file, and what is in it: either would give it away.
        self.secrets = [key[:60], key[-60:], (self.made / "admin.key").read_text().splitlines()[1]]

    def read(self, **options) -> dict:
        given = {"state": "read", "node_name": "k3s-1", "path": str(self.source), "rotate_if_expired": False, **options}
        return {"name": "read", "homelab.k3s.kubeconfig_fetch": given, "register": "fetched"}

    def written(self, **options) -> dict:
        given = {"state": "written", "content": "{{ fetched.kubeconfig }}", "verify": False, **options}
        return {"name": "written", "homelab.k3s.kubeconfig_fetch": given}

    def play(self, tasks: list[dict], *arguments: str, environment: dict | None = None) -> tuple[int, str, list[dict]]:
        """Runs the tasks on this machine; the status, all that was printed, and what became of the tasks."""
        book, record = self.folder / "play.yml", self.folder / "record.jsonl"
        book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        record.unlink(missing_ok=True)
        settings = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "true",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "RECORD_FILE": str(record),
            **(environment or {}),
        }
        command = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(book), *arguments]
        with Watch(self.secrets) as watch:
            ran = subprocess.run(command, env=settings, cwd=self.home, capture_output=True, text=True, timeout=300, check=False)
        assert not watch.seen, watch.seen
        records = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return ran.returncode, ran.stdout + ran.stderr, records

    def assert_keyless(self, text: str) -> None:
        for secret in self.secrets:
            assert secret not in text, text

    def files_with_the_key(self) -> list[str]:
        """Wherever the key lies below the home folder and the temporary ones."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and self.made not in path.parents]
        held = [path for path in files if any(secret.encode() in path.read_bytes() for secret in self.secrets)]
        return sorted(str(path.relative_to(self.folder)) for path in held)


class Watch:
    """Looks over the arguments and the environment of all processes while something runs."""

    def __init__(self, secrets: list[str]) -> None:
        self.secrets = [secret.encode() for secret in secrets]
        self.seen: list[str] = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.done.wait(0.005):
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        content = (folder / name).read_bytes()
                    except OSError:
                        continue
                    if any(secret in content for secret in self.secrets):
                        self.seen.append(f"{folder.name}/{name}: {content[:60]!r}")

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.done.set()
        self.thread.join()


@pytest.fixture
def desk(tmp_path):
    if not PROGRAM.exists():
        pytest.skip("`make install` builds what these tests run")
    return Desk(tmp_path)


@pytest.mark.parametrize("way", ["cmdline", "environ"])
def test_the_watch_sees_a_secret_of_another_process(way):
    secret = "watched-for-by-the-tests"
    argv, variables = (["sh", "-c", "sleep 60; true", secret], {}) if way == "cmdline" else (["sleep", "60"], {"KEY": secret})
    with Watch([secret]) as watch, subprocess.Popen(argv, env={**os.environ, **variables}, start_new_session=True) as process:
        until = time.monotonic() + 30
        while not watch.seen and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert watch.seen and all(f"/{way}: " in seen for seen in watch.seen), watch.seen


@pytest.mark.parametrize("arguments", [("-vvv", "--diff"), ("-vvvv",), ("--check", "--diff", "-vvv")])
def test_no_key_is_seen_though_no_task_says_no_log(desk, arguments):
    status, text, records = desk.play([desk.read(), desk.written()], *arguments)
    assert status == 0, text
    desk.assert_keyless(text)
    desk.assert_keyless(json.dumps(records))
    held = desk.files_with_the_key()
    assert held == ([] if "--check" in arguments else ["home/.kube/k3s-k3s-1.config"])


def test_the_difference_can_be_read(desk):
    status, text, _records = desk.play([desk.read(), desk.written()], "--diff")
    assert status == 0, text
    assert "+cluster  k3s-k3s-1  at https://k3s-1:6443  authority sha256 " in text, text


def test_the_file_is_the_one_that_kubectl_would_take(desk):
    environment = {"KUBECONFIG": ":kube/config::~/elsewhere"}
    status, text, records = desk.play([desk.read(), desk.written()], environment=environment)
    assert status == 0, text
    assert records[-1]["result"]["dest"] == str(desk.home / "kube/config")
    assert (desk.home / "kube/config").stat().st_mode & 0o777 == 0o600
    assert records[-1]["result"]["command"] == "kubectl get nodes"
    # What a task says goes before what the environment says.
    status, text, records = desk.play([desk.read(), desk.written(kubeconfig_env="", home=str(desk.folder))], environment=environment)
    assert records[-1]["result"]["dest"] == str(desk.folder / ".kube/k3s-k3s-1.config"), text


def test_for_another_user_the_environment_of_the_control_node_says_nothing(desk):
    task = {**desk.written(), "become": True}
    status, text, records = desk.play([desk.read(), task], "--check", environment={"KUBECONFIG": "kube/config"})
    assert status == 0, text
    assert not records[-1]["result"]["dest"].startswith(str(desk.folder)), records[-1]["result"]["dest"]


def test_a_second_run_changes_nothing(desk):
    desk.play([desk.read(), desk.written()])
    status, text, records = desk.play([desk.read(), desk.written()])
    assert status == 0, text
    assert [record["result"]["changed"] for record in records] == [False, False]


def test_a_renewed_certificate_takes_the_place_of_the_old_one(desk):
    desk.play([desk.read(), desk.written()])
    old = desk.secrets
    desk.issue(30)
    status, text, records = desk.play([desk.read(), desk.written()], "-vvv", "--diff")
    assert status == 0 and records[-1]["result"]["changed"], text
    desk.secrets = old + desk.secrets
    desk.assert_keyless(text)
    backup = Path(records[-1]["result"]["backup"]).name
    assert desk.files_with_the_key() == ["home/.kube/k3s-k3s-1.config", f"home/.kube/{backup}"]


def test_reports_a_failure_without_a_key(desk):
    (desk.home / ".kube").mkdir()
    (desk.home / ".kube/k3s-k3s-1.config").write_text("clusters: [\n")
    status, text, _records = desk.play([desk.read(), desk.written()], "-vvv")
    assert status != 0 and "neither YAML nor JSON: line 2" in text, text
    desk.assert_keyless(text)
    desk.issue(-1)
    status, text, _records = desk.play([desk.read()], "-vvv")
    assert status != 0 and "rotate_if_expired: true" in text, text
    desk.assert_keyless(text)
