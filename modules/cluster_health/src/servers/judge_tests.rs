//! What is found of servers that are not healthy.

use super::*;
use crate::servers::samples::{apis, given, servers, with};
use serde_json::{Value, json};

/// Of three servers, each overlaid with what the function returns for its number.
fn problems(more: impl Fn(usize) -> Value, state: &Apis) -> Vec<String> {
    let servers: Vec<Value> = servers(3)
        .into_iter()
        .enumerate()
        .map(|(at, server)| with(server, more(at + 1)))
        .collect();
    words(&given(json!({"servers": servers})), state)
}

fn words(given: &Given, state: &Apis) -> Vec<String> {
    let word = |problem: Problem| {
        format!("{:?} {}: {}", problem.severity, problem.about, problem.what).to_lowercase()
    };
    judge(given, state).into_iter().map(word).collect()
}

fn everywhere(etcd: Value) -> Vec<String> {
    problems(|_| json!({"etcd": etcd}), &apis(3))
}

/// The members of three servers, the second one laid over.
fn second(more: Value) -> Vec<Value> {
    let members = servers(3)[0]["etcd"]["members"].as_array().unwrap().clone();
    let change = |(at, member)| {
        if at == 1 {
            with(member, more.clone())
        } else {
            member
        }
    };
    members.into_iter().enumerate().map(change).collect()
}

#[test]
fn healthy_servers_have_no_problem() {
    assert_eq!(everywhere(json!({})), [""; 0]);
}

#[test]
fn reports_a_shared_finding_once() {
    let table = [
        (
            json!({"has_quorum": false}),
            "error etcd: no quorum of the voters answers",
        ),
        (json!({"leader": null}), "error etcd: no member leads"),
        (
            json!({"members": second(json!({"trouble": "asking for its status: refused"}))}),
            "error etcd: n2-00000002 is not healthy: asking for its status: refused",
        ),
        (
            json!({"alarms": [{"id": "2", "member": "n2-00000002", "alarm": "NOSPACE"}]}),
            "error etcd: n2-00000002 has raised the alarm nospace",
        ),
        (
            json!({"stale": {"members_without_node": ["n9-00000009"]}}),
            "error etcd: n9-00000009 is a member and has no node",
        ),
        (
            json!({"stale": {"nodes_without_member": ["n4"]}}),
            "error etcd: n4 is a node with the role etcd and has no member",
        ),
        (
            json!({"stale": {"unexpected_members": ["n9-00000009"]}}),
            "error etcd: n9-00000009 is a member and none of the inventory's controllers",
        ),
        (
            json!({"stale": {"expected_without_member": ["n4"]}}),
            "error etcd: n4 is a controller in the inventory and has no member",
        ),
        (
            json!({"stale": {"nodes_behind": ["n3"]}}),
            "warning etcd: the condition etcdisvoter of the node n3 does not say yet what etcd itself answers: etcd is right, and k3s on the server that leads etcd corrects the condition",
        ),
        (
            json!({"members": second(json!({"raft_lag": 1001}))}),
            "warning etcd: n2-00000002 is 1001 entries behind the leader",
        ),
    ];
    for (etcd, expected) in table {
        assert_eq!(everywhere(etcd.clone()), [expected], "{etcd}");
    }
    let learner = everywhere(json!({"members": second(json!({"learner": true}))}));
    assert_eq!(
        learner,
        [
            "error etcd: n2-00000002 is a learner, not a voter yet",
            "warning etcd: 2 voters tolerate no more failures than 1 would: an odd number is better",
        ]
    );
    assert_eq!(
        everywhere(json!({"members": second(json!({"raft_lag": 1000}))})),
        [""; 0]
    );
}

#[test]
fn reports_servers_with_different_views() {
    let third = |etcd: Value| {
        problems(
            move |number| {
                if number == 3 {
                    json!({"etcd": etcd})
                } else {
                    json!({})
                }
            },
            &apis(3),
        )
    };
    assert_eq!(
        third(json!({"leader": "n3-00000003"})),
        ["error the servers: they do not agree who leads: n1-00000001, says c1 and c2; n3-00000003, says c3"]
    );
    assert_eq!(
        third(json!({"members": second(json!({"name": "other"}))})),
        [
            "error the servers: they do not agree who is a member: n1-00000001, n2-00000002, n3-00000003, says c1 and c2; n1-00000001, n3-00000003, other, says c3"
        ]
    );
    assert_eq!(
        third(json!({"has_quorum": false})),
        ["error etcd: no quorum of the voters answers (as c3 sees it)"]
    );
    assert_eq!(
        third(json!({"nodes_unknown": "refused"})),
        ["error c3: the nodes could not be read there: refused"]
    );
    let silent =
        json!({"members": [], "msg": "container 103 on pve1: etcd does not answer here", "leader": null});
    assert_eq!(
        third(silent),
        ["error c3: container 103 on pve1: etcd does not answer here"]
    );
}

