"""The order of the playbooks: what is checked, locked and released around each change, on any path through the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import yaml
from conftest import PLAYBOOKS, ROOT
from test_arguments import SHARED

BUILTIN = "ansible.builtin."
OURS = "homelab.k3s."
TASKS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "playbooks/tasks").glob("*.yaml")}
# What a block, an import or an included file's own block hands down to its tasks.
INHERITED = ("check_mode", "changed_when", "no_log", "delegate_to")

# What never changes a node or the cluster, and what does not in these states.
READERS = {"cluster_health", "cluster_lock", "ha_report", "k3s_version", "preflight", "run_check", "upgrade_plan", "worker_cutover"}
READING_STATES = {
    "etcd_member": (None,),
    "k3s_certificates": (None, "summary"),
    "k3s_join": ("read", "explained"),
    "k3s_restore": ("inspected", "planned"),
    # On the control node.
    "k3s_archive": ("verified", "pruned"),
    "kubeconfig_fetch": ("written",),
}


@dataclass
class Step:
    """A task on its way through the files, with all that surrounds it."""

    task: dict
    files: tuple[str, ...]
    # The tasks of each `rescue` and `always` that a failure of this task leads to.
    guards: tuple[list[Step], ...] = ()
    inherited: dict = field(default_factory=dict)
    defaults: dict = field(default_factory=dict)
    conditions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.task.get("name", "")

    @property
    def module(self) -> str:
        return next((key for key in self.task if key.startswith((BUILTIN, OURS))), "").removeprefix(OURS)

    @property
    def arguments(self) -> dict:
        own = self.task.get(OURS + self.module) or {}
        return {**self.defaults.get(OURS + self.module, {}), **own}

    def keyword(self, name: str) -> object:
        return self.task.get(name, self.inherited.get(name))

    @property
    def is_change(self) -> bool:
        """Whether it changes a node or the cluster."""
        if self.module.startswith(BUILTIN) or not self.module or self.keyword("check_mode") is True:
            return False
        if self.module in READERS:
            return False
        if self.module == "pct_exec":
            return bool(self.arguments.get("ensure_started"))
        return self.arguments.get("state") not in READING_STATES.get(self.module, ())

    @property
    def acquires(self) -> bool:
        return self.module == "cluster_lock" and self.arguments.get("state") != "released" and self.keyword("check_mode") is not True

    @property
    def releases(self) -> bool:
        return self.module == "cluster_lock" and self.arguments.get("state") == "released"


def listed(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)


def module_defaults(owner: dict) -> dict:
    """With the shared arguments, which several plays name, in their place."""
    found = {}
    for module, value in owner.get("module_defaults", {}).items():
        found[module] = SHARED[module.removeprefix(OURS)][module] if isinstance(value, str) else value
    return found


def steps(tasks: list[dict], around: Step) -> Iterator[Step]:
    for task in tasks:
        step = Step(
            task,
            around.files,
            around.guards,
            {**around.inherited, **{key: task[key] for key in INHERITED if key in task}},
            {**around.defaults, **module_defaults(task)},
            around.conditions + listed(task.get("when")),
        )
        file = next((task[key] for key in task if key in (BUILTIN + "import_tasks", BUILTIN + "include_tasks")), None)
        if "block" in task:
            ends = [list(steps(task.get(key, []), step)) for key in ("rescue", "always")]
            yield from steps(task["block"], Step(task, step.files, (*step.guards, *filter(None, ends)), step.inherited, step.defaults, step.conditions))
            # A failure in the rescue itself still leads to `always`.
            yield from steps(task.get("rescue", []), Step(task, step.files, (*step.guards, *filter(None, ends[1:])), step.inherited, step.defaults, step.conditions))
            yield from steps(task.get("always", []), step)
        elif file:
            name = (file if isinstance(file, str) else file["file"]).removeprefix("tasks/")
            applied = file.get("apply", {}) if isinstance(file, dict) else {}
            # What an include itself has, its tasks do not have; an import hands it down.
            handed = step.inherited if BUILTIN + "import_tasks" in task else {**around.inherited, **applied}
            yield from steps(TASKS[name], Step(task, (*step.files, name), step.guards, handed, step.defaults, step.conditions))
        else:
            yield step


def plays_of(playbook: str) -> list[dict]:
    plays = yaml.safe_load((ROOT / f"playbooks/playbook-{playbook}.yaml").read_text())
    return [play for play in plays if "hosts" in play]


def steps_of(play: dict) -> list[Step]:
    return list(steps(play.get("tasks", []), Step({}, (), defaults=module_defaults(play))))


PLAYS = [(playbook, play) for playbook in PLAYBOOKS for play in plays_of(playbook)]
ALL_STEPS = [(playbook, play["name"], step) for playbook, play in PLAYS for step in steps_of(play)]
EVERY_PLAY = pytest.mark.parametrize(("playbook", "play"), PLAYS, ids=[f"{playbook}: {play['name']}" for playbook, play in PLAYS])


# The play whose hosts have their turns at the same time: each records its failure, and the play ends after all of them.
BATCHES = "Upgrade the nodes, one batch at a time"


def is_end(step: Step) -> bool:
    return step.module in (BUILTIN + "fail", BUILTIN + "assert") or records_a_failure(step)


def records_a_failure(step: Step) -> bool:
    return "k3s_failure" in step.task.get(BUILTIN + "set_fact", {})


# Plays


def test_every_play_ends_for_all_hosts_at_the_first_failure() -> None:
    """Except those that only report, for as many nodes as they can."""
    others = {(playbook, play["name"]) for playbook, play in PLAYS if play.get("any_errors_fatal") is not True}
    assert others == {
        ("check-k3s-certificates", "Check the certificates"),
        ("join-k3s-ha-servers", "Release the lock and report"),
        ("uninstall-k3s", "Release the lock and report leftovers"),
        ("upgrade-k3s", "Report the outcome"),
    }


def test_nodes_that_restart_are_worked_on_one_at_a_time() -> None:
    found = {(playbook, play["name"]): (play["hosts"], play["serial"]) for playbook, play in PLAYS if "serial" in play}
    assert found == {
        ("join-k3s-ha-servers", "Prepare the controllers, one at a time"): ("k3s_joining", 1),
        ("join-k3s-ha-servers", "Join the controllers, one at a time"): ("k3s_joining", 1),
        # A new worker and its old one.
        ("k3s-major-upgrade", "Upgrade the pairs, one at a time"): ("k3s_upgrade_turns", 2),
        ("refresh-k3s-kubeconfig", "Renew the controllers' certificates, one at a time"): ("k3s_controllers", 1),
        ("refresh-k3s-kubeconfig", "Renew the workers' certificates, one at a time"): ("k3s_workers", 1),
        ("uninstall-k3s", "Uninstall k3s, one node at a time"): ("k3s_uninstalling", 1),
        ("uninstall-k3s", "Remove the Nodes, one at a time"): ("k3s_uninstalling", 1),
        # One node each, unless k3s_upgrade_workers_at_once asks for more.
        ("upgrade-k3s", BATCHES): (
            "k3s_turns",
            "{{ groups['k3s_turns'] | default([]) | map('extract', hostvars, 'k3s_batches') | first | default([[1]]) | map('length') }}",
        ),
    }


# The cluster lock

# There is no cluster yet; and a snapshot on request, which nothing waits for.
WITHOUT_A_LOCK = {("install-k3s", "Install the first server"), ("validate-k3s-ha", "Validate the servers")}
# Later plays of these work under the lock of an earlier play.
LOCKED_BY_AN_EARLIER_PLAY = {
    "join-k3s-ha-servers": "Plan the join of the controllers",
    "refresh-k3s-kubeconfig": "Plan the refresh of the kubeconfig",
    "restore-k3s": "Plan the restore",
    "uninstall-k3s": "Plan the removal",
    "upgrade-k3s": "Plan the upgrade",
}


LOCKED_PLAYS = [(playbook, play) for playbook, play in PLAYS if (playbook, play["name"]) not in WITHOUT_A_LOCK]
EVERY_LOCKED_PLAY = pytest.mark.parametrize(("playbook", "play"), LOCKED_PLAYS, ids=[f"{playbook}: {play['name']}" for playbook, play in LOCKED_PLAYS])


def changes_a_node(step: Step) -> bool:
    """Without the start of a new worker's container, before all pairs are inspected."""
    return step.is_change and step.files != ("major-start-new.yaml", "start-container.yaml")


