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
    let told = text(&refused.stderr);
    assert!(
        told.contains("Error from server (Conflict)") && told.contains("the object has been modified"),
        "{told}"
    );
    let newest = lab.get("node n1 -o jsonpath={.metadata.resourceVersion}");
    let patched = lab.kubectl(&["patch", "node", "n1", "--type=merge", "-p", &patch(&newest)]);
    // The kubelet may have come between: then the refusal is right again.
    if patched.status.success() {
        assert!(lab.get("node n1").contains("SchedulingDisabled"));
        assert_eq!(lab.get("node n1 -o jsonpath={.metadata.annotations.run}"), "7");
    }
}

#[test]
fn taints_keep_pods_away_and_daemons_stay() {
    let lab = Lab::start(VERSION, 2);
    lab.run(&["taint", "node", "n2", "only=me:NoSchedule"]);
    let daemons = workload("DaemonSet", "ds", "minReadySeconds: 0");
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 3"), &daemons].concat());
    lab.wait_for("pods", || lab.get("deploy -n demo web").contains("3/3"));
    assert!(!lab.get("pods -n demo -o wide").contains(" n2 "));
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
    assert!(lab.get("pods -n demo -o wide").contains(" n2 "));
    lab.run(&["delete", "ns", "demo", "--timeout=20s"]);
}

#[test]
fn a_local_volume_ties_its_pod_to_the_node() {
    let lab = Lab::start(VERSION, 2);
    let claims = "serviceName: db\n  replicas: 2\n  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: \
                  [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]";
    lab.apply(&[DEMO, &workload("StatefulSet", "db", claims)].concat());
    lab.wait_for("two pods", || lab.get("sts -n demo db").contains("2/2"));
    let of = |field: &str| lab.get(&format!("pod -n demo db-0 -o jsonpath={field}"));
    let (node, uid) = (of("{.spec.nodeName}"), of("{.metadata.uid}"));
    lab.run(&[
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=20s",
    ]);
    lab.wait_for("the new pod", || lab.get("pods -n demo").contains("Pending"));
    assert_ne!(of("{.metadata.uid}"), uid, "the same name, another pod");
    let why = of(r#"{.status.conditions[?(@.type=="PodScheduled")].message}"#);
    assert!(
        why.contains("node(s) were unschedulable") && why.contains("volume node affinity conflict"),
        "{why}"
    );
    lab.run(&["uncordon", &node]);
    lab.wait_for("its return", || lab.get("sts -n demo db").contains("2/2"));
    assert_eq!(of("{.spec.nodeName}"), node);
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
    lab.run(&["scale", "-n", "demo", "deploy/web", "--replicas=1"]);
    lab.wait_for("one pod", || images() == "y");
}

#[test]
fn kubectl_makes_objects_itself() {
    let lab = Lab::start(VERSION, 1);
    lab.run(&["create", "namespace", "demo"]);
    let again = lab.kubectl(&["create", "namespace", "demo"]);
    assert_eq!(
        text(&again.stderr),
        "Error from server (AlreadyExists): namespaces \"demo\" already exists\n"
    );
    let create = |words: &[&str]| lab.run(&[&["create", "-n", "demo"], words].concat());
    create(&["deployment", "web", "--image=x", "--replicas=2"]);
    create(&["pdb", "web", "--selector=app=web", "--min-available=50%"]);
    create(&["configmap", "words", "--from-literal=a=b"]);
    create(&["secret", "generic", "words", "--from-literal=a=b"]);
    create(&["job", "once", "--image=x"]);
    lab.run(&[
        "wait",
        "-n",
        "demo",
        "--for=condition=complete",
        "job/once",
        "--timeout=30s",
    ]);
    lab.wait_for("the budget", || {
        lab.get("pdb -n demo web -o jsonpath={.status.disruptionsAllowed}") == "1"
    });
    assert_eq!(lab.get("cm -n demo words -o jsonpath={.data.a}"), "b");
    assert_eq!(lab.get("secret -n demo words -o jsonpath={.data.a}"), "Yg==");
}
