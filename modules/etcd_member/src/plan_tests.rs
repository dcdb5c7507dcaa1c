use super::*;
use crate::samples::{cluster, lose_quorum, member, nodes, state, stop};
use serde_json::{Value, json};

fn plan_for(options: Value, state: &State) -> Result<Plan<Step>> {
    let mut all = json!({"state": "absent"});
    all.as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    plan(&serde_json::from_value(all).unwrap(), state)
}

/// The steps and warnings for a cluster whose Nodes are all there.
fn planned(options: Value, size: u64, change: impl FnOnce(&mut Cluster)) -> Vec<String> {
    let mut seen = cluster(size);
    change(&mut seen);
    let plan = plan_for(options, &state(seen, nodes(size))).unwrap();
    let steps = plan.steps.iter().map(ToString::to_string);
    steps.chain(plan.warnings).collect()
}

fn refusal(options: Value, size: u64, change: impl FnOnce(&mut Cluster)) -> String {
    let mut seen = cluster(size);
    change(&mut seen);
    let refused = plan_for(options, &state(seen, nodes(size)));
    refused.expect_err("it is planned").to_string()
}

fn third_is_down(seen: &mut Cluster) {
    stop(&mut seen.members[2]);
}

const TWO_LEFT: &str =
    "2 voters are left: until another one has joined they tolerate no more failures than 1 would";

#[test]
fn a_dead_member_is_found_by_whatever_names_it() {
    for options in [
        json!({"name": "n3-00000003"}),
        json!({"node": "n3"}),
        json!({"node": "N3"}),
        json!({"peer_url": "https://10.0.0.3:2380"}),
        json!({"peer_url": "https://10.0.0.3:2380/"}),
        json!({"id": "3"}),
        json!({"id": "0x3"}),
    ] {
        let found = planned(options.clone(), 3, third_is_down);
        assert_eq!(
            found,
            ["remove the member n3-00000003 (3) from etcd", TWO_LEFT],
            "{options}"
        );
    }
}

#[test]
fn an_id_is_read_in_both_spellings() {
    let with_id = |id: &str| {
        planned(json!({"id": id}), 3, |seen| {
            third_is_down(seen);
            seen.members[2].id = 0xc5f7_fb2c_c451_2cfc;
        })
        .len()
    };
    assert_eq!(with_id("c5f7fb2cc4512cfc"), 2);
    assert_eq!(with_id("C5F7FB2CC4512CFC"), 2);
    assert_eq!(with_id("14265146514410122492"), 2);
    assert_eq!(with_id("c5f7"), 0);
    // Digits that are one member's hexadecimal and another one's decimal id name neither.
    let both = |seen: &mut Cluster| {
        (seen.members[1].id, seen.members[2].id) = (10, 16);
        stop(&mut seen.members[1]);
    };
    assert!(refusal(json!({"id": "10"}), 3, both).contains("the id 10 fits 2 members"));
}

#[test]
fn a_member_that_is_gone_needs_no_change() {
    for options in [
        json!({"name": "n9-00000009"}),
        json!({"node": "n9"}),
        json!({"peer_url": "https://10.0.0.9:2380"}),
        json!({"id": "99"}),
    ] {
        assert_eq!(planned(options.clone(), 3, |_| ()), [""; 0], "{options}");
    }
}

fn third_never_came(seen: &mut Cluster) {
    let third = &mut seen.members[2];
    (third.status, third.learner) = (None, true);
    third.name.clear();
}