@EVERY_LOCKED_PLAY
def test_every_change_is_made_under_the_cluster_lock(playbook: str, play: dict) -> None:
    locking = LOCKED_BY_AN_EARLIER_PLAY.get(playbook, play["name"])
    earlier = next(one for one in plays_of(playbook) if one["name"] == locking)
    way = steps_of(play) if earlier == play else [*steps_of(earlier), *steps_of(play)]
    for at, step in enumerate(way):
        if changes_a_node(step):
            assert any(before.acquires for before in way[:at]), (step.name, step.files)


@EVERY_LOCKED_PLAY
def test_a_failure_under_the_lock_releases_it(playbook: str, play: dict) -> None:
    for step in steps_of(play):
        if changes_a_node(step) and step.task.get("failed_when") is not False:
            released = (one.releases or play["name"] == BATCHES and records_a_failure(one) for guard in step.guards for one in guard)
            assert any(released), (step.name, step.files)


def test_the_lock_is_released_once_when_no_node_of_a_batch_is_at_work() -> None:
    [play] = [play for playbook, play in PLAYS if play["name"] == BATCHES]
    *_, turns, end = play["tasks"]
    *release, report = TASKS["end-failed-batch.yaml"]
    assert turns[BUILTIN + "include_tasks"] == "tasks/upgrade-round.yaml" and turns["loop"] == "{{ k3s_batch }}"
    assert end[BUILTIN + "include_tasks"] == "tasks/end-failed-batch.yaml" and end["when"] == "k3s_batch_failed | length > 0"
    assert release and all(task["run_once"] is True for task in release)
    assert BUILTIN + "fail" in report and report["when"] == "k3s_failure is defined or k3s_batch_lost | length > 0"
    assert [step.files[-1] for step in steps_of(play) if step.releases] == ["release-lock.yaml"]


