use crate::samples::{ago, bare, condition, conditions, node, with};
use serde_json::{Value, json};

#[test]
fn nodes_are_ready_and_not_cordoned() {
    let with_ready = |status| conditions(node("n1"), json!([condition("Ready", status)]));
    let cordoned = json!({"spec": {"unschedulable": true}});
    let not_ready = "error Node n1: NotReady";
    let table: [(&str, Value, &[&str]); 5] = [
        ("well", node("n1"), &[]),
        ("not ready", with_ready("False"), &[not_ready]),
        ("not heard of", with_ready("Unknown"), &[not_ready]),
        ("never heard of", conditions(node("n1"), json!([])), &[not_ready]),
        (
            "cordoned",
            with(node("n1"), cordoned),
            &["warning Node n1: Cordoned"],
        ),
    ];
    for (case, node, expected) in table {
        assert_eq!(bare().node(node).verdicts(json!({})), expected, "{case}");
    }
}

#[test]
fn nodes_are_without_pressure() {
    for kind in [
        "DiskPressure",
        "MemoryPressure",
        "PIDPressure",
        "NetworkUnavailable",
    ] {
        let pressed = |status| {
            conditions(
                node("n1"),
                json!([condition("Ready", "True"), condition(kind, status)]),
            )
        };
        assert_eq!(
            bare().node(pressed("True")).verdicts(json!({})),
            [format!("error Node n1: {kind}")]
        );
        for status in ["False", "Unknown"] {
            assert!(
                bare().node(pressed(status)).verdicts(json!({})).is_empty(),
                "{kind} {status}"
            );
        }
    }
}

#[test]
fn ten_nodes_that_are_not_ready_are_ten() {
    let lost = |number: usize| {
        conditions(
            node(&format!("n{number}")),
            json!([condition("Ready", "Unknown")]),
        )
    };
    let seen = (0..10).fold(bare(), |seen, number| seen.node(lost(number)));
    let health = seen.judged(json!({}));
    assert_eq!(health.failing().count(), 10);
    assert!(!health.is_healthy());
}

#[test]
fn a_node_that_is_called_ready_must_have_renewed_its_lease() {
    let lease = |spec: Value| json!({"metadata": {"name": "n1"}, "spec": spec});
    let renewed = |seconds| lease(json!({"renewTime": ago(seconds), "leaseDurationSeconds": 40}));
    assert_eq!(
        bare().node(node("n1")).lease(renewed(41)).verdicts(json!({})),
        ["error Node n1: StaleHeartbeat"]
    );
    assert!(
        bare()
            .node(node("n1"))
            .lease(renewed(40))
            .verdicts(json!({}))
            .is_empty()
    );
    assert!(
        bare()
            .node(node("n1"))
            .lease(lease(json!({})))
            .verdicts(json!({}))
            .is_empty()
    );
    let lost = conditions(node("n1"), json!([condition("Ready", "Unknown")]));
    assert_eq!(
        bare().node(lost).lease(renewed(400)).verdicts(json!({})),
        ["error Node n1: NotReady"]
    );

    let mut without = bare().node(node("n1"));
    without.leases.clear();
    assert_eq!(without.verdicts(json!({})), ["warning Node n1: StaleHeartbeat"]);
    without.unread.insert("leases".to_owned(), "refused".to_owned());
    assert_eq!(without.verdicts(json!({})), ["error Api leases: CannotBeRead"]);
}
