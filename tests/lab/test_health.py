"""An unhealthy cluster: what the checks report, and how an upgrade reacts."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from conftest import Lab, Run

# Young trouble is given its time; here it is old at once.
AT_ONCE = [f"-ek3s_health_{limit}_limit=1" for limit in ("pending", "not_ready", "terminating")]


@pytest.fixture(autouse=True)
def intact(lab: Lab):
    yield
    lab("fault", "clear")
    lab.kubectl("delete", "deployment,pod,job", "-n", "default", "--all", "--wait=false", "--grace-period=0")


def check(lab: Lab, *arguments: str) -> Run:
    return lab.play("check-k3s-cluster-health", *AT_ONCE, *arguments)


def start(lab: Lab, annotations: dict[str, str], **more: object) -> None:
    spec = {"containers": [{"name": "web", "image": "web"}]} | more
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}, "annotations": annotations}, "spec": spec},
        },
    }
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(deployment))


def pods(lab: Lab) -> list[dict]:
    """Without the pods of the previous test, which may still be terminating."""
    items = json.loads(lab.kubectl("get", "pods", "-n", "default", "-l", "app=web", "-o", "json"))["items"]
    return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def pod(lab: Lab) -> dict:
    lab.wait_until("a pod", lambda: bool(pods(lab)))
    return pods(lab)[0]


def waits_in(lab: Lab, *reasons: str) -> None:
    def reached() -> bool:
        status = pod(lab)["status"]
        states = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
        return any(state["state"].get("waiting", {}).get("reason") in reasons for state in states)

    lab.wait_until(f"a container in {reasons}", reached)


def test_reports_a_healthy_cluster(lab: Lab, tmp_path: Path) -> None:
    lab.play("check-k3s-cluster-health", "-e", "k3s_health_wait=60")
    report = tmp_path / "health.json"
    run = check(lab, "-e", f"k3s_health_output={report}")
    run.assert_unchanged()
    assert json.loads(report.read_text())["counts"]["nodes_ready"] == 3
    assert "k3s_health_healthy 1" in report.with_suffix(".prom").read_text()
    check(lab, "--check", "--diff").assert_unchanged()


def test_reports_a_crashing_pod_in_phase_running(lab: Lab, tmp_path: Path) -> None:
    start(lab, {"lab/fails": "crash"})
    waits_in(lab, "CrashLoopBackOff")
    assert pod(lab)["status"]["phase"] == "Running"
    before = tmp_path / "before.json"
    check(lab, "-e", f"k3s_health_output={before}").assert_failed_with("Deployment/web", "CrashLoopBackOff")
    lab.play("postcheck-k3s-upgrade", *AT_ONCE, "-e", "k3s_postcheck_wait=1").assert_failed_with("CrashLoopBackOff")
    known = lab.play("postcheck-k3s-upgrade", *AT_ONCE, "-e", "k3s_postcheck_wait=1", "-e", f"k3s_health_baseline={before}")
    assert known.status == 0, known.text


@pytest.mark.parametrize(
    ("fails", "reasons", "word"),
    [
        ("image", ("ImagePullBackOff", "ErrImagePull"), "ImagePullBackOff"),
        ("config", ("CreateContainerConfigError",), "CreateContainerConfigError"),
        ("init", ("CrashLoopBackOff",), "CrashLoopBackOff"),
        ("oom", ("CrashLoopBackOff",), "OOM"),
    ],
)
def test_reports_pod_problems(lab: Lab, fails: str, reasons: tuple[str, ...], word: str) -> None:
    start(lab, {"lab/fails": fails}, initContainers=[{"name": "first", "image": "first"}])
    waits_in(lab, *reasons)
    check(lab).assert_failed_with("Deployment/web", word)


def test_reports_an_unschedulable_pod(lab: Lab) -> None:
    start(lab, {}, nodeSelector={"disk": "none-such"})
    lab.wait_until("a verdict of the scheduler", lambda: "conditions" in pod(lab)["status"])
    check(lab, "-e", "k3s_health_wait=2").assert_failed_with("Deployment/web", "Unschedulable")


def test_reports_a_pod_that_does_not_terminate(lab: Lab) -> None:
    start(lab, {})
    lab.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    name = pod(lab)["metadata"]["name"]
    lab.kubectl("patch", "pod", name, "-p", '{"metadata":{"finalizers":["example.org/keep"]}}')
    lab.kubectl("delete", "pod", name, "--wait=false", "--grace-period=1")
    try:
        check(lab, "-e", "k3s_health_wait=4").assert_failed_with("Terminating", name)
    finally:
        lab.kubectl("patch", "pod", name, "-p", '{"metadata":{"finalizers":null}}')


def test_waits_for_a_pod_that_recovers(lab: Lab) -> None:
    start(lab, {"lab/fails": "crash", "lab/recovers-seconds": "80"})
    waits_in(lab, "CrashLoopBackOff")
    # Longer than the longest back-off before it recovers, of 4 s: else the moment between a restart and the next crash is healthy.
    run = lab.play("postcheck-k3s-upgrade", "-e", "k3s_postcheck_wait=180", "-e", "k3s_health_restart_window=12")
    assert run.status == 0, run.text


def test_reports_node_problems(lab: Lab) -> None:
    lab("fault", "node-condition", "111", "DiskPressure", "True")
    lab.inside(112, "systemctl stop k3s-agent")
    try:
        lab.wait_until("a node that is not Ready", lambda: lab.ready_nodes() < 3)
        check(lab, "-e", "k3s_health_wait=5").assert_failed_with(
            "Node k3s-worker-1: DiskPressure", "Node k3s-worker-2: NotReady"
        )
    finally:
        lab.inside(112, "systemctl start --no-block k3s-agent")
        lab("fault", "clear")
        lab.wait_until("all nodes being Ready", lambda: lab.ready_nodes() == 3)


def test_reports_an_api_that_is_down(lab: Lab) -> None:
    lab.inside(101, "systemctl stop k3s")
    try:
        check(lab).assert_failed_with("k3s.service", "inactive")
    finally:
        lab.inside(101, "systemctl start --no-block k3s")
        ready = "/usr/local/bin/k3s kubectl get --raw /readyz 2>/dev/null || true"
        lab.wait_until("the API", lambda: "ok" in lab.inside(101, ready))


def test_an_upgrade_reports_old_problems_and_continues(lab: Lab) -> None:
    start(lab, {"lab/fails": "crash"})
    waits_in(lab, "CrashLoopBackOff")
    version = lab.offer_next()
    run = lab.upgrade("-e", "k3s_drain_wait_for_timeout=60", "-e", "k3s_upgrade_health_wait=60")
    assert run.status == 0, run.text
    assert "CrashLoopBackOff" in run.text
    assert set(lab.versions().values()) == {version}
    lab.play("postcheck-k3s-upgrade", *AT_ONCE, "-e", "k3s_postcheck_wait=1").assert_failed_with("CrashLoopBackOff")


def seconds_unscheduled(lab: Lab) -> float:
    conditions = pod(lab)["status"]["conditions"]
    since = next(one["lastTransitionTime"] for one in conditions if one["type"] == "PodScheduled")
    return (datetime.now(timezone.utc) - datetime.fromisoformat(since)).total_seconds()


def test_a_problem_that_predates_the_upgrade_does_not_stop_it(lab: Lab) -> None:
    """The problem is too young for the plan, and old enough after the first node, however fast that one is."""
    version = lab.offer_next()
    limit = 30
    run = lab.begin_upgrade("-e", f"k3s_health_pending_limit={limit}", "-e", "k3s_upgrade_health_wait=90")
    lab.hold_before("Record the cluster's health as the baseline")
    start(lab, {}, nodeSelector={"disk": "none-such"})
    lab.wait_until("a verdict of the scheduler", lambda: "conditions" in pod(lab)["status"])
    lab.hold_in("Renew the cluster lock")
    lab.wait_until("a pod that is pending for too long", lambda: seconds_unscheduled(lab) > limit)
    done = lab.go_on(run)
    assert done.status == 0, done.text
    said = " ".join(done.text.split())
    assert "has trouble already" not in said, said
    assert "Show problems that predate the run" in said and "Pod default/Deployment/web: Unschedulable" in said, said
    assert set(lab.versions().values()) == {version}


def test_a_new_problem_stops_the_upgrade(lab: Lab) -> None:
    before = lab.versions()
    lab.offer_next()
    # On the controller, which is upgraded last, so that no drain moves it.
    start(lab, {}, nodeName="k3s-controller-1")
    lab.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    run = lab.begin_upgrade("-e", "k3s_upgrade_health_wait=10")
    lab.hold_in("Install k3s and wait for its node to be Ready")
    lab.kubectl("annotate", "pod", "-l", "app=web", "lab/fails=crash")
    waits_in(lab, "CrashLoopBackOff")
    done = lab.go_on(run)
    done.assert_failed_with("found problems after 10 s of waiting: Pod default/Deployment/web: CrashLoopBackOff")
    upgraded = [name for name, version in lab.versions().items() if version != before[name]]
    assert len(upgraded) == 1 and not lab.cordoned(), upgraded
