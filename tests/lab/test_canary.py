"""The cutover between workers: refusals, failures that are rolled back, killed runs that are resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Lab, Run, lab_with

OLD, OTHER, NEW = "k3s-worker-1", "k3s-worker-2", "k3s-worker-3"
PAIR = ("-e", f"k3s_canary_old_worker_host={OLD}", "-e", f"k3s_canary_new_worker_host={NEW}")
GIVEN_UP = ("-e", "k3s_canary_stop_old_agent=true", "-e", "k3s_canary_delete_old_node=true")

# Two pods a node, so that there is something on each.
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec:
  minAvailable: 6
  selector: {matchLabels: {app: web}}
"""
EXTRA = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: extra, namespace: default}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: extra}}
  template:
    metadata: {labels: {app: extra}}
    spec:
      containers: [{name: extra, image: extra, resources: {requests: {cpu: CPU}}}]
      VOLUMES
"""
VOLUME = f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: pv-extra}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  local: {{path: /srv}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{OLD}]}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: extra, namespace: default}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  volumeName: pv-extra
  resources: {{requests: {{storage: 1Gi}}}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One Proxmox host, one controller, three workers."""
    for lab in lab_with(
        tmp_path_factory.mktemp("lab"), "--controllers", "1", "--workers", "3", "--time-factor", "10"
    ):
        lab.kubectl("apply", "--validate=false", "-f", "-", stdin=WEB)
        lab.wait_until("web being ready", lambda: ready(lab) == 6)
        yield lab


def ready(lab: Lab) -> int:
    return json.loads(lab.kubectl("get", "deployment", "web", "-o", "json"))["status"].get("readyReplicas", 0)


