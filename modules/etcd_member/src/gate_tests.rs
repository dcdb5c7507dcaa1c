use super::*;
use crate::samples::{cluster, lose_quorum, node, nodes, state, stop};
use crate::state::{Alarm, Seen};
use serde_json::{Value, json};

fn verdict_of(options: Value, state: &State) -> Verdict {
    judge(&serde_json::from_value(options).unwrap(), state)
}

fn after(options: Value, size: u64, change: impl FnOnce(&mut Cluster)) -> Verdict {
    let mut seen = cluster(size);
    change(&mut seen);
    verdict_of(options, &state(seen, nodes(size)))
}

fn can_lose(node: &str, size: u64, change: impl FnOnce(&mut Cluster)) -> Verdict {
    after(json!({"can_lose": node}), size, change)
}

fn passes(verdict: Verdict) -> Vec<String> {
    verdict.unwrap_or_else(|why| panic!("refused: {why}"))
}

fn refused(verdict: Verdict, why: &str) {
    let said = verdict.expect_err("it passed");
    assert!(said.contains(why), "{said}");
}

fn make_learner(cluster: &mut Cluster, number: usize) {
    cluster.members[number].learner = true;
}

fn raise(cluster: &mut Cluster, member: u64) {
    let kind = "NOSPACE".to_owned();
    cluster.alarms.push(Alarm { member, kind });
}

#[test]
fn passes_every_gate_with_a_healthy_cluster() {
    for options in [
        json!({}),
        json!({"require": "healthy"}),
        json!({"require": "all_voters"}),
        json!({"require": "as_expected", "expected": ["n1", "n2", "n3"]}),
        json!({"can_lose": "n2"}),
        json!({"can_lose": "N2", "require": "all_voters"}),
    ] {
        assert_eq!(passes(after(options, 3, |_| ())), [""; 0]);
    }
}

#[test]
fn passes_any_cluster_when_nothing_is_required() {
    let worst = |seen: &mut Cluster| {
        stop(&mut seen.members[2]);
        lose_quorum(seen);
        make_learner(seen, 1);
    };
    assert_eq!(passes(after(json!({}), 3, worst)), [""; 0]);
}

#[test]
fn healthy_means_a_quorum_a_leader_no_alarm_and_every_voter() {
    let options = || json!({"require": "healthy"});
    refused(
        after(options(), 3, |seen| stop(&mut seen.members[2])),
        "etcd is not as required: n3-00000003 is not healthy: asking for its status at https://10.0.0.3:2379: Connection refused. 2 of 3 voters are healthy, and the quorum is 2",
    );
    refused(
        after(options(), 3, lose_quorum),
        "a quorum does not answer: waiting for etcd",
    );
    let leaderless = |seen: &mut Cluster| {
        for member in &mut seen.members {
            member.status.as_mut().unwrap().leader = 0;
        }
    };
    refused(after(options(), 3, leaderless), "there is no leader");
    refused(
        after(options(), 3, |seen| raise(seen, 2)),
        "n2-00000002 has raised the alarm NOSPACE",
    );
    refused(
        after(options(), 3, |seen| raise(seen, 99)),
        "63 has raised the alarm",
    );
    refused(
        after(options(), 3, |seen| seen.members[1].name.clear()),
        "2 (never started, https://10.0.0.2:2380) is not healthy: it has never started",
    );
    passes(after(options(), 3, |seen| make_learner(seen, 2)));
}

#[test]
fn all_voters_means_no_learner_and_a_member_for_each_that_is_expected() {
    let options = |expected: &[&str]| json!({"require": "all_voters", "expected": expected});
    refused(
        after(options(&[]), 3, |seen| make_learner(seen, 2)),
        "n3-00000003 is a learner, not a voter yet",
    );
    refused(
        after(options(&["n1", "N4"]), 3, |_| ()),
        "n4 is expected and has no member",
    );
    passes(after(options(&["n1"]), 3, |_| ()));
}