def test_a_failed_node_does_not_end_the_turns_of_the_nodes_beside_it() -> None:
    """`any_errors_fatal` of the play would: in ansible-core 2.16 without their rescue."""
    for task in TASKS["upgrade-node.yaml"]:
        assert task["any_errors_fatal"] is False and "rescue" in task, task["name"]
    # One task for all nodes fails for all of them.
    for step in (step for _, _, step in ALL_STEPS if "upgrade-node.yaml" in step.files):
        assert "run_once" not in step.task, step.name


def test_the_playbooks_change_nodes() -> None:
    assert len({step.name for _, _, step in ALL_STEPS if changes_a_node(step)}) > 40


def test_every_playbook_that_acquires_the_lock_releases_it_at_its_end() -> None:
    acquiring = {playbook for playbook, _, step in ALL_STEPS if step.acquires}
    assert len(acquiring) > 10
    for playbook in acquiring:
        way = [step for play in plays_of(playbook) for step in steps_of(play)]
        last = max(at for at, step in enumerate(way) if step.acquires)
        assert any(step.releases for step in way[last:]), playbook


# Failures


def test_nothing_fails_in_a_rescue_before_its_message() -> None:
    """Each ends with one message; another failure would take its place."""
    rescues = [(name, task["rescue"]) for name, tasks in sources() for task in with_blocks(tasks) if "rescue" in task]
    assert len(rescues) > 10
    for name, tasks in rescues:
        *before, last = [step for step in steps(tasks, Step({}, ()))]
        assert is_end(last), (name, last.name)
        for step in before:
            assert step.task.get("failed_when") is False, (name, step.name)


def sources() -> Iterator[tuple[str, list[dict]]]:
    yield from TASKS.items()
    for playbook, play in PLAYS:
        yield playbook, play.get("tasks", [])


def with_blocks(tasks: list[dict]) -> Iterator[dict]:
    for task in tasks:
        yield task
        for key in ("block", "rescue", "always"):
            yield from with_blocks(task.get(key, []))


# Plans

def test_a_plan_does_not_count_as_a_change() -> None:
    # What has it from the include of a file is installed by the same file later.
    planned = [(where, step) for *where, step in ALL_STEPS if step.task.get("check_mode") is True]
    assert len(planned) > 20
    for where, step in planned:
        assert step.keyword("changed_when") is False, (where, step.name)


@pytest.mark.parametrize("playbook", ["bootstrap-k3s-ha", "canary-worker-cutover", "enforce-k3s-controller-noschedule-taint", "install-k3s",
                                      "join-k3s-ha-servers", "join-k3s-worker", "k3s-major-upgrade", "restore-k3s", "uninstall-k3s", "upgrade-k3s"])  # fmt: skip
