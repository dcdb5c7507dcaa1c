//! Whatever a node has, and however k3s is brought there: what a run leaves is nothing to do for a second one.

use crate::*;
use testbed::assert_settles;

/// What is there before, and the options that install k3s there.
fn nodes() -> Vec<(&'static str, Node, Value)> {
    let fresh = |role: &str| {
        let url = (role == "agent").then_some("https://10.99.0.101:6443");
        json!({"role": role, "args": [], "environment": {"K3S_URL": url.unwrap_or_default(), "K3S_TOKEN": "labtoken"}})
    };
    let mut fresh_server = fresh("server");
    fresh_server["environment"] = json!({});
    // Only its binary is new: an earlier run was killed before the restart, or somebody swapped it by hand.
    let swapped = agent("2026");
    swapped.swap_by_hand(NEW);
    vec![
        ("a new agent", Node::new("2025", &[NEW]), fresh("agent")),
        ("a new server", Node::new("2026", &[NEW]), fresh_server),
        ("an old agent", agent("2025"), json!({})),
        ("an old server", server("2026"), json!({})),
        ("a swapped binary", swapped, json!({})),
    ]
}

fn settle(case: &str, node: &Node, options: &Value) -> Value {
    let mut options = options.clone();
    options["settle"] = json!(0);
    let runs =
        || ["k3s.service", "k3s-agent.service"].map(|unit| node.text(&format!("state/{unit}.version")));
    let first = assert_settles(
        case,
        |check| call(node, &options, check),
        || (everything(node), runs()),
    );
    assert_eq!(first["failed"], false, "{case}: {first:#}");
    first
}

#[test]
fn plans_nothing_after_it_was_applied() {
    for prefetch in [true, false] {
        for (name, node, mut options) in nodes() {
            node.put("state/delay", "0");
            options["prefetch"] = json!(prefetch);
            let first = settle(&format!("{name}, prefetch {prefetch}"), &node, &options);
            assert_eq!(first["changed"], true, "{name}: {first:#}");
        }
    }
}

#[test]
fn what_was_fetched_before_is_installed_once() {
    for (name, node, options) in nodes() {
        node.put("state/delay", "0");
        let mut fetched = options.clone();
        fetched["state"] = json!("prefetched");
        for (stage, options, changed) in [
            // The new binary is in place already there.
            ("fetched", &fetched, name != "a swapped binary"),
            ("installed", &options, true),
            ("fetched again", &fetched, false),
        ] {
            let answer = settle(&format!("{name}, {stage}"), &node, options);
            assert_eq!(answer["changed"], changed, "{name}, {stage}: {answer:#}");
        }
    }
}