#[test]
fn a_member_that_never_started_is_found_by_its_address() {
    let gone = ["remove the member 3 (never started, https://10.0.0.3:2380) (3) from etcd"];
    for options in [
        json!({"peer_url": "https://10.0.0.3:2380"}),
        json!({"node": "n3"}),
        json!({"id": "3"}),
    ] {
        assert_eq!(planned(options, 3, third_never_came)[..1], gone);
    }
    // Its Node is gone too: only the inventory has its host.
    let mut seen = cluster(3);
    third_never_came(&mut seen);
    let state = state(seen, nodes(2));
    let plan = plan_for(json!({"node": "n3", "address": "10.0.0.3"}), &state).unwrap();
    assert_eq!(plan.steps.len(), 1);
    let plan = plan_for(json!({"node": "n3"}), &state).unwrap();
    assert_eq!(plan.steps.len(), 0);
    assert!(
        plan.warnings[0].contains("may be of node n3"),
        "{:?}",
        plan.warnings
    );
    // The address of a member that has a name is not enough to say whose it is.
    let state = crate::samples::state(cluster(3), nodes(3));
    let plan = plan_for(json!({"node": "n9", "address": "10.0.0.3"}), &state).unwrap();
    assert_eq!(plan.steps.len(), 0);
}

#[test]
fn two_that_fit_are_both_left() {
    let rebuilt = |seen: &mut Cluster| {
        third_is_down(seen);
        let mut again = member(9, "n3-99999999");
        again.peer_urls = vec!["https://10.0.0.9:2380".to_owned()];
        seen.members.push(again);
    };
    let said = refusal(json!({"node": "n3", "force": true}), 3, rebuilt);
    assert_eq!(
        said,
        "container 101 on pve1: the node n3 fits 2 members of etcd: n3-00000003 (3: asking for its status at https://10.0.0.3:2379: Connection refused), n3-99999999 (9: it is healthy); say by id which one is to go"
    );
    assert_eq!(planned(json!({"id": "3"}), 3, rebuilt).len(), 1, "three are left");
}

#[test]
fn a_healthy_voter_goes_only_by_force() {
    assert_eq!(
        refusal(json!({"node": "n3"}), 3, |_| ()),
        "container 101 on pve1: the member n3-00000003 (3: it is healthy) is not removed: it is a healthy voter (force=true removes it all the same)"
    );
    assert_eq!(
        planned(json!({"node": "n3", "force": true}), 3, |_| ()),
        ["remove the member n3-00000003 (3) from etcd", TWO_LEFT]
    );
}

#[test]
fn after_the_leader_a_new_one_is_awaited() {
    let third_leads = |seen: &mut Cluster| {
        for member in &mut seen.members {
            member.status.as_mut().unwrap().leader = 3;
        }
    };
    assert_eq!(
        planned(json!({"node": "n3", "force": true}), 3, third_leads)[1],
        "wait until another member leads, and 10 s in all before any server may be restarted"
    );
}

#[test]
fn the_quorum_is_never_given_up() {
    for force in [false, true] {
        // Of A (asked), B (dead) and C, C must stay.
        let said = refusal(json!({"node": "n2", "force": force}), 3, third_is_down);
        assert!(
            said.contains(
                "2 voters would remain, 1 of them healthy, and their quorum is 2: it would be lost"
            ),
            "{said}"
        );
        let said = refusal(json!({"node": "n3", "force": force}), 3, |seen| {
            third_is_down(seen);
            stop(&mut seen.members[1]);
            lose_quorum(seen);
        });
        assert!(said.contains("without a quorum etcd changes nothing"), "{said}");
        assert!(
            said.contains("0 of 3 voters are healthy, and the quorum is 2"),
            "{said}"
        );
        assert!(said.contains("--cluster-reset"), "{said}");
    }
    // Of five, with one dead, another one may go by force; with two dead none that lives.
    let two_dead = |seen: &mut Cluster| {
        stop(&mut seen.members[3]);
        stop(&mut seen.members[4]);
    };
    assert_eq!(planned(json!({"node": "n5"}), 5, two_dead).len(), 2);
    let said = refusal(json!({"node": "n2", "force": true}), 5, two_dead);
    assert!(
        said.contains("4 voters would remain, 2 of them healthy, and their quorum is 3"),
        "{said}"
    );
}