def test_check_mode_ends_before_the_first_change(playbook: str) -> None:
    way = [step for play in plays_of(playbook) for step in steps_of(play)]
    end = next(at for at, step in enumerate(way) if step.task.get(BUILTIN + "meta") == "end_play" and step.conditions == ("ansible_check_mode",))
    assert not [step.name for step in way[:end] if step.is_change or step.acquires]
    assert [step.name for step in way[end:] if step.is_change]


# Secrets


def test_tasks_whose_results_hold_secrets_are_not_logged() -> None:
    """The token of a cluster, and a kubeconfig."""
    secret = [
        (where, step)
        for *where, step in ALL_STEPS
        if step.module == "kubeconfig_fetch" or (step.module == "k3s_join" and step.arguments.get("state") == "read")
    ]
    assert len({step.name for _, step in secret}) >= 5
    for where, step in secret:
        assert step.keyword("no_log") is True, (where, step.name)


# Hosts

# The container that a module works in, and the Proxmox host that has it.
HOSTS = {
    "{{ pct_id }}": "{{ pve_host }}",
    "{{ k3s_via_vmid }}": "{{ k3s_via_pve_host }}",
}


def test_every_module_runs_on_the_host_of_its_container() -> None:
    checked = 0
    for *where, step in ALL_STEPS:
        vmid = step.arguments.get("vmid")
        if step.module.startswith(BUILTIN) or vmid is None:
            continue
        host = str(step.keyword("delegate_to"))
        other = re.fullmatch(r"\{\{ hostvars\[(.+)\]\.pct_id \}\}", str(vmid))
        if vmid in HOSTS:
            assert host == HOSTS[vmid], (where, step.name)
        elif other:
            of_host = f"{{{{ hostvars[{other[1]}].pve_host | default(groups['pve'] | first) }}}}"
            assert host == of_host or host == "{{ k3s_backup_pve_host }}", (where, step.name)
        else:
            # k3s_allow=patch: the first controller's minor.
            assert step.name == "Resolve the target version" and host == "{{ k3s_first.pve_host }}", (where, step.name)
        checked += 1
    assert checked > 100


# Gates