#[test]
fn reports_a_server_without_embedded_etcd_with_its_remedy() {
    let one = |datastore: &str| {
        let etcd = json!({"changed": false, "datastore": datastore});
        let server = json!({"host": "c1", "node_name": "n1", "etcd": etcd, "ready": {"rc": 0}});
        words(&given(json!({"servers": [server]})), &apis(1))
    };
    let sqlite = one("sqlite");
    assert!(
        sqlite.len() == 1 && sqlite[0].contains("sqlite") && sqlite[0].contains("playbook-bootstrap-k3s-ha"),
        "{sqlite:?}"
    );
    assert!(one("external")[0].contains("an external datastore"));
    let not_asked = json!({"host": "c1", "node_name": "n1", "ready": {"rc": 0}});
    let not_asked = words(&given(json!({"servers": [not_asked]})), &apis(1));
    assert_eq!(not_asked, ["error c1: it was not asked for its members of etcd"]);
}

#[test]
fn few_and_even_voters_are_a_warning() {
    let of = |count: usize| words(&given(json!({"servers": servers(count)})), &apis(count));
    assert_eq!(
        of(1),
        ["warning etcd: one voter tolerates no failure: two more servers can join"]
    );
    assert_eq!(
        of(4),
        ["warning etcd: 4 voters tolerate no more failures than 3 would: an odd number is better"]
    );
    assert_eq!(of(5), [""; 0]);
}

#[test]
fn a_database_that_fills_up_is_a_warning() {
    let table = [(79, 0), (80, 1), (100, 1)];
    for (size, warnings) in table {
        let mut state = apis(3);
        state.servers.get_mut("c2").unwrap().quota = Some(100);
        let found = problems(
            |_| json!({"etcd": {"members": second(json!({"db_size": size}))}}),
            &state,
        );
        assert_eq!(found.len(), warnings, "{found:?}");
        assert!(
            found
                .iter()
                .all(|found| found.contains("n2-00000002") && found.contains("quota-backend-bytes"))
        );
    }
}

#[test]
fn each_api_has_to_be_ready_inside_and_at_its_address() {
    let second = |ready: Value| {
        problems(
            move |number| {
                if number == 2 {
                    json!({"ready": ready})
                } else {
                    json!({})
                }
            },
            &apis(3),
        )
    };
    let checks = "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[-]etcd failed: reason withheld\\n\")";
    let table = [
        (json!({"rc": 1, "stderr": checks}), "failing: etcd"),
        (
            json!({"rc": 1, "stderr": "", "msg": "it ended with status 1"}),
            "it ended with status 1",
        ),
        (
            json!({"rc": null, "stderr": null, "msg": "container 102 is stopped"}),
            "container 102 is stopped",
        ),
        (json!({"rc": null, "stderr": null}), "it was not asked"),
        (json!({"rc": 1, "stderr": "refused\nreally"}), "refused really"),
    ];
    for (ready, why) in table {
        assert_eq!(
            second(ready.clone()),
            [format!("error c2: its api is not ready: {why}")],
            "{ready}"
        );
    }
    let mut state = apis(3);
    state.servers.get_mut("c2").unwrap().not_ready =
        Some("x509: certificate is not valid for 10.0.0.2".to_owned());
    assert_eq!(
        problems(|_| json!({}), &state),
        [
            "error c2: its api does not answer at 10.0.0.2:6443, asked from container 101 on pve1: x509: certificate is not valid for 10.0.0.2"
        ]
    );
    state.servers.remove("c2");
    assert_eq!(
        problems(|_| json!({}), &state),
        ["error c2: the cluster has no node n2 with an address"]
    );
    let unknown = Apis {
        asked_from: "container 101 on pve1".to_owned(),
        nodes_unknown: Some("refused".to_owned()),
        ..Apis::default()
    };
    assert_eq!(
        problems(|_| json!({}), &unknown),
        ["error the servers: the nodes could not be read, so no api was asked at its own address: refused"]
    );
}

#[test]
fn one_version_is_enough() {
    let mut state = apis(3);
    state.servers.get_mut("c3").unwrap().version = Some("v1.31.5+k3s1".to_owned());
    let found = problems(|_| json!({}), &state);
    assert_eq!(
        found,
        [
            "error the servers: they run different versions: v1.31.4+k3s1 on c1, c2; v1.31.5+k3s1 on c3; playbook-upgrade-k3s.yaml finishes what it began"
        ]
    );
}

#[test]
fn settings_that_all_servers_must_share_are_compared() {
    let mut state = apis(3);
    for (host, disabled) in [("c1", ""), ("c2", "traefik"), ("c3", "traefik")] {
        let disabled = disabled.split_terminator(',').map(str::to_owned).collect();
        let settings = [
            ("cluster-domain".to_owned(), vec!["lan".to_owned()]),
            ("disable".to_owned(), disabled),
        ];
        state.servers.get_mut(host).unwrap().settings = Some(settings.into());
    }
    let found = problems(|_| json!({}), &state);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("error the servers: they must have the same --disable, and have nothing on c1; traefik on c2, c3: "), "{found:?}");
    // One that does not report is not compared.
    state.servers.get_mut("c1").unwrap().settings = None;
    assert_eq!(problems(|_| json!({}), &state), [""; 0]);
}

#[test]
fn a_snapshot_that_was_not_taken_is_an_error() {
    let of = |snapshot: Value| {
        words(
            &given(json!({"servers": servers(3), "snapshot": snapshot})),
            &apis(3),
        )
    };
    assert_eq!(
        of(json!({"from": "c1", "msg": "saving a snapshot: the disk is full"})),
        ["error c1: no snapshot was taken: saving a snapshot: the disk is full"]
    );
    // As in check mode.
    assert_eq!(of(json!({"from": "c1", "path": null, "changed": true})), [""; 0]);
}
