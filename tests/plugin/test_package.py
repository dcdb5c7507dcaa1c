# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes into the tarball, and what names a run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import BIN, ROOT, run

USERS_NEED = {
    "CHANGELOG.md", "CODE_OF_CONDUCT.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "SECURITY.md", "bindep.txt", "inventory", "k3s", "meta", "playbooks", "plugins", "roles",
    "sbom.cdx.json", "tests",
}
PROGRAM = "plugins/modules/__bin__/x86_64/homelab-k3s"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    built = run(ROOT / "tests/tarball", tmp_path_factory.mktemp("tarball"), cwd=ROOT, env=environment)
    with tarfile.open(built.stdout.strip()) as packed:
        yield packed


def test_only_what_users_need_is_packed(packed):
    names = packed.getnames()
    assert {name.split("/")[0] for name in names} == USERS_NEED
    assert not [name for name in names if name.endswith((".pyc", ".rs"))]
    # What ansible-test reads: whoever publishes the tarball runs it there.
    assert {"/".join(name.split("/")[:2]) for name in names if name.startswith("tests/")} == {"tests/sanity"}


def test_the_tarball_has_nothing_of_the_folder_that_it_was_built_in(packed):
    entries = packed.getmembers()
    assert [entry.name for entry in entries[:2]] == ["MANIFEST.json", "FILES.json"]
    others = [entry.name for entry in entries[2:]]
    assert others == sorted(others)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(315532800, 0, 0, "", "")}
    files = packed.extractfile("FILES.json").read()
    manifest = json.load(packed.extractfile("MANIFEST.json"))
    assert manifest["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(files).hexdigest()
    program = packed.extractfile(PROGRAM).read()
    cargo = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    assert not [path for path in (str(ROOT), cargo) if f"{path}/".encode() in program]


def test_the_bill_of_materials_lists_what_the_program_is_made_of(packed):
    bill = json.load(packed.extractfile("sbom.cdx.json"))
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    program = packed.extractfile(PROGRAM).read()
    # A panic of a crate names its file, and so the crate and its version.
    found = set(re.findall(rb"/cargo/registry/src/[^/]+/([\w-]+?)-(\d+\.\d+\.\d+[^/]*)/", program))
    found = {(name.decode(), version.decode()) for name, version in found}
    assert len(found) > 30 and found <= listed, found - listed
    [sqlite] = [version for name, version in listed if name == "sqlite"]
    assert f"{sqlite}\0".encode() in program
    assert bill["metadata"]["component"]["version"] == json.load(packed.extractfile("MANIFEST.json"))["collection_info"]["version"]
    references = {one["bom-ref"] for one in [*bill["components"], bill["metadata"]["component"]]}
    assert {used for one in bill["dependencies"] for used in one["dependsOn"]} <= references
    # What is of a registry has its sum, by which cargo has verified it.
    assert not [one["name"] for one in bill["components"] if one.get("purl", "").startswith("pkg:cargo/") and not one.get("hashes")]
    assert not [one["name"] for one in bill["components"] if not one["licenses"][0]["expression"]]


def test_the_control_node_records_its_runs(tmp_path):
    script = tmp_path / "ask.py"
    script.write_text(
        "import json, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'plugins/plugin_utils')!r})\n"
        "import control_node\n"
        "print(json.dumps(control_node.controller()))\n"
    )
    [first, second] = [json.loads(run(sys.executable, script).stdout) for _time in range(2)]
    assert first["pid"] == second["pid"] == os.getpid()
    assert first["start"] == second["start"] and first["boot_id"] == second["boot_id"]
    assert f"{first['pid']}:{first['start']}" in first["alive"]
    assert set(first) == {"user", "host", "boot_id", "pid", "start", "alive"}


def test_a_run_that_has_ended_is_not_alive(tmp_path):
    sys.path.insert(0, str(ROOT / "plugins/plugin_utils"))
    import control_node

    process = subprocess.Popen(["sleep", "60"])
    alive = {entry.split(":")[0] for entry in control_node.controller()["alive"]}
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    # Killed and not yet waited for: its id is still taken, but it does not live.
    dead = {entry.split(":")[0] for entry in control_node.controller()["alive"]}
    process.wait()
    assert str(process.pid) in alive and str(process.pid) not in dead