def on(lab: Lab, node: str) -> list[str]:
    """The pods on a node that are not a DaemonSet's."""
    pods = json.loads(lab.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    own = [pod for pod in pods if pod["spec"].get("nodeName") == node and pod["status"]["phase"] != "Succeeded"]
    return [pod["metadata"]["name"] for pod in own if pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"]


def cutover(lab: Lab, *arguments: str) -> Run:
    return lab.play("canary-worker-cutover", *PAIR, *arguments)


def assert_taken_over(lab: Lab) -> None:
    assert lab.cordoned() == {OLD}
    assert set(lab.marks()) == {OLD}
    assert not on(lab, OLD) and on(lab, NEW)
    assert ready(lab) == 6


@pytest.fixture
def untouched(lab: Lab) -> Iterator[Lab]:
    """Both workers unchanged, before and after: pods on each, no cordon, no annotation."""
    pods = json.loads(lab.kubectl("get", "pods", "-o", "json"))["items"]
    before = {pod["metadata"]["uid"] for pod in pods}
    assert not lab.cordoned()
    yield lab
    pods = json.loads(lab.kubectl("get", "pods", "-o", "json"))["items"]
    assert before <= {pod["metadata"]["uid"] for pod in pods}
    assert not lab.cordoned() and not lab.marks()


@pytest.fixture
def back(lab: Lab) -> Iterator[Lab]:
    """Undoes a cutover afterwards, as an operator does; the next one has pods to move."""
    yield lab
    lab.kubectl("uncordon", OLD)
    lab.kubectl("annotate", "node", OLD, "homelab.k3s/cordon-")
    lab.kubectl("cordon", NEW)
    lab.kubectl("delete", "pods", "-l", "app=web", "--wait=false")
    lab.wait_until("web being back", lambda: bool(on(lab, OLD)) and ready(lab) == 6)
    lab.kubectl("uncordon", NEW)


def test_refuses_invalid_hosts(untouched: Lab) -> None:
    def pair(old: str, new: str) -> Run:
        return untouched.play(
            "canary-worker-cutover", "-e", f"k3s_canary_old_worker_host={old}", "-e", f"k3s_canary_new_worker_host={new}"
        )

    pair(OLD, "k3s-worker-9").assert_failed_with("k3s_canary_new_worker_host", "k3s-worker-9", "k3s_workers")
    pair("k3s-controller-1", NEW).assert_failed_with("k3s_canary_old_worker_host", "k3s-controller-1")
    pair(OLD, OLD).assert_failed_with("cannot take over from itself")
    untouched.play("canary-worker-cutover").assert_failed_with("k3s_canary_old_worker_host", "k3s_workers")
    cutover(untouched, "-e", "k3s_canary_delete_old_node=true").assert_failed_with(
        "k3s_canary_stop_old_agent=true", "register again"
    )


def assert_refuses_to_move_extra(lab: Lab, rule: str, replicas: int, cpu: str, volumes: str) -> None:
    extra = EXTRA.replace("REPLICAS", f"{replicas}").replace("CPU", cpu).replace("VOLUMES", volumes)
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=extra)
    lab.kubectl("wait", "--for=condition=Available", "deployment/extra", "--timeout=60s")
    assert any("extra" in name for name in on(lab, OLD))
    for node in lab.cordoned():
        lab.kubectl("uncordon", node)
    run = cutover(lab)
    lab.kubectl("delete", "deployment", "extra")
    run.assert_failed_with("nothing was touched", f"({rule})", "default/extra-", "k3s_canary_accept")


def test_refuses_a_new_worker_that_is_too_small(untouched: Lab) -> None:
    # Both workers get one, which leaves no room for a second.
    for node in (OTHER, "k3s-controller-1"):
        untouched.kubectl("cordon", node)
    assert_refuses_to_move_extra(untouched, "too_small", 2, "1500m", "")


def test_refuses_a_local_volume(untouched: Lab) -> None:
    untouched.kubectl("apply", "--validate=false", "-f", "-", stdin=VOLUME)
    volumes = "volumes: [{name: data, persistentVolumeClaim: {claimName: extra}}]"
    assert_refuses_to_move_extra(untouched, "local_volume", 1, "1m", volumes)
    untouched.kubectl("delete", "pvc/extra", "pv/pv-extra", "--wait=false")


def test_check_mode_shows_the_plan(untouched: Lab) -> None:
    run = cutover(untouched, "--check", *GIVEN_UP)
    run.assert_unchanged()
    for words in (f"{OLD} is drained", "cordoned meanwhile", "default/web-", "stop k3s-agent", f"remove the Node {OLD}"):
        assert words in run.text, run.text


def test_a_failed_cutover_uncordons_all_nodes(untouched: Lab) -> None:
    run = cutover(untouched, "-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_evict_timeout=3")
    run.assert_failed_with("Drain the old worker", "budget web allows 0", "the node takes pods", "the other nodes are uncordoned as before.")


def test_a_kill_in_the_drain_keeps_an_operators_cordon(back: Lab) -> None:
    lab = back
    lab.kubectl("cordon", OTHER)
    run = lab.begin("canary-worker-cutover", *PAIR, "-e", "k3s_drain_pdb=respect", "-e", "k3s_drain_evict_timeout=60")
    lab.wait_until("the drain", lambda: {OLD, "k3s-controller-1"} <= lab.cordoned())
    lab.kill(run, remote_too=True)
    run = cutover(lab)
    assert run.status == 0, run.text
    assert lab.cordoned() == {OLD, OTHER}
    lab.kubectl("uncordon", OTHER)
    assert_taken_over(lab)
    lab.leave_lock()
    cutover(lab).assert_unchanged()
    assert lab.holder() == ""


def test_an_upgrade_keeps_a_retired_worker_cordoned(back: Lab) -> None:
    run = cutover(back, "-e", "k3s_canary_steer=false")
    assert run.status == 0, run.text
    assert_taken_over(back)
    back.upgrade("-e", f"k3s_target_version={back.versions()[OLD]}").assert_unchanged()
    assert back.cordoned() == {OLD}


def joined(lab: Lab, node: str) -> datetime:
    return datetime.fromisoformat(lab.nodes()[node]["metadata"]["creationTimestamp"])


def test_refuses_swapped_workers(lab: Lab) -> None:
    # The new one has joined a while after the old one, as a new one has.
    lab.wait_until("a minute", lambda: datetime.now(UTC) - joined(lab, OLD) > timedelta(seconds=70))
    lab.inside(113, "systemctl stop k3s-agent")
    lab.kubectl("delete", "node", NEW)
    lab.inside(113, "systemctl start k3s-agent")
    lab.wait_until("the node", lambda: NEW in lab.nodes())
    lab.kubectl("wait", "--for=condition=Ready", f"node/{NEW}", "--timeout=60s")
    lab.wait_until("web being complete", lambda: ready(lab) == 6)
    run = lab.play(
        "canary-worker-cutover", "-e", f"k3s_canary_old_worker_host={NEW}", "-e", f"k3s_canary_new_worker_host={OLD}"
    )
    run.assert_failed_with("they seem to be swapped", "(younger)", "nothing was touched")
    assert not lab.cordoned() and not lab.marks()


def test_a_failed_clean_up_reports_what_is_left_and_resumes(lab: Lab) -> None:
    run = lab.begin("canary-worker-cutover", *PAIR, *GIVEN_UP)
    lab.hold_in("Keep the old worker cordoned")
    lab("fault", "missing", "111")
    failed = lab.go_on(run)
    lab("fault", "clear")
    failed.assert_failed_with(
        f"Retiring {OLD} has failed, after {NEW} had taken over", "container 111", "its agent may be stopped", "run the same command again"
    )
    assert_taken_over(lab)
    assert lab.inside(111, "systemctl is-active k3s-agent || true").strip() == "active"
    run = cutover(lab, *GIVEN_UP, "-vvv", "--diff")
    assert run.status == 0, run.text[-4000:]
    lab.assert_no_secret_in(run)
    assert OLD not in lab.nodes()
    assert lab.inside(111, "pgrep -f '^/var/lib/rancher/k3s/data/.*/containerd-shim' || true").strip() == ""
    assert not lab.cordoned() and not lab.marks()
    assert ready(lab) == 6
    cutover(lab, *GIVEN_UP).assert_unchanged()