#[test]
fn as_expected_means_that_members_nodes_and_inventory_are_the_same() {
    let options = |expected: &[&str]| json!({"require": "as_expected", "expected": expected});
    refused(
        after(options(&["n1", "n2"]), 3, |_| ()),
        "n3-00000003 is a member that is not expected",
    );
    let with_nodes = |nodes: Nodes| verdict_of(options(&["n1", "n2", "n3"]), &state(cluster(3), nodes));
    refused(with_nodes(nodes(2)), "n3-00000003 has no Node");
    refused(with_nodes(nodes(4)), "n4 is a Node without a member");
    refused(
        with_nodes(Nodes::Unknown("connection refused".to_owned())),
        "the Nodes could not be read: connection refused",
    );
}

#[test]
fn a_voter_can_be_lost_while_every_other_one_is_healthy() {
    passes(can_lose("n2", 3, |seen| stop(&mut seen.members[1])));
    refused(
        can_lose("n2", 3, |seen| stop(&mut seen.members[2])),
        "k3s on n2 must not be stopped now: n3-00000003 is not healthy",
    );
    // Five voters would bear it, but one that is down already is a reason to stop.
    refused(
        can_lose("n2", 5, |seen| stop(&mut seen.members[4])),
        "4 of 5 voters are healthy, and the quorum is 3; fix that first",
    );
    let wedged =
        |seen: &mut Cluster| seen.members[2].fault = Some("reading through it: no answer".to_owned());
    refused(
        can_lose("n2", 3, wedged),
        "n3-00000003 is not healthy: reading through it",
    );
}

#[test]
fn nobody_is_stopped_while_one_joins_or_an_alarm_is_up() {
    refused(
        can_lose("n2", 3, |seen| make_learner(seen, 2)),
        "n3-00000003 is a learner, not a voter yet",
    );
    refused(can_lose("n3", 3, |seen| make_learner(seen, 2)), "is a learner");
    refused(
        can_lose("n2", 3, |seen| raise(seen, 1)),
        "n1-00000001 has raised the alarm",
    );
    refused(
        can_lose("n2", 3, |seen| raise(seen, 2)),
        "n2-00000002 has raised the alarm",
    );
    refused(can_lose("n2", 3, lose_quorum), "a quorum does not answer");
}

#[test]
fn of_two_voters_one_is_stopped_only_with_a_word() {
    assert_eq!(
        passes(can_lose("n2", 2, |_| ())),
        ["two voters tolerate no failure: the API is out while k3s on n2 is stopped"]
    );
    assert_eq!(
        passes(can_lose("n1", 1, |_| ())),
        ["one voter tolerates no failure: the API is out while k3s on n1 is stopped"]
    );
    refused(
        can_lose("n2", 2, |seen| stop(&mut seen.members[0])),
        "n1-00000001 is not healthy",
    );
    refused(
        can_lose("n2", 2, |seen| stop(&mut seen.members[1])),
        "n2-00000002 is not healthy",
    );
}

#[test]
fn of_two_voters_the_one_that_is_down_already_may_be_brought_back() {
    let half = |seen: &mut Cluster| {
        stop(&mut seen.members[1]);
        lose_quorum(seen);
    };
    let said = passes(can_lose("n2", 2, half));
    assert!(said[0].contains("only its return restores it"), "{said:?}");
    refused(can_lose("n1", 2, half), "k3s on n1 must not be stopped now");
}

#[test]
fn a_node_whose_member_is_not_known_may_be_any_of_them() {
    assert_eq!(
        passes(can_lose("n9", 3, |_| ())),
        ["no voter of etcd is known to be of node n9"]
    );
    refused(
        can_lose("n9", 3, |seen| stop(&mut seen.members[1])),
        "n2-00000002 is not healthy",
    );
}

#[test]
fn a_former_member_of_the_same_node_counts_against_it() {
    let rebuilt = |seen: &mut Cluster| {
        let mut former = crate::samples::member(9, "n3-99999999");
        former.peer_urls = vec!["https://10.0.0.9:2380".to_owned()];
        stop(&mut former);
        seen.members.push(former);
    };
    // Four voters need three, and without both of n3's there are two.
    refused(
        can_lose("n3", 3, rebuilt),
        "k3s on n3 must not be stopped now: 2 voters would remain, and the quorum is 3. 3 of 4 voters are healthy",
    );
    refused(can_lose("n2", 3, rebuilt), "n3-99999999 is not healthy");
}

