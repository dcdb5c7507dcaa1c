"""What an upgrade costs the control node. Seconds are those of a machine and its load; these numbers are not."""

from __future__ import annotations

import shutil
from pathlib import Path

from conftest import Lab

# Of one controller and two workers. A lower number is written here, a higher one needs its reason.
TASKS = 98
CALLS_OF_SSH = 44
# Of kubectl, each one call of the API, while the upgrade of three nodes is planned. A later upgrade asks as often as it has to wait.
CALLS_OF_THE_API = 32

KUBECTL = "/usr/local/lib/lab/kubectl"
COUNTING = f"""#!/bin/sh
echo "$*" >>/run/calls
exec {KUBECTL}.real "$@"
"""


def test_an_upgrade_has_as_many_tasks_and_calls_of_ssh_as_written_here(lab: Lab, tmp_path: Path) -> None:
    # The program is sent to the Proxmox host with the first task.
    planned = lab.upgrade("--check")
    assert planned.status == 0, planned.text
    version = lab.offer_next()
    calls, ssh = tmp_path / "calls", tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho >>{calls}\nexec {shutil.which("ssh")} "$@"\n')
    ssh.chmod(0o755)
    done = lab.play("upgrade-k3s", ANSIBLE_SSH_EXECUTABLE=str(ssh))
    assert done.status == 0 and set(lab.versions().values()) == {version}, done.text
    # On a machine that is so slow that the download to all nodes is five minutes ago, some nodes are looked at again.
    again = [turn.partition("TASK [")[0] for turn in done.text.split("TASK [Download k3s before the drain]")[1:]]
    looked = sum("\nok: " in turn for turn in again)
    found = (done.text.count("TASK ["), len(calls.read_text().splitlines()) - looked)
    assert found == (TASKS, CALLS_OF_SSH)


def test_a_plan_has_as_many_calls_of_the_api_as_written_here(lab: Lab) -> None:
    for vmid in (101, 111, 112):
        lab.inside(vmid, f"mv {KUBECTL} {KUBECTL}.real; cat >{KUBECTL} <<'END'\n{COUNTING}END\nchmod 755 {KUBECTL}")
    # With something to do on each node.
    lab.offer_next()
    planned = lab.upgrade("--check")
    assert planned.status == 0 and "3 of 3 nodes to work on" in planned.text, planned.text
    calls = "".join(lab.inside(vmid, "cat /run/calls 2>/dev/null; true") for vmid in (101, 111, 112))
    assert len(calls.splitlines()) == CALLS_OF_THE_API, calls
