//! Whatever cordon a node has, and whatever is wanted of it: what a run leaves is nothing to do for a second one.

use crate::fake::{Cluster, OURS};
use serde_json::{Value, json};
use testbed::assert_settles;

/// The cordon that a run finds, and its record; an empty one is not there.
const CORDONS: [(bool, &str); 8] = [
    (false, ""),
    (true, ""),
    (false, r#"{"run": "r0"}"#),
    (true, r#"{"run": "r0"}"#),
    (true, r#"{"run": "r1"}"#),
    (true, r#"{"run": "r0", "purpose": "steer"}"#),
    (true, r#"{"run": "r0", "purpose": "retire"}"#),
    // A record that cannot be read is still ours.
    (true, "{"),
];

fn cluster(cordoned: bool, record: &str) -> Cluster {
    let cluster = Cluster::new()
        .deployment("web", 2, &["n1", "n2"])
        .deployment("db", 2, &["n1", "n1"])
        .pin("db-1")
        .daemonset("svclb")
        .naked("alone", "n1");
    if cordoned {
        cluster.operator_cordons("n1");
    }
    if !record.is_empty() {
        cluster.annotate("n1", OURS, record);
    }
    cluster
}

/// Every state with the options that belong to it.
fn wanted() -> Vec<Value> {
    let mut all = Vec::new();
    for yes in [false, true] {
        all.extend(
            [false, true]
                .map(|wait_for| json!({"state": "uncordoned", "force_uncordon": yes, "wait_for": wait_for})),
        );
    }
    for run in [Value::Null, json!("r1")] {
        for purpose in ["turn", "steer", "retire"] {
            all.push(json!({"state": "cordoned", "run_id": run, "purpose": purpose}));
            all.extend([false, true].map(|wait_for| {
                json!({"state": "drained", "run_id": run, "purpose": purpose, "wait_for": wait_for, "force": true,
                    "delete_emptydir_data": true, "local_volumes": "wait"})
            }));
        }
    }
    all
}

fn settle(case: &str, cluster: &Cluster, options: &Value) -> Value {
    let run = |check: bool| {
        let mut options = options.clone();
        options["node"] = json!("n1");
        options["_ansible_check_mode"] = check.into();
        cluster.run(&options)
    };
    assert_settles(case, run, || {
        (
            cluster.unschedulable("n1"),
            cluster.record("n1"),
            cluster.changes(),
        )
    })
}

#[test]
fn plans_nothing_after_it_was_applied() {
    for (cordoned, record) in CORDONS {
        for options in wanted() {
            let case = format!("cordoned {cordoned} {record:?}, {options}");
            let cluster = cluster(cordoned, record);
            let first = settle(&case, &cluster, &options);
            assert_eq!(first["failed"], false, "{case}: {first:#}");
            let drained = options["state"] == "drained";
            assert_eq!(
                cluster.on("n1").len() == 1,
                drained,
                "{case}: {:?}",
                cluster.on("n1")
            );
        }
    }
}

#[test]
fn a_refusal_leaves_nothing_and_is_repeated() {
    for (cordoned, record) in CORDONS {
        // Nobody gave up the pod that nothing would start again.
        let options = json!({"state": "drained", "delete_emptydir_data": true, "local_volumes": "wait"});
        let first = settle("refused", &cluster(cordoned, record), &options);
        assert!(first["msg"].as_str().unwrap().contains("demo/alone"), "{first:#}");
    }
}

#[test]
fn a_pod_that_was_not_waited_for_is_not_waited_for_again() {
    let cluster = Cluster::new()
        .deployment("web", 1, &["n1"])
        .stuck("web-1")
        .not_ready("n1");
    let options =
        json!({"state": "drained", "run_id": "r1", "timeout": 60, "skip_wait_for_delete_timeout": 20});
    let first = settle("stuck", &cluster, &options);
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first:#}"
    );
}
