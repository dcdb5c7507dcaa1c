"""Runs a scenario without a crash, then with one, and compares."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from conftest import PLAYBOOK_LIMIT, ROOT, Lab, Run

from crash import collection, state
from crash.cases import TASK, Case, Undisturbed, read_points, read_took
from crash.scenarios import BACKUPS, Scenario

# Of crates/host/src/crash.rs.
FOLDER = "/run/homelab-k3s-crash"
ARGUMENTS = [f"k3s_backup_dir={BACKUPS}", f"k3s_upgrade_backup_dir={BACKUPS}", f"k3s_datastore_backup_dir={BACKUPS}"]


class Crasher:
    """A scenario on a lab, with what undisturbed runs of it have shown."""

    def __init__(self, lab: Lab, scenario: Scenario) -> None:
        self.lab, self.scenario = lab, scenario
        self.crashed = Run(0, "")
        self.tasks = lab.folder / "tasks"
        self.collections = collection.make(lab.folder / "collections")

    def undisturbed(self) -> Undisturbed:
        """Runs the scenario without a crash. What a second run would do is nothing."""
        arguments = self._begin()
        self._order("")
        run = self._play(arguments)
        assert run.status == 0, run.text
        seen = Undisturbed(
            read_points(self._read("points")), read_took(self._read("took")), self.tasks.read_text().splitlines()
        )
        self.state = self._state()
        again = self._play(arguments)
        assert not self._not_settled(again), again.text
        # What changes while nothing is done is not ours.
        self.restless = state.differences(self.state, self._state()).keys()
        return seen

    def crash(self, case: Case) -> list[str] | None:
        """What is wrong after a crash and the next runs; None: the point was not reached."""
        arguments = self._begin()
        since = time.time()
        self._order("" if case.module == TASK else case.order)
        self.crashed = self._play(arguments, **case.environment)
        was_reached = self.crashed.status == -9 if case.module == TASK else bool(self._read("crashed"))
        self._order("")
        self.next = self._play(arguments)
        wrong = [] if self.next.status == 0 else [f"the next run failed: {self.next.text[-6000:]}"]
        wrong += self._not_settled(self._play(arguments))
        wrong += self._invariants(since)
        return wrong if was_reached or wrong else None

    def _not_settled(self, run: Run) -> list[str]:
        if run.status != 0:
            return [f"the run after a complete one failed: {run.text[-6000:]}"]
        recap = [line for line in run.text.split("PLAY RECAP")[-1].splitlines() if "changed=" in line]
        if self.scenario.settles and any("changed=0" not in line for line in recap):
            return [f"the run after a complete one changed something: {run.text[-6000:]}"]
        return []

    def _invariants(self, since: float) -> list[str]:
        wrong = [f"cordoned: {node}" for node in self.lab.cordoned() - self.scenario.cordoned]
        marks = self.lab.marks().items()
        wrong += [f"annotations are left: {node}: {keys}" for node, keys in marks if node not in self.scenario.cordoned]
        wrong += [f"the cluster lock is held: {self.lab.holder()}"] * bool(self.lab.holder())
        wrong += [f"a secret in {file}" for file in state.secrets_in_wide_files(self.lab, since)]
        wrong += self._servers_down(since)
        return wrong + [f"{key}: {values}" for key, values in state.lasting(self._differences).items()]

    def _differences(self) -> dict[str, str]:
        changed = state.differences(self.state, self._state())
        return {key: values for key, values in changed.items() if key not in self.restless}

    def _servers_down(self, since: float) -> list[str]:
        """At no time two of several, so that etcd keeps its quorum."""
        changes = [json.loads(line) for line in self.lab("status", "--history").splitlines()]
        servers = {change["server"] for change in changes}
        late = [change for change in changes if change["time"] >= since]
        return [f"two servers down: {change}" for change in late if len(servers) > 1 and len(servers) - len(change["up"]) > 1]

    def _begin(self) -> list[str]:
        before = self.lab.channel("stable")
        arguments = self.scenario.begin(self.lab)
        self.versions = (self.lab.channel("stable"), before)
        return [word for value in ARGUMENTS for word in ("-e", value)] + arguments

    def _state(self) -> dict[str, frozenset]:
        """After the Nodes say what etcd does; if they never do, that is a difference."""
        end = time.monotonic() + 30
        while state.voters(self.lab) != self.scenario.voters and time.monotonic() < end:
            time.sleep(0.5)
        return state.of(self.lab, *self.versions)

    # The folder by which a module is crashed, on the host and here, for modules that run here

    def _order(self, order: str) -> None:
        """Forgets what was counted."""
        script = f"rm -rf {FOLDER} && mkdir {FOLDER} && printf %s {shlex.quote(order)} > {FOLDER}/order"
        subprocess.run(["sh", "-c", script], check=True)
        self.lab("exec", "--", "sh", "-c", script)
        self.tasks.unlink(missing_ok=True)

    def _read(self, name: str) -> str:
        script = f"cat {FOLDER}/{name} 2>/dev/null || true"
        here = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
        return self.lab("exec", "--", "sh", "-c", script) + here

    def _play(self, arguments: list[str], **environment: str) -> Run:
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "crash",
            "CRASH_TASKS": str(self.tasks),
        }
        with (self.lab.folder / "run.log").open("w") as log:
            run = subprocess.Popen(
                self.lab.command(self.scenario.playbook, *arguments),
                cwd=ROOT,
                env=os.environ | settings | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = run.wait(PLAYBOOK_LIMIT)
            finally:
                if run.poll() is None:
                    os.killpg(run.pid, signal.SIGKILL)
        return Run(status, (self.lab.folder / "run.log").read_text())
