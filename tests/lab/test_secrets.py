"""No secret is anywhere but where it belongs: with all that Ansible can print switched on, while the playbooks that handle secrets run.

`SECRETS=all` runs every documented command (`make secrets`). The secrets are those that an operator sets, those that a cluster makes, and
the keys of another cluster in the operator's kubeconfig."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Lab, lab_with
from test_guide import BACKUPS, WALK, Step, add_kubectl, know, name_of, run, stable_is

ALL = os.environ.get("SECRETS") == "all"
MARK = "HOMELAB_K3S_WATCHED"

# The playbooks through which a secret passes: tokens of servers and agents, the kubeconfig, the datastore in a backup.
HANDLING_SECRETS: list[Step] = [
    know("k3s-controller-1", "k3s-controller-2", "k3s-worker-1"),
    stable_is(Lab.starts),
    "ansible-playbook k3s/playbook-install-k3s.yaml",
    "ansible-playbook k3s/playbook-refresh-k3s-kubeconfig.yaml",
    "ansible-playbook k3s/playbook-check-k3s-certificates.yaml",
    "ansible-playbook k3s/playbook-backup-k3s.yaml",
    "ansible-playbook k3s/playbook-restore-k3s.yaml -e k3s_restore_backup=NAME -e k3s_restore_confirm=NAME",
]
STEPS = WALK if ALL else HANDLING_SECRETS

PLANTED = {
    "agent token": "planted-agent-token-5d1c6f0b",
    "key of a bucket": "planted-s3-secret-key-77aa2e41",
    "password of a registry": "planted-registry-password-c03b",
    "token in a kubeconfig": "planted-bearer-token-18e9b2d7",
}
# Where k3s and the operator keep what is secret; and what we write for them.
IN_CONTAINER = ("/var/lib/rancher/", "/etc/rancher/", "/var/lib/homelab-k3s/")
ON_HOST = (f"{BACKUPS}/",)
# Of the control node's folder; the rest of it is output, logs and Ansible's own files.
HERE = ("kube/", "backups/")


@dataclass
class Secrets:
    """Each secret with where it is from, in the forms in which it may show."""

    forms: dict[bytes, str] = field(default_factory=dict)

    def add(self, what: str, text: str) -> None:
        """Adds a line, or a key in PEM by its first line: the later ones of a curve's key are public."""
        before = ""
        for line in (line.strip() for line in text.splitlines()):
            is_first = before in ("", "-----BEGIN")
            before = "-----BEGIN" if line.startswith("-----BEGIN") else line
            if is_first and len(line) >= 16 and not line.startswith("-----"):
                for form in forms(line.encode()):
                    self.forms[form] = what

    def found_in(self, text: bytes) -> set[str]:
        return {what for form, what in self.forms.items() if form in text}