# Of each file, or play: what must come in this order, by the name of the task, or of the file that it includes.
ORDERS = {
    "upgrade-k3s: Plan the upgrade": [
        "Refuse to start while the stop file exists",
        "Resolve the target version",
        "Check that no other run holds the cluster lock",
        "tasks/preflight.yaml",
        "Record the cluster's health as the baseline",
        "tasks/plan.yaml",
        "tasks/plan-batches.yaml",
        "Refuse batches that cannot be planned",
        "Show the plan",
        "Refuse an unsafe upgrade",
        "End the play in check mode",
        "Release the cluster lock of a dead run",
        "End the play when there is nothing to do",
        "Set the order of the nodes",
        "Acquire the cluster lock",
    ],
    f"upgrade-k3s: {BATCHES}": [
        "End the play when the stop file exists",
        "tasks/upgrade-round.yaml",
        "tasks/end-failed-batch.yaml",
    ],
    "upgrade-round.yaml": ["Select the remaining nodes", "check-round.yaml", "upgrade-node.yaml"],
    "check-round.yaml": ["ask-controllers.yaml", "plan-batches.yaml", "Select the nodes that can be out of service at once"],
    "upgrade-node.yaml": [
        "ask-controllers.yaml",
        "read-versions.yaml",
        "plan.yaml",
        "Refuse an upgrade that has become unsafe",
        "Renew the cluster lock",
        "gate-other-voters.yaml",
        "Back up the datastore",
        "Take a snapshot of the container",
        "Download k3s before the drain",
        "Drain the node",
        "Install k3s and wait for its node to be Ready",
        "gate-voters.yaml",
        "Uncordon the node and wait for its workloads",
        "gate-health.yaml",
    ],
    "gate-server.yaml": ["Wait until this controller's API is ready", "gate-voters.yaml"],
    "rotate-node.yaml": ["ask-controllers.yaml", "gate-other-voters.yaml", "Renew the certificates", "gate-server.yaml", "Wait for the restarted worker"],
    "uninstall-node.yaml": ["Renew the cluster lock", "Drain the node", "Remove its etcd member", "Run k3s' uninstall script"],
    "join-server.yaml": [
        "Renew the cluster lock",
        "Wait until every etcd member is a healthy voter",
        "Install k3s and wait for its node to be Ready",
        "Wait until the controller is a healthy voter",
    ],
    "canary-move.yaml": [
        "Uncordon nodes of an interrupted cutover",
        "Cordon the other nodes",
        "Drain the old worker",
        "Verify that the new worker has taken over",
        "gate-health.yaml",
        "Keep the old worker cordoned",
    ],
    "canary-clean-up.yaml": ["Stop the old worker's agent and its pods", "Remove the old worker's Node"],
}
# When a gate, a refusal or a release may be left out.
CONDITIONS = {
    ("upgrade-k3s: Plan the upgrade", "Refuse an unsafe upgrade"): ("k3s_plan.refused is not none",),
    ("upgrade-k3s: Plan the upgrade", "Release the cluster lock of a dead run"): (
        "k3s_plan.turns | length == 0",
        "k3s_lock_seen.held_by | default(none) is not none",
    ),
    ("canary-worker-cutover: Cut over to the new worker", "Release the cluster lock of a dead run"): (
        "k3s_canary_plan.complete",
        "k3s_lock_seen.held_by | default(none) is not none",
    ),
    ("refresh-k3s-kubeconfig: Plan the refresh of the kubeconfig", "Release the cluster lock of a dead run"): (
        "not k3s_restarts_something | bool",
        "k3s_ready_controllers | length > 0",
    ),
    # There, nothing would release the lock.
    ("upgrade-k3s: Plan the upgrade", "End the play when there is nothing to do"): ("k3s_plan.turns | length == 0",),
    ("join-k3s-ha-servers: Plan the join of the controllers", "Acquire the cluster lock"): ("(k3s_join_todo + k3s_begun.gone.named) | length > 0",),
    ("join-k3s-ha-servers: Plan the join of the controllers", "Release the lock when no controller is to join"): ("k3s_join_todo | length == 0",),
    ("upgrade-k3s: Plan the upgrade", "Refuse an upgrade that cannot be downloaded"): ("k3s_download_faults | length > 0",),
    ("upgrade-node.yaml", "Refuse an upgrade that has become unsafe"): ("k3s_plan.refused is not none",),
    ("upgrade-node.yaml", "Back up the datastore"): ("k3s_turn.backup",),
    ("upgrade-node.yaml", "Drain the node"): ("k3s_turn.drain",),
    ("uninstall-node.yaml", "Remove its etcd member"): ("k3s_role == 'server'",),
    ("join-server.yaml", "Wait until every etcd member is a healthy voter"): ("not k3s_joining.node.joined",),
    ("gate-health.yaml", "Fail if the cluster is below its baseline"): ("k3s_health.msg is defined",),
    ("upgrade-node.yaml", "gate-other-voters.yaml"): ("k3s_turn.role == 'server'", "k3s_turn.install"),
    ("upgrade-node.yaml", "gate-voters.yaml"): ("k3s_turn.role == 'server'", "k3s_turn.install"),
    ("upgrade-node.yaml", "Download k3s before the drain"): ("k3s_turn.install", "k3s_plan.download_again"),
    ("upgrade-k3s: Plan the upgrade", "Refuse to start while the stop file exists"): ("k3s_is_stopped",),
    (f"upgrade-k3s: {BATCHES}", "End the play when the stop file exists"): ("k3s_is_stopped",),
    ("upgrade-node.yaml", "gate-health.yaml"): (
        "k3s_health_before.verdicts is defined",
        "k3s_batch_failed | length == 0",
        "inventory_hostname == k3s_round | last",
    ),
    ("upgrade-round.yaml", "check-round.yaml"): ("k3s_round | length > 1",),
    ("check-round.yaml", "plan-batches.yaml"): (),
    ("upgrade-round.yaml", "upgrade-node.yaml"): ("inventory_hostname in k3s_round",),
    ("upgrade-k3s: Plan the upgrade", "tasks/plan-batches.yaml"): ("k3s_plan.workers_at_once > 1", "k3s_plan.refused is none"),
    ("upgrade-k3s: Plan the upgrade", "Refuse batches that cannot be planned"): ("k3s_grouped.msg is defined",),
    ("rotate-node.yaml", "gate-other-voters.yaml"): ("k3s_rotation_due.gate_before",),
    ("rotate-node.yaml", "gate-server.yaml"): ("k3s_rotated.gate_after == 'server'",),
    ("rotate-node.yaml", "Wait for the restarted worker"): ("k3s_rotated.gate_after == 'agent'",),
    ("refresh-k3s-kubeconfig: Fetch the kubeconfig", "tasks/gate-other-voters.yaml"): (
        "k3s_kubeconfig_due.actions | default([]) | length > 0",
        "k3s_gate_restarts | bool",
    ),
    ("uninstall-k3s: Plan the removal", "Check that etcd can lose this server"): ("inventory_hostname in k3s_begun.nodes.leaving_servers",),
    ("canary-move.yaml", "gate-health.yaml"): (),
}