#[test]
fn the_last_voter_stays_whatever_is_said() {
    let said = refusal(json!({"node": "n1", "force": true}), 1, |_| ());
    assert!(said.contains("it is the last voter"), "{said}");
    let said = refusal(json!({"node": "n1", "force": true}), 2, |seen| {
        seen.members[1].learner = true;
    });
    assert!(said.contains("it is the last voter"), "{said}");
}

#[test]
fn the_second_of_two_goes_by_force_and_with_a_word() {
    assert_eq!(
        planned(json!({"node": "n2", "force": true}), 2, |_| ()),
        [
            "remove the member n2-00000002 (2) from etcd",
            "one voter is left: the cluster tolerates no failure until two more have joined"
        ]
    );
}

#[test]
fn the_member_that_is_asked_does_not_remove_itself() {
    let said = refusal(json!({"node": "n1", "force": true}), 3, |_| ());
    assert_eq!(
        said,
        "container 101 on pve1: the member n1-00000001 (1: it is healthy) is not removed: it is the member that was asked, and would stop on the way: ask through another server"
    );
}

#[test]
fn a_join_under_way_is_not_disturbed() {
    let fourth_joins = |seen: &mut Cluster| {
        third_is_down(seen);
        let mut fourth = member(4, "n4-00000004");
        fourth.learner = true;
        seen.members.push(fourth);
    };
    let said = refusal(json!({"node": "n3"}), 3, fourth_joins);
    assert!(
        said.contains("n4-00000004 is joining just now: wait until it votes, or remove it first (force=true"),
        "{said}"
    );
    assert_eq!(
        planned(json!({"node": "n3", "force": true}), 3, fourth_joins).len(),
        2
    );
    let said = refusal(json!({"node": "n4"}), 3, |seen| {
        fourth_joins(seen);
        seen.members.remove(2);
    });
    assert!(
        said.contains("it is a healthy learner that joins just now (force=true"),
        "{said}"
    );
}

#[test]
fn reports_every_refusal_at_once() {
    let said = refusal(json!({"node": "n1"}), 3, |seen| {
        third_is_down(seen);
        seen.members[1].learner = true;
    });
    for reason in [
        "their quorum is 1: it would be lost",
        "it is the member that was asked",
        "it is a healthy voter (force",
        "n2-00000002 is joining just now",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn a_server_without_etcd_has_no_member_to_remove() {
    let mut seen = state(cluster(1), nodes(0));
    seen.seen.etcd = Etcd::None;
    let plan = plan_for(json!({"node": "n3"}), &seen).unwrap();
    assert_eq!((plan.steps.len(), plan.warnings.len()), (0, 1));
    seen.seen.nodes = nodes(2);
    let said = plan_for(json!({"node": "n3"}), &seen).unwrap_err().to_string();
    assert!(said.contains("ask through one of n1, n2"), "{said}");
}

#[test]
fn a_member_that_says_nothing_removes_nobody() {
    let mut seen = state(cluster(1), nodes(1));
    seen.seen.etcd = Etcd::Silent {
        name: "n1-00000001".to_owned(),
        why: "https://127.0.0.1:2379: Connection refused".to_owned(),
        listening: false,
    };
    let said = plan_for(json!({"node": "n3"}), &seen).unwrap_err().to_string();
    assert!(
        said.starts_with("container 101 on pve1: removing a member: etcd does not answer here"),
        "{said}"
    );
}

#[test]
fn a_gate_that_stays_shut_says_how_long_it_was_waited_for() {
    let mut seen = cluster(3);
    third_is_down(&mut seen);
    let state = state(seen, nodes(3));
    let params = |wait: u64| serde_json::from_value(json!({"require": "healthy", "wait": wait})).unwrap();
    let said = |wait| plan(&params(wait), &state).unwrap_err().to_string();
    assert!(said(60).ends_with("(waited 60 s for it)"), "{}", said(60));
    assert!(said(0).ends_with("the quorum is 2"), "{}", said(0));
}
