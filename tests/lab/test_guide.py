"""The documented commands, unchanged, in an operator's order, on one lab: from empty containers to workers on a new operating system.

Each step starts from the state of the previous one. With `LAB_K3S` in the environment they run on a real k3s."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import samples
import yaml
from conftest import LAB, PLAYBOOK_LIMIT, ROOT, Lab, lab_with

BACKUPS = "/root/guide-backups"
NEXT_MINOR = "v1.36.3+k3s1"
# Containers have the cgroups of the machine, and not every machine for tests has version 2.
CGROUPS = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1

CANARY = "ansible-playbook k3s/playbook-canary-worker-cutover.yaml -e k3s_canary_old_worker_host=k3s-worker-1 -e k3s_canary_new_worker_host=k3s-worker-3"
MAJOR = (
    "ansible-playbook k3s/playbook-k3s-major-upgrade.yaml -e @k3s/vars/major-upgrade/rocky10.yaml"
    " -e k3s_upgrade_canary_old_worker_host=k3s-worker-1 -e k3s_upgrade_canary_new_worker_host=k3s-worker-3"
)
GIVE_UP = "-e k3s_canary_stop_old_agent=true -e k3s_canary_delete_old_node=true"

COMPARED: set[str] = set()

Step = str | Callable[[Lab], None]


def commands_of_the_guide() -> set[str]:
    """Every playbook command in the README and the documents, with its arguments; without the shell around it."""
    texts = [file.read_text() for file in (ROOT / "README.md", *(ROOT / "playbooks/docs").glob("*.md"))]
    pattern = r"ansible-playbook k3s/playbook-[\w-]+\.yaml(?: --\w+| -e [^\s`]+)*"
    return {command for text in texts for command in re.findall(pattern, text)}


def know(*names: str) -> Callable[[Lab], None]:
    """Writes the inventory with these nodes."""

    def write(lab: Lab) -> None:
        inventory = yaml.safe_load(lab("inventory"))
        for group in inventory["all"]["children"]["k3s_cluster"]["children"].values():
            group["hosts"] = {name: node for name, node in group["hosts"].items() if name in names}
        # What the guide has an operator write into the inventory, for a machine that is not to keep it.
        inventory["all"]["vars"] |= {
            "k3s_backup_dir": BACKUPS,
            "k3s_kubeconfig_dest": str(lab.folder / "kubeconfig"),
            "k3s_kubeconfig_server": "10.99.0.101",
        }
        if "LAB_K3S" not in os.environ:
            # What a real node needs 5 s for, one of the lab shows in a tenth of it.
            inventory["all"]["vars"]["k3s_install_settle"] = 1
        lab.inventory.write_text(yaml.safe_dump(inventory))

    return write


def stable_is(version: Callable[[Lab], str]) -> Callable[[Lab], None]:
    return lambda lab: lab("channel", "stable", version(lab)) and None


def runs_the_newest_of_its_minor(lab: Lab) -> None:
    minor = lab.starts().rsplit(".", 1)[0]
    assert set(lab.versions().values()) == {lab.channel(minor)}


def takes_pods(node: str) -> Callable[[Lab], None]:
    def check(lab: Lab) -> None:
        assert node not in lab.cordoned()

    return check


def is_gone(node: str) -> Callable[[Lab], None]:
    def check(lab: Lab) -> None:
        assert node not in lab.nodes()

    return check


def all_run(version: str) -> Callable[[Lab], None]:
    def check(lab: Lab) -> None:
        assert set(lab.versions().values()) == {version}

    return check


def becomes_rocky(vmid: int) -> Callable[[Lab], None]:
    """Rebuilds a container from another template."""

    def rebuild(lab: Lab) -> None:
        lab("fault", "rebuild", str(vmid))
        lab("fault", "os-release", str(vmid), "rocky10")

    return rebuild


ONE_SERVER = ("k3s-controller-1", "k3s-worker-1", "k3s-worker-2")
SERVERS = ("k3s-controller-1", "k3s-controller-2", "k3s-controller-3")

WALK: list[Step] = [
    know(*ONE_SERVER),
    stable_is(Lab.starts),
    # docs/install.md
    "ansible-playbook k3s/playbook-ensure-worker-prereqs.yaml -e k3s_prereqs_hosts=k3s_cluster --check",
    "ansible-playbook k3s/playbook-ensure-worker-prereqs.yaml --check",
    "ansible-playbook k3s/playbook-install-k3s.yaml --check",
    "ansible-playbook k3s/playbook-install-k3s.yaml",
    # docs/nightly.md: the channel is a minor ahead, and the run stays in the minor.
    stable_is(lambda lab: NEXT_MINOR),
    "ansible-playbook k3s/playbook-upgrade-k3s.yaml -e k3s_allow=patch -e k3s_lock_wait=3600",
    runs_the_newest_of_its_minor,
    # README.md
    "ansible-playbook k3s/playbook-upgrade-k3s.yaml --check",
    "ansible-playbook k3s/playbook-upgrade-k3s.yaml",
    f"ansible-playbook k3s/playbook-upgrade-k3s.yaml -e k3s_target_version={NEXT_MINOR}",
    all_run(NEXT_MINOR),
    "ansible-playbook k3s/playbook-refresh-k3s-kubeconfig.yaml",
    "ansible-playbook k3s/playbook-reconcile-traefik-crd-ownership.yaml --check --diff",
    "ansible-playbook k3s/playbook-reconcile-traefik-crd-ownership.yaml",
    # docs/backup.md
    "ansible-playbook k3s/playbook-backup-k3s.yaml",
    "ansible-playbook k3s/playbook-restore-k3s.yaml -e k3s_restore_backup=NAME --check",
    "ansible-playbook k3s/playbook-restore-k3s.yaml -e k3s_restore_backup=NAME -e k3s_restore_confirm=NAME",
    "ansible-playbook k3s/playbook-backup-k3s.yaml -e k3s_lock_wait=3600",
    # docs/controllers.md
    "ansible-playbook k3s/playbook-bootstrap-k3s-ha.yaml",
    know(*SERVERS, "k3s-worker-1", "k3s-worker-2"),
    "ansible-playbook k3s/playbook-join-k3s-ha-servers.yaml --check",
    "ansible-playbook k3s/playbook-join-k3s-ha-servers.yaml",
    # docs/ha.md
    "ansible-playbook k3s/playbook-validate-k3s-ha.yaml",
    "ansible-playbook k3s/playbook-validate-k3s-ha.yaml -e k3s_ha_take_snapshot=true",
    "ansible-playbook k3s/playbook-enforce-k3s-controller-noschedule-taint.yaml --check",
    "ansible-playbook k3s/playbook-enforce-k3s-controller-noschedule-taint.yaml",
    "ansible-playbook k3s/playbook-enforce-k3s-controller-noschedule-taint.yaml -e k3s_controller_taint_state=absent",
    # docs/canary.md
    know(*SERVERS, "k3s-worker-1", "k3s-worker-2", "k3s-worker-3"),
    "ansible-playbook k3s/playbook-join-k3s-worker.yaml -e k3s_join_worker_host=k3s-worker-3",
    CANARY,
    "kubectl uncordon k3s-worker-1",
    takes_pods("k3s-worker-1"),
    # docs/install.md
    "ansible-playbook k3s/playbook-uninstall-k3s.yaml -e k3s_uninstall_hosts=k3s-worker-3 --check",
    "ansible-playbook k3s/playbook-uninstall-k3s.yaml -e k3s_uninstall_hosts=k3s-worker-3 -e k3s_uninstall_confirm=k3s-worker-3",
    is_gone("k3s-worker-3"),
    # docs/major-upgrade-runbook.md
    know(*SERVERS, "k3s-worker-1", "k3s-worker-2"),
    "ansible-playbook k3s/playbook-check-k3s-cluster-health.yaml",
    # docs/maintenance.md
    "ansible-playbook k3s/playbook-check-k3s-certificates.yaml",
    "ansible-playbook k3s/playbook-postcheck-k3s-upgrade.yaml",
    know(*SERVERS, "k3s-worker-1", "k3s-worker-2", "k3s-worker-3"),
    becomes_rocky(113),
    f"{MAJOR} --check",
    MAJOR,
    f"{MAJOR} {GIVE_UP}",
    is_gone("k3s-worker-1"),
    know(*SERVERS, "k3s-worker-2", "k3s-worker-3"),
    "ansible-playbook k3s/playbook-upgrade-k3s.yaml",
]


def name_of(step: Step) -> str:
    return step if isinstance(step, str) else step.__qualname__.split(".")[0]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three containers for controllers and three for workers, all of them empty."""
    options = ("--controllers", "3", "--workers", "3", "--time-factor", "10", "--empty", "all")
    for lab in lab_with(tmp_path_factory.mktemp("lab"), *options):
        add_kubectl(lab)
        yield lab