def landmarks(file: str) -> list[tuple[str, tuple[str, ...]]]:
    """The tasks of a file in their order, an included file by its name, without those of a rescue."""

    def of(tasks: list[dict]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for task in tasks:
            included = task.get(BUILTIN + "import_tasks") or task.get(BUILTIN + "include_tasks")
            if "block" in task:
                yield from of(task["block"])
            else:
                yield str(included or task["name"]), listed(task.get("when"))

    play, _, name = file.partition(": ")
    return list(of(next(one for one in plays_of(play) if one["name"] == name)["tasks"] if name else TASKS[file]))


@pytest.mark.parametrize("file", ORDERS)
def test_gates_stand_around_what_restarts_a_node(file: str) -> None:
    wanted = ORDERS[file]
    assert [name for name, _ in landmarks(file) if name in wanted] == wanted


@pytest.mark.parametrize(("file", "gate"), CONDITIONS)
def test_gates_are_left_out_only_where_documented(file: str, gate: str) -> None:
    assert dict(landmarks(file))[gate] == CONDITIONS[file, gate]


# What a gate asks the module for: without it, the module only lists.
ASKED = {
    "Wait until etcd can lose this controller": {"can_lose": "{{ node_name }}", "wait": "{{ k3s_etcd_wait }}"},
    "Wait until every etcd member is a healthy voter": {"require": "all_voters", "wait": "{{ k3s_etcd_wait }}"},
    "Wait until the controller is a healthy voter": {"require": "all_voters", "expected": ["{{ node_name }}"]},
    "Wait until this controller's API is ready": {"argv": ["k3s", "kubectl", "--request-timeout=10s", "get", "--raw", "/readyz"]},
    "Wait for the cluster to return to its baseline": {"baseline": "{{ k3s_health_before }}", "wait": "{{ k3s_upgrade_health_wait }}"},
    "Replace the old data of every server": {"state": "replaced", "identity": "{{ k3s_restore_plan.identity }}"},
    "Verify that the new worker has taken over": {"state": "verified", "workloads": "{{ k3s_canary_plan.workloads }}"},
}


@pytest.mark.parametrize("name", ASKED)
def test_gates_ask_for_what_they_wait_for(name: str) -> None:
    found = [step for _, _, step in ALL_STEPS if step.name == name]
    assert found
    for step in found:
        assert ASKED[name].items() <= step.arguments.items(), step.files
        assert step.task.get("failed_when") in (None, "k3s_health.healthy is not defined"), step.files


def test_the_api_of_a_restarted_server_is_waited_for() -> None:
    [ready] = [task for task in TASKS["gate-server.yaml"] if task["name"] == "Wait until this controller's API is ready"]
    assert ready["until"] == "k3s_ready is succeeded" and ready["retries"] * ready["delay"] >= 60


def test_a_failed_upgrade_keeps_the_cordon_of_a_node_that_may_be_broken() -> None:
    [uncordon] = [task for task in TASKS["restore-node.yaml"] if task["name"] == "Uncordon the node if that is safe"]
    assert uncordon["check_mode"] == "{{ not (k3s_is_untouched | bool or k3s_is_well | bool) }}"


def test_fetched_backups_and_exports_are_private() -> None:
    for file in ("fetch-backup.yaml", "fetch-export.yaml"):
        made = [task[BUILTIN + "file"] for task in TASKS[file] if BUILTIN + "file" in task]
        assert [one["mode"] for one in made] == ["0700", "0600"], file


# Names


def test_every_name_without_dashes_imports_one_playbook() -> None:
    imported = []
    for path in (ROOT / "playbooks").glob("*.yml"):
        [play] = yaml.safe_load(path.read_text())
        imported.append(play[BUILTIN + "import_playbook"].removeprefix("playbook-").removesuffix(".yaml"))
    assert sorted(imported) == PLAYBOOKS
