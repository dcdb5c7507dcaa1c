//! Controllers, and writes that meet each other.

use crate::lab::{DEMO, Lab, VERSION, text, workload};

#[test]
fn a_stale_version_is_refused_and_one_patch_can_do_two_things() {
    let lab = Lab::start(VERSION, 1);
    let version = lab.get("node n1 -o jsonpath={.metadata.resourceVersion}");
    let patch = |version: &str| {
        format!(
            r#"{{"metadata":{{"resourceVersion":"{version}","annotations":{{"run":"7"}}}},"spec":{{"unschedulable":true}}}}"#
        )
    };
    lab.run(&["label", "node", "n1", "changed=yes"]);
    let refused = lab.kubectl(&["patch", "node", "n1", "--type=merge", "-p", &patch(&version)]);
    let output = text(&refused.stderr);
    assert!(
        output.contains("Error from server (Conflict)") && output.contains("the object has been modified"),
        "{output}"
    );
    let newest = lab.get("node n1 -o jsonpath={.metadata.resourceVersion}");
    let patched = lab.kubectl(&["patch", "node", "n1", "--type=merge", "-p", &patch(&newest)]);
    // The kubelet may have come between: then the refusal is right again.
    if patched.status.success() {
        assert_eq!(lab.get("node n1 -o jsonpath={.spec.unschedulable}"), "true");
        assert_eq!(lab.get("node n1 -o jsonpath={.metadata.annotations.run}"), "7");
    }
}

#[test]
fn taints_keep_pods_away_and_daemons_stay() {
    let lab = Lab::start(VERSION, 2);
    lab.run(&["taint", "node", "n2", "only=me:NoSchedule"]);
    let daemons = workload("DaemonSet", "ds", "minReadySeconds: 0");
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 3"), &daemons].concat());
    lab.wait_for("pods", || lab.available("deploy/web") == "3");
    assert!(!lab.pod_nodes().contains(&"n2".to_owned()));
    lab.run(&["taint", "node", "n2", "only-"]);
    lab.wait_for("the daemon", || {
        lab.get("ds -n demo ds -o jsonpath={.status.numberReady}") == "2"
    });
    lab.run(&[
        "drain",
        "n2",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=20s",
    ]);
    assert!(lab.pod_nodes().contains(&"n2".to_owned()));
    lab.run(&["delete", "ns", "demo", "--timeout=20s"]);
}

#[test]
fn a_local_volume_ties_its_pod_to_the_node() {
    let lab = Lab::start(VERSION, 2);
    let volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: d}\nspec: {storageClassName: manual, local: \
                  {path: /srv}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: \
                  kubernetes.io/hostname, operator: In, values: [n2]}]}]}}}\n---\n";
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: d, namespace: demo}\nspec: \
                 {storageClassName: manual, volumeName: d}\n---\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: demo}\nspec: {containers: [{name: c, image: x}], \
               volumes: [{name: d, persistentVolumeClaim: {claimName: d}}]}\n---\n";
    lab.run(&["cordon", "n2"]);
    lab.apply(&[DEMO, volume, claim, pod].concat());
    let of = |field: &str| lab.get(&format!("pod -n demo db -o jsonpath={field}"));
    let why = || of(r#"{.status.conditions[?(@.type=="PodScheduled")].message}"#);
    lab.wait_for("a reason", || {
        why().contains("node(s) were unschedulable") && why().contains("volume node affinity conflict")
    });
    lab.run(&["uncordon", "n2"]);
    lab.wait_for("its start", || of("{.status.phase}") == "Running");
    assert_eq!(of("{.spec.nodeName}"), "n2");
}

#[test]
fn a_deployment_rolls_and_a_job_ends() {
    let lab = Lab::start(VERSION, 1);
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: demo}\nspec: {template: {spec: \
               {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n";
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 2"), job].concat());
    lab.run(&[
        "wait",
        "-n",
        "demo",
        "--for=condition=complete",
        "job/once",
        "--timeout=30s",
    ]);
    lab.run(&["rollout", "status", "-n", "demo", "deploy/web", "--timeout=30s"]);
    lab.run(&["set", "image", "-n", "demo", "deploy/web", "c=y"]);
    lab.run(&["rollout", "status", "-n", "demo", "deploy/web", "--timeout=30s"]);
    let images = || lab.get("pods -n demo -l app=web -o jsonpath={.items[*].spec.containers[0].image}");
    lab.wait_for("the old pods' end", || images() == "y y");
}