#[test]
fn an_answer_without_a_voter_is_survived() {
    passes(can_lose("n1", 0, |seen| {
        seen.members.push(crate::samples::member(1, "n1-00000001"));
    }));
    refused(can_lose("n1", 0, |_| ()), "there is no leader");
}

fn without_member(datastore: Datastore, nodes: Nodes) -> State {
    State {
        location: "container 101 on pve1".to_owned(),
        seen: Seen {
            datastore,
            etcd: Etcd::None,
            nodes,
        },
    }
}

fn gates() -> [Value; 3] {
    [
        json!({"require": "healthy"}),
        json!({"require": "all_voters"}),
        json!({"can_lose": "n1"}),
    ]
}

#[test]
fn a_server_without_embedded_etcd_passes() {
    let alone = Nodes::Known(vec![Node {
        etcd: false,
        member: String::new(),
        ..node(1)
    }]);
    for datastore in [Datastore::Sqlite, Datastore::External] {
        for gate in gates() {
            let verdict = verdict_of(gate, &without_member(datastore, alone.clone()));
            assert_eq!(passes(verdict), [""; 0]);
        }
    }
    let exact = json!({"require": "as_expected", "expected": ["n1"]});
    refused(
        verdict_of(exact.clone(), &without_member(Datastore::Sqlite, alone.clone())),
        "this server keeps its data in SQLite",
    );
    refused(
        verdict_of(exact, &without_member(Datastore::External, alone)),
        "this server keeps its data in an external datastore",
    );
}

#[test]
fn refuses_to_ask_a_server_without_a_member() {
    let state = without_member(Datastore::External, nodes(2));
    for gate in gates() {
        refused(
            verdict_of(gate, &state),
            "this server has no member of etcd, but the cluster has: ask through one of n1, n2",
        );
    }
    passes(verdict_of(json!({}), &state));
}

#[test]
fn what_such_a_server_cannot_know_is_said() {
    let unknown = || Nodes::Unknown("connection refused".to_owned());
    let external = without_member(Datastore::External, unknown());
    let said = passes(verdict_of(json!({"can_lose": "n1"}), &external));
    assert!(said[0].contains("is not known: connection refused"), "{said:?}");
    let sqlite = without_member(Datastore::Sqlite, unknown());
    assert_eq!(passes(verdict_of(json!({"can_lose": "n1"}), &sqlite)), [""; 0]);
}

fn silent(listening: bool) -> State {
    let mut state = without_member(Datastore::Etcd, nodes(3));
    state.seen.etcd = Etcd::Silent {
        name: "n1-00000001".to_owned(),
        why: "https://127.0.0.1:2379: Connection refused".to_owned(),
        listening,
    };
    state
}

#[test]
fn a_member_that_says_nothing_fails_all_but_its_own_stop() {
    for options in [
        json!({}),
        json!({"require": "healthy"}),
        json!({"can_lose": "n2"}),
    ] {
        refused(
            verdict_of(options, &silent(false)),
            "etcd does not answer here: https://127.0.0.1:2379: Connection refused; `systemctl status k3s`",
        );
    }
    let said = passes(verdict_of(json!({"can_lose": "N1"}), &silent(false)));
    assert!(said[0].contains("n1-00000001, does not run"), "{said:?}");
    refused(
        verdict_of(json!({"can_lose": "n1"}), &silent(true)),
        "etcd does not answer here",
    );
    refused(
        verdict_of(json!({"can_lose": "n1", "require": "healthy"}), &silent(false)),
        "etcd does not answer here",
    );
}

#[test]
fn refuses_to_ask_a_learner() {
    let mut state = silent(true);
    let name = "n1-00000001".to_owned();
    state.seen.etcd = Etcd::Learner { name };
    for options in [
        json!({}),
        json!({"can_lose": "n1"}),
        json!({"require": "all_voters"}),
    ] {
        refused(
            verdict_of(options, &state),
            "n1-00000001, is a learner that is not promoted yet",
        );
    }
}
