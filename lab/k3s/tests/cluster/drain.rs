//! Cordons, evictions, budgets: what a drain meets.

use crate::lab::{DEMO, Lab, VERSION, text, workload};
use std::io::Write;
use std::process::Stdio;

const DRAIN: &[&str] = &["--ignore-daemonsets", "--delete-emptydir-data", "--force"];

fn budget(least: usize) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web, namespace: demo}}\nspec: \
         {{minAvailable: {least}, selector: {{matchLabels: {{app: web}}}}}}\n---\n"
    )
}

/// Three pods `web` that must all stay, one of them at least on `n2`.
fn guarded(lab: &Lab) {
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 3"), &budget(3)].concat());
    let healthy = || lab.get("pdb -n demo web -o jsonpath={.status.currentHealthy}") == "3";
    lab.wait_for("healthy pods", healthy);
}

fn pods_on(lab: &Lab, node: &str) -> Vec<String> {
    let selector = format!("--field-selector=spec.nodeName={node}");
    let names = lab.run(&["get", "pods", "-n", "demo", &selector, "-o", "name"]);
    names
        .lines()
        .map(|line| line.trim_start_matches("pod/").to_owned())
        .collect()
}

#[test]
fn a_budget_stops_a_drain_and_a_deletion_passes_it() {
    let lab = Lab::start(VERSION, 3);
    guarded(&lab);
    let drained = lab.kubectl(&[&["drain", "n2", "--timeout=1s"], DRAIN].concat());
    let output = text(&drained.stderr);
    assert!(!drained.status.success());
    assert!(
        output.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{output}"
    );
    assert_eq!(lab.get("node n2 -o jsonpath={.spec.unschedulable}"), "true");
    let stayed = pods_on(&lab, "n2");
    assert!(!stayed.is_empty());
    lab.run(&[&["drain", "n2", "--disable-eviction", "--timeout=20s"], DRAIN].concat());
    lab.wait_for("moved pods", || lab.available("deploy/web") == "3");
    assert!(pods_on(&lab, "n2").is_empty());
}

#[test]
fn a_blocked_eviction_names_the_budget_and_its_headroom() {
    let lab = Lab::start(VERSION, 1);
    guarded(&lab);
    let pod = pods_on(&lab, "n1").remove(0);
    let output = evict(&lab, &pod);
    assert!(
        output.contains("TooManyRequests") && output.contains("DisruptionBudget"),
        "{output}"
    );
    assert!(
        output.contains("The disruption budget web needs 3 healthy pods and has 3 currently"),
        "{output}"
    );
    lab.apply(&budget(2));
    lab.wait_for("headroom", || {
        lab.get("pdb -n demo web -o jsonpath={.status.disruptionsAllowed}") == "1"
    });
    assert!(!evict(&lab, &pod).contains("TooManyRequests"));
}

/// The API's answer to an eviction, as kubectl logs it.
fn evict(lab: &Lab, pod: &str) -> String {
    let path = format!("/api/v1/namespaces/demo/pods/{pod}/eviction");
    let body = format!(
        "{{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{{\"name\":\"{pod}\",\"namespace\":\"demo\"}}}}"
    );
    let mut command =
        std::process::Command::new(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned()));
    command
        .args(["create", "-v=8", "--raw", &path, "-f", "-"])
        .env("HOME", lab.folder.path());
    command.env("KUBECONFIG", lab.etc("n1").join("rancher/k3s/k3s.yaml"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_drain_refuses_what_it_must_and_a_finalizer_holds_a_pod() {
    let lab = Lab::start(VERSION, 1);
    let pod = |name: &str, metadata: &str, spec: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: demo{metadata}}}\nspec: {{containers: \
             [{{name: c, image: x}}]{spec}}}\n---\n"
        )
    };
    let naked = pod("naked", ", finalizers: [lab/hold]", "");
    lab.apply(
        &[
            DEMO,
            &naked,
            &pod("scratch", "", ", volumes: [{name: v, emptyDir: {}}]"),
        ]
        .concat(),
    );
    let ready = "jsonpath={.items[*].status.containerStatuses[0].ready}";
    lab.wait_for("the pods", || {
        lab.get(&format!("pods -n demo -o {ready}")) == "true true"
    });
    let refused = text(&lab.kubectl(&["drain", "n1", "--ignore-daemonsets"]).stderr);
    for word in [
        "demo/naked",
        "use --force to override",
        "use --delete-emptydir-data to override",
    ] {
        assert!(refused.contains(word), "{refused}");
    }
    let held = text(
        &lab.kubectl(&[&["drain", "n1", "--timeout=3s"], DRAIN].concat())
            .stderr,
    );
    assert!(held.contains("error when waiting for pod"), "{held}");
    assert_ne!(lab.terminating(), "");
    lab.run(&[
        "patch",
        "pod",
        "-n",
        "demo",
        "naked",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ]);
    lab.wait_for("its end", || lab.get("pods -n demo -o name").is_empty());
}

#[test]
fn a_storm_of_refusals_comes_on_demand() {
    let lab = Lab::start(VERSION, 1);
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 1")].concat());
    lab.wait_for("the pod", || lab.available("deploy/web") == "1");
    let faults = lab.etc("n1").join("lab/faults.json");
    std::fs::create_dir_all(faults.parent().unwrap()).unwrap();
    std::fs::write(&faults, r#"{"requests": [{"resource": "nodes", "status": 500}]}"#).unwrap();
    assert!(text(&lab.kubectl(&["get", "nodes"]).stderr).contains("a fault of the lab"));
    std::fs::write(
        &faults,
        r#"{"requests": [{"resource": "pods/eviction", "status": 429}]}"#,
    )
    .unwrap();
    let output = text(
        &lab.kubectl(&[&["drain", "n1", "--timeout=1s"], DRAIN].concat())
            .stderr,
    );
    assert!(output.contains("global timeout reached"), "{output}");
    std::fs::remove_file(&faults).unwrap();
    lab.run(&[&["drain", "n1", "--timeout=30s"], DRAIN].concat());
}
