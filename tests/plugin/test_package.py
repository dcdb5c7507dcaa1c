# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes into the tarball, and what names a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile

from conftest import BIN, ROOT, run

USERS_NEED = {
    "CHANGELOG.md", "CODE_OF_CONDUCT.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "SECURITY.md", "bindep.txt", "inventory", "k3s", "meta", "playbooks", "plugins", "roles",
    "tests",
}


def test_only_what_users_need_is_packed(tmp_path):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", tmp_path, cwd=ROOT, env=environment)
    [tarball] = tmp_path.glob("homelab-k3s-*.tar.gz")
    with tarfile.open(tarball) as packed:
        names = packed.getnames()
    assert {name.split("/")[0] for name in names} == USERS_NEED
    assert not [name for name in names if name.endswith((".pyc", ".rs"))]
    # What ansible-test reads: whoever publishes the tarball runs it there.
    assert {"/".join(name.split("/")[:2]) for name in names if name.startswith("tests/")} == {"tests/sanity"}


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