def add_kubectl(lab: Lab) -> None:
    """Makes the guide's `kubectl` that of the lab."""
    programs = lab.folder / "bin"
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {shlex.quote(str(LAB))} kubectl "$@"\n')
    kubectl.chmod(0o755)


def newest_backup(lab: Lab) -> str:
    """NAME, as the guide calls it."""
    found = lab("exec", "--", "sh", "-c", f"ls -1t {BACKUPS}/*.tar.gz").split()
    return Path(found[0]).name.removesuffix(".tar.gz")


def run(lab: Lab, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a documented command, which must succeed."""
    line = command.replace("NAME", newest_backup(lab)) if "NAME" in command else command
    if "rocky10.yaml" in line and CGROUPS == 1:
        profile = yaml.safe_load((ROOT / "k3s/vars/major-upgrade/rocky10.yaml").read_text())
        profile["k3s_prereqs_profile"]["cgroup_version"] = CGROUPS
        line += f" -e {shlex.quote(json.dumps(profile))}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_INVENTORY": str(lab.inventory), "PATH": f"{lab.folder / 'bin'}:{os.environ['PATH']}"}
        | environment,
        capture_output=True,
        text=True,
        timeout=2 * PLAYBOOK_LIMIT,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done


def compare(command: str, printed: str) -> None:
    """Compares what a command prints with its page."""
    keep(command, printed)
    # Where a command is run again, it has nothing to do.
    if "SAMPLES" not in os.environ and "LAB_K3S" not in os.environ and command not in COMPARED:
        COMPARED.add(command)
        gone = samples.missing(command, printed)
        assert not gone, f"{command} no longer prints {sorted(gone)}, which its page shows: run `make samples`"


def keep(command: str, output: str) -> None:
    """Writes what a command printed into the folder that SAMPLES names, for `make samples`."""
    if "SAMPLES" in os.environ:
        folder = Path(os.environ["SAMPLES"])
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.iterdir())) + 1
        (folder / f"{number:02}.txt").write_text(f"$ {command}\n{output}")


def test_the_walk_has_every_documented_command() -> None:
    walked = {step for step in WALK if isinstance(step, str)}
    commands = commands_of_the_guide()
    assert len(commands) > 20 and not commands - walked


def test_every_sample_is_of_a_walked_command() -> None:
    assert set(samples.commands()) - set(step for step in WALK if isinstance(step, str)) == set()


def test_finds_a_sample_that_is_no_longer_printed() -> None:
    printed = "TASK [Show the plan] ***\nok: [a] => \n    msg:\n    - 'k3s v2: 3 of 3 nodes'\n\nPLAY RECAP ***\n"
    assert samples.sample(printed) == "# Show the plan\nk3s v2: 3 of 3 nodes"
    assert samples.kinds("# Show the plan\nk3s v1: 1 of 5 nodes\n") <= samples.kinds(samples.sample(printed))
    assert samples.kinds("note: the API") - samples.kinds(samples.sample(printed)) == {"note"}


def test_every_documented_command_works(lab: Lab) -> None:
    for number, step in enumerate(WALK, 1):
        print(f"{number} of {len(WALK)}: {name_of(step)}", flush=True)
        compare(step, run(lab, step).stdout) if isinstance(step, str) else step(lab)
    assert not lab.cordoned() and not lab.marks()
