"""Traefik's objects have no owner: refusals, and that no route is lost, whatever fails or is killed."""

from __future__ import annotations

import base64
import json
import os
import subprocess

import pytest
from conftest import LAB, ROOT, Lab, Run

FILES = ROOT / "molecule/traefik/files"
DEFINITION = "ingressroutes.traefik.io"
OWNER = "meta.helm.sh/release-name"


def create_routes(lab: Lab) -> None:
    """The API serves a kind a moment after its definition."""
    resources = (FILES / "resources.yaml").read_text()
    apply = ("kubectl", "apply", "--validate=false", "-f", "-")
    lab.wait_until("the routes", lambda: lab.run(*apply, stdin=resources).returncode == 0)


@pytest.fixture(autouse=True)
def routes(lab: Lab):
    """What must exist after each test."""
    lab.wait_until("the definitions", lambda: DEFINITION in lab.kubectl("get", "crd", "-o", "name"))
    create_routes(lab)
    yield
    listed = lab.kubectl("get", "ingressroutes.traefik.io,middlewares.traefik.io", "-A", "-o", "name").split()
    assert len(listed) == 3, listed
    config = json.loads(lab.kubectl("get", "helmchartconfig", "-n", "kube-system", "traefik", "-o", "json"))
    assert config["spec"] == {"valuesContent": "ports: {web: {port: 8000}}\n"}
    assert guards(lab) == []


def break_it(lab: Lab) -> None:
    script = (FILES / "break.sh").read_text()
    done = subprocess.run(
        ["/bin/sh", "-s"], input=script, env=os.environ | {"LAB": str(LAB)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


# The lab's hosts have that folder to themselves.
ALWAYS = ["-e", "k3s_traefik_timeout=60", "-e", "k3s_traefik_export_dir=/root/exports"]


def reconcile(lab: Lab, *arguments: str) -> Run:
    return lab.play("reconcile-traefik-crd-ownership", *ALWAYS, *arguments)


def configs(lab: Lab) -> list[dict]:
    return json.loads(lab.kubectl("get", "helmchartconfigs", "-n", "kube-system", "-o", "json"))["items"]


def guards(lab: Lab) -> list[str]:
    """The charts that have our failure policy."""
    return [one["metadata"]["name"] for one in configs(lab) if "homelab.k3s/helm-adopt" in json.dumps(one["metadata"])]


def assert_right(lab: Lab) -> None:
    definitions = json.loads(lab.kubectl("get", "crd", "-o", "json"))["items"]
    assert {one["metadata"]["annotations"].get(OWNER) for one in definitions} == {"traefik-crd"}
    reconcile(lab).assert_unchanged()


def release(lab: Lab, namespace: str, name: str) -> None:
    """A foreign release, as Helm stores it."""
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
    }))  # fmt: skip
    content = base64.b64encode(base64.b64encode(json.dumps({"info": {"status": "deployed"}}).encode())).decode()
    labels = {"owner": "helm", "name": name, "status": "deployed", "version": "1"}
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": content},
        "metadata": {"name": f"sh.helm.release.v1.{name}.v1", "namespace": namespace, "labels": labels},
    }))  # fmt: skip


def test_refuses_objects_of_another_release_unless_allowed(lab: Lab) -> None:
    break_it(lab)
    release(lab, "istio", "gateway")
    owner = ["meta.helm.sh/release-name=gateway", "meta.helm.sh/release-namespace=istio"]
    lab.kubectl("annotate", "crd", DEFINITION, *owner)
    before = lab.kubectl("get", "crd", "-o", "json")
    run = reconcile(lab)
    run.assert_failed_with(f"CustomResourceDefinition {DEFINITION}", "istio/gateway, which is in use (deployed)", "take_from")
    assert lab.kubectl("get", "crd", "-o", "json") == before and not guards(lab)
    here = lab.folder / "here"
    run = reconcile(lab, "-e", json.dumps({"k3s_traefik_take_from": ["istio/gateway"], "k3s_traefik_fetch_dir": str(here)}))
    assert run.status == 0, run.text
    fetched = sorted(here.glob("traefik-crd-*/*.json"))
    assert [path.name for path in fetched] == ["objects.json", "resources.json"]
    assert {path.stat().st_mode & 0o777 for path in fetched} == {0o600}
    assert '"name":"web"' in fetched[1].read_text()


def test_never_reinstalls_a_failed_release(lab: Lab) -> None:
    break_it(lab)
    # The next upgrade fails half-way; k3s's own answer would delete every route.
    lab.kubectl("annotate", "helmchart", "-n", "kube-system", "traefik-crd", "lab/helm-fails=1")
    run = reconcile(lab)
    run.assert_failed_with("is failed, and its Job was set to leave it", "keeps our failurePolicy", "helm rollback")
    assert guards(lab) == ["traefik-crd"]
    assert DEFINITION in lab.kubectl("get", "crd", "-o", "name")
    # What an operator would do with Helm.
    lab.kubectl("delete", "secrets", "-n", "kube-system", "-l", "owner=helm,name=traefik-crd")
    again = reconcile(lab)
    assert again.status == 0, again.text


def test_resumes_a_killed_run(lab: Lab) -> None:
    break_it(lab)
    # With its module on the Proxmox host, and then without: that works on, and the last run waits for it.
    for remote_too in (True, False):
        run = lab.begin("reconcile-traefik-crd-ownership", *ALWAYS)
        lab.wait_until("our policy", lambda: guards(lab) == ["traefik-crd"])
        lab.kill(run, remote_too)
    again = reconcile(lab)
    assert again.status == 0, again.text
    assert_right(lab)


def test_warns_of_a_second_load_balancer(lab: Lab) -> None:
    release(lab, "traefik", "traefik")
    service = {
        "apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer", "ports": [{"name": "web", "port": 8080}]},
        "metadata": {"name": "traefik", "namespace": "traefik", "labels": {"app.kubernetes.io/name": "traefik"}},
    }  # fmt: skip
    lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(service))
    run = reconcile(lab)
    run.assert_unchanged()
    said = " ".join(run.text.split())
    assert "several load balancers answer for one: kube-system/traefik, traefik/traefik" in said, said
    assert "there is a second release of that name, traefik/traefik" in said, said
    lab.kubectl("delete", "namespace", "traefik")


def test_does_nothing_if_traefik_is_disabled(lab: Lab) -> None:
    file = "/etc/rancher/k3s/config.yaml.d/traefik.yaml"
    restart = "systemctl restart --no-block k3s"
    lab.inside(101, f"mkdir -p {file.rsplit('/', 1)[0]} && echo 'disable: [traefik]' > {file} && {restart}")
    try:
        gone = "/usr/local/bin/k3s kubectl get helmcharts -A -o name 2>/dev/null || echo away"
        lab.wait_until("the end of the charts", lambda: lab.inside(101, gone).strip() == "")
        run = reconcile(lab)
        run.assert_unchanged()
        assert run.text.count("nothing to adopt") == 3, run.text
    finally:
        lab.inside(101, f"rm {file} && {restart}")
        lab.wait_until("the charts", lambda: "traefik-crd" in lab.inside(101, gone))
        # They went with their definitions.
        lab.wait_until("the definitions", lambda: DEFINITION in lab.inside(101, "/usr/local/bin/k3s kubectl get crd -o name || true"))
        create_routes(lab)