def forms(secret: bytes) -> Iterator[bytes]:
    """The secret itself, and how it is in the Base64 of a text that has it: three forms, by the position at which it begins."""
    yield secret
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # The first and the last letters depend on what is before and behind.
        yield encoded[-(-before * 8 // 6) : len(encoded) // 4 * 4 - 4]


READ_SECRETS = r"""
    cd /var/lib/rancher/k3s 2>/dev/null || exit 0
    for file in server/*token /etc/rancher/node/password; do
      [ -f "$file" ] && printf '== %s\n' "$file" && cat "$file"
    done
    find . -name '*.key' -exec sh -c 'for key; do printf "\n== %s\n" "$key"; cat "$key"; done' sh {} +
"""


def read_secrets(lab: Lab, secrets: Secrets) -> None:
    """Adds the tokens and keys that the cluster has now; a later step may replace them."""
    for vmid in lab.containers():
        for block in lab.inside(vmid, READ_SECRETS).split("== ")[1:]:
            path, _, text = block.partition("\n")
            # K10<hash of the CA>::server:<secret>: the hash is public.
            secrets.add(f"{path} of {vmid}", text if path.endswith(".key") else text.strip().rsplit(":", 1)[-1])


@dataclass
class Run:
    """What is left of all the steps, to be searched."""

    lab: Lab
    folder: Path
    secrets: Secrets
    seconds: float = 0

    @property
    def control(self) -> Path:
        return self.folder / "control"

    @property
    def figures(self) -> dict:
        return json.loads((self.folder / "figures.json").read_text())

    @property
    def files(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "files").read_text().splitlines()]

    def hits(self, *find: str) -> set[str]:
        """The files with a secret among those that `find` names."""
        patterns = self.folder / "forms"
        patterns.touch(0o600)
        patterns.write_bytes(b"\n".join(self.secrets.forms))
        listed = subprocess.run(["find", *find, "-type", "f", "-print0"], capture_output=True).stdout
        command = ["xargs", "-0", "--no-run-if-empty", "grep", "--text", "--files-with-matches", "--fixed-strings", "-f", patterns]
        return set(subprocess.run(command, input=listed, capture_output=True).stdout.decode().splitlines())


def environment(control: Path) -> dict[str, str]:
    """All that Ansible writes, switched on, and in one folder."""
    for name in ("home", "tmp", "kube", "facts", "reports"):
        (control / name).mkdir(mode=0o700)
    return {
        "HOME": str(control / "home"),
        "TMPDIR": str(control / "tmp"),
        "ANSIBLE_VERBOSITY": "4",
        "ANSIBLE_DIFF_ALWAYS": "true",
        "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "true",
        "ANSIBLE_LOG_PATH": str(control / "ansible.log"),
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(control / "facts"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/plugin/callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "RECORD_FILE": str(control / "results.jsonl"),
        MARK: "yes",
    }


def another_cluster(control: Path, secrets: Secrets) -> Path:
    """A kubeconfig that the operator has already, with a key and a token of another cluster."""
    made = control.parent / "made"
    made.mkdir()
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=other -keyout key -out crt"
    subprocess.run(command.split(), cwd=made, check=True, capture_output=True)
    certificate, key = (base64.b64encode((made / name).read_bytes()).decode() for name in ("crt", "key"))
    secrets.add("key in a kubeconfig", key)
    secrets.add("key in a kubeconfig", (made / "key").read_text())
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "other",
        "clusters": [{"name": "other", "cluster": {"server": "https://192.0.2.1:6443", "certificate-authority-data": certificate}}],
        "users": [
            {"name": "other", "user": {"client-certificate-data": certificate, "client-key-data": key}},
            {"name": "robot", "user": {"token": PLANTED["token in a kubeconfig"]}},
        ],
        "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
    }
    path = control / "kube/config"
    path.touch(0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def settings(lab: Lab, control: Path, secrets: Secrets) -> Path:
    """The operator's variables, a part of them secret."""
    given = {
        "k3s_server_config_secrets": {"agent-token": PLANTED["agent token"], "etcd-s3-secret-key": PLANTED["key of a bucket"]},
        "k3s_registries": {
            "configs": {"registry.lab": {"auth": {"username": "lab", "password": PLANTED["password of a registry"]}}}
        },
        "k3s_kubeconfig_dest": str(another_cluster(control, secrets)),
        "k3s_backup_fetch_dir": str(control / "backups"),
        "k3s_certificates_output": str(control / "reports/certificates.json"),
        "k3s_health_output": str(control / "reports/health.json"),
    }
    path = lab.folder / "settings.yaml"
    path.touch(0o600)
    path.write_text(yaml.safe_dump({"all": {"vars": given}}))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs the steps in a lab that is watched."""
    nodes = ("3", "3") if ALL else ("2", "1")
    options = ("--controllers", nodes[0], "--workers", nodes[1], "--time-factor", "10", "--empty", "all")
    for lab in lab_with(tmp_path_factory.mktemp("lab"), *options):
        add_kubectl(lab)
        ran = Run(lab, lab.folder / "watched", Secrets())
        ran.control.mkdir(parents=True)
        for what, secret in PLANTED.items():
            ran.secrets.add(what, secret)
        ansible = environment(ran.control)
        inventory = settings(lab, ran.control, ran.secrets)
        (ran.folder / "begun").touch()
        watch = subprocess.Popen([sys.executable, ROOT / "tests/lab/watch.py", ran.folder, MARK])
        try:
            begun = time.monotonic()
            # What nobody may do, for the watch to find.
            lab.inside(101, "DAY=planted-in-an-environment sh -c 'sleep 0.2; :' planted-in-a-command-line")
            for number, step in enumerate(STEPS, 1):
                print(f"{number} of {len(STEPS)}: {name_of(step)}", flush=True)
                if not isinstance(step, str):
                    step(lab)
                    continue
                printed = run(lab, step, **ansible, ANSIBLE_INVENTORY=f"{lab.inventory},{inventory}")
                (ran.control / f"printed-{number:02}").write_text(printed.stdout + printed.stderr)
                read_secrets(lab, ran.secrets)
            ran.seconds = time.monotonic() - begun
        finally:
            watch.terminate()
            watch.wait(30)
        print(ran.figures, f"{len(ran.secrets.forms)} forms of secrets, {ran.seconds:.0f} s")
        yield ran


def test_the_watch_sees_what_a_process_shows(done: Run) -> None:
    seen = (done.folder / "processes").read_text(errors="replace")
    assert "planted-in-a-command-line" in seen and "planted-in-an-environment" in seen
    # Each place of the lab, and the modules themselves.
    assert {"101", "102", "111"} <= set(done.figures["doors"]), done.figures
    assert "control node\n" in seen and "/homelab-k3s-" in seen
    assert done.figures["looks"] > 10 * done.seconds, done.figures
    assert len(done.secrets.forms) > 100


def test_no_process_shows_a_secret(done: Run) -> None:
    for block in (done.folder / "processes").read_bytes().split(b"\n\n"):
        found = done.secrets.found_in(block)
        place, _, text = block.partition(b"\n")
        assert not found, f"{found} in {place.decode()}: {text[:200]!r}"


def test_nothing_that_ansible_writes_has_a_secret(done: Run) -> None:
    written = [path for path in done.control.rglob("*") if path.is_file()]
    assert len(list(done.control.glob("printed-*"))) >= 5 and (done.control / "ansible.log").stat().st_size > 100_000
    assert (done.control / "results.jsonl").stat().st_size > 100_000
    proper = {path for path in written if str(path.relative_to(done.control)).startswith(HERE)}
    hits = {Path(path) for path in done.hits(str(done.control))}
    # The search finds what is there.
    assert done.control / "kube/config" in hits
    assert not hits - proper, hits - proper
    # A backup is secret; what it says about itself is shown in lists.
    for backup in (done.control / "backups").glob("*.tar.gz"):
        with tarfile.open(backup) as archive:
            about = archive.extractfile("manifest.json")
            assert about and not done.secrets.found_in(about.read())


def test_no_file_of_a_container_or_host_has_a_secret_elsewhere(done: Run) -> None:
    doors = done.figures["doors"]
    begun = ("-cnewer", str(done.folder / "begun"))
    for place, pid in doors.items():
        root = f"/proc/{pid}/root"
        if place.endswith("-sshd"):
            folders, proper = [f"{root}/root", f"{root}/run", f"{root}/tmp", f"{root}/var/tmp"], ON_HOST
            # The machine's temporary folders are those of the host: what is ours and other tests' is searched by name.
            tests = ("-path", f"{root}/tmp/pytest-of-*", "-prune", "-o", "-path", f"{root}/run/homelab-lab/ns", "-prune", "-o")
        else:
            folders, proper, tests = [f"{root}/", f"{root}/run", f"{root}/tmp", f"{root}/dev/shm"], IN_CONTAINER, ()
        hits = {path.removeprefix(root).replace("//", "/") for path in done.hits(*folders, "-xdev", *tests, *begun)}
        # The search finds what is there.
        assert hits or place != "101"
        assert not [path for path in hits if not path.startswith(proper)], (place, hits)
        journal = ["nsenter", "--target", pid, "--mount", "--", "journalctl", "--output", "export"]
        said = b"" if place.endswith("-sshd") else subprocess.run(journal, capture_output=True).stdout
        assert not (found := done.secrets.found_in(said)), (place, found)


def test_no_core_is_left(done: Run) -> None:
    for pid in done.figures["doors"].values():
        command = ["find", f"/proc/{pid}/root/", "-xdev", "-name", "core*", "-type", "f", "-size", "+64k", "-cnewer", str(done.folder / "begun")]
        assert subprocess.run(command, capture_output=True, text=True).stdout == ""


def test_what_is_written_is_root_s_alone(done: Run) -> None:
    """Each mode that a file had, if for a moment only."""
    ours = [file for file in done.files if is_ours(done, file) and not stat.S_ISLNK(file["mode"])]
    assert {file["place"] for file in ours} >= {"101", "102", "111", "control node"} and len(ours) > 30
    wide = [file for file in ours if stat.S_IMODE(file["mode"]) & 0o077 or file["uid"] or file["gid"]]
    # What a restore unpacks keeps the mode that it has on the node: certificates, the unit, the folder of k3s's settings.
    public = re.compile(r"/(install\.sh|sums)[^/]*$|/restore/(?:.*\.crt|.*\.service|config\.yaml\.d)$")
    # What is not secret is still in a folder of root's.
    wide = [file for file in wide if not public.search(file["path"]) or file["mode"] & 0o022]
    assert not wide, "\n".join(f"{file['path']} of {file['place']}: {file['mode']:o} {file['uid']}:{file['gid']}" for file in wide)


def is_ours(done: Run, file: dict) -> bool:
    path = file["path"]
    if file["place"] == "control node":
        return path.removeprefix(f"{done.control}/").startswith(HERE)
    # k3s' own folders below /etc are open, as k3s makes them; the files in them are not.
    if path.startswith("etc/rancher"):
        return not stat.S_ISDIR(file["mode"])
    return path.startswith(("var/lib/homelab-k3s", "root/")) or "homelab" in path
