use super::*;
use crate::params::{Params, Wanted};
use crate::text;
use serde_json::{Value, json};

const BACKUP: &str = "k3s-n1-20260101T000000Z";

fn archive() -> Value {
    json!({
        "name": BACKUP, "taken_at": "2026-01-01T00:00:00Z", "node": "n1", "k3s_version": "v1.31.4+k3s1",
        "datastore": "etcd", "bytes": 1 << 20, "unpacked": 10 << 20, "objects": {"configmap": 12}, "nodes": ["n1", "n2", "n3"],
        "identity": {"tls/server-ca.crt": "ab"}, "age": 7260,
    })
}

/// The first server of three, before anything has begun.
fn first() -> Value {
    json!({
        "node": "n1", "version": "v1.31.4+k3s1", "datastore": "etcd", "joins": null, "external": null, "cluster_init": true,
        "config_fault": null, "token": "same", "token_place": "the variable K3S_TOKEN", "identity": "same", "free": 1_u64 << 30,
        "enabled": true, "active": true, "ready": true, "record": null, "done": null,
    })
}

fn peer(name: &str) -> Value {
    let mut peer = first();
    set(
        &mut peer,
        &[
            ("node", json!(name)),
            ("joins", json!("the argument --server")),
            ("cluster_init", json!(false)),
        ],
    );
    set(
        &mut peer,
        &[("token", json!("unknown")), ("identity", json!("unknown"))],
    );
    peer
}

fn set(object: &mut Value, fields: &[(&str, Value)]) {
    for (key, value) in fields {
        object[*key] = value.clone();
    }
}

fn node(name: &str, server: bool) -> Value {
    json!({"name": name, "server": server, "ready": true})
}

/// What is planned for three servers after `change` has changed what was seen of them.
fn planned(more: Value, change: impl FnOnce(&mut [Value])) -> (Vec<String>, Option<String>, Vec<String>) {
    let host = |name: &str, pve: &str, answer: Value| json!({"host": name, "node_name": name, "pve_host": pve, "answer": answer});
    let nodes = json!([
        node("n1", true),
        node("n2", true),
        node("n3", true),
        node("w1", false)
    ]);
    let mut hosts = [
        host(
            "n1",
            "pve1",
            json!({"server": first(), "archive": archive(), "objects": {"configmap": 130}, "nodes": nodes}),
        ),
        host("n2", "pve2", json!({"server": peer("n2")})),
        host("n3", "pve1", json!({"server": peer("n3"), "archive": archive()})),
    ];
    change(&mut hosts);
    let mut all = json!({"state": "planned", "backup": BACKUP, "confirm": BACKUP, "servers": hosts});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let params: Params = serde_json::from_value(all).unwrap();
    let Wanted::Planned(planning) = params.wanted else {
        panic!()
    };
    let verdict = judge(&planning);
    let order = verdict.first.into_iter().chain(verdict.peers.iter().copied());
    let order = order.map(|host| host.host.clone()).collect();
    (
        text::plan(&planning, &verdict),
        text::refused(&verdict).or_else(|| text::unconfirmed(&planning, &verdict)),
        order,
    )
}

fn refusal(more: Value, change: impl FnOnce(&mut [Value])) -> String {
    planned(more, change).1.unwrap_or_default()
}

fn seen(host: &mut Value) -> &mut Value {
    &mut host["answer"]["server"]
}

#[test]
fn what_is_lost_is_said_before_what_is_done() {
    let (text, refused, order) = planned(json!({}), |_| ());
    assert_eq!(refused, None);
    assert_eq!(order, ["n1", "n2", "n3"]);
    assert_eq!(
        text,
        [
            format!("Restore of the backup {BACKUP}").as_str(),
            "It was taken at 2026-01-01T00:00:00Z on n1 (etcd, k3s v1.31.4+k3s1).",
            "Every change in the cluster since then is lost: 2 h 1 min.",
            "Objects then and now: 12 and 130. configmap 12 and 130",
            "n1 gets the backup; its old datastore is kept beside it.",
            "n2, n3 are stopped too, have their databases set aside, and join it again one at a time.",
            "The API is down until n1 is up again. Pods keep running.",
        ]
    );
}

#[test]
fn nothing_is_done_before_somebody_has_named_the_backup_twice() {
    for confirm in ["", "yes", "k3s-n1-20260102T000000Z"] {
        let refusal = refusal(json!({"confirm": confirm}), |_| ());
        assert!(refusal.starts_with("Nothing was touched."), "{refusal}");
        assert!(
            refusal.contains(&format!("-e k3s_restore_confirm={BACKUP}")),
            "{refusal}"
        );
    }
}

#[test]
fn restores_to_the_server_that_joins_none_by_default() {
    let order = planned(json!({}), |hosts| hosts.swap(0, 2)).2;
    assert_eq!(order[0], "n1");
    // All of them join an address that belongs to none.
    let all_join = |hosts: &mut [Value]| {
        set(
            seen(&mut hosts[0]),
            &[("joins", json!("/etc/rancher/k3s/config.yaml"))],
        );
    };
    assert_eq!(planned(json!({}), all_join).2, ["n1", "n2", "n3"]);
    assert_eq!(planned(json!({"target": "n3"}), all_join).2, ["n3", "n1", "n2"]);
    let two = |hosts: &mut [Value]| set(seen(&mut hosts[1]), &[("joins", json!(null))]);
    assert!(
        refusal(json!({}), two).contains("n1 and n2 are each configured to begin a cluster of their own")
    );
    let other = refusal(json!({"target": "n3"}), |_| ());
    assert!(
        other.contains("n1: its configuration names no server to join"),
        "{other}"
    );
}

#[test]
fn a_server_that_cannot_be_seen_stops_all() {
    let refusal = refusal(json!({}), |hosts| {
        hosts[1]["answer"] = json!({"msg": "container 102 is stopped"});
    });
    assert_eq!(
        refusal,
        "The restore is refused; nothing was touched.\nn2: container 102 is stopped"
    );
}

#[test]
fn the_backup_has_to_be_beside_the_server_that_gets_it() {
    let elsewhere = |hosts: &mut [Value]| {
        hosts[0]["answer"]["archive"] = json!(null);
        hosts[2]["pve_host"] = json!("pve3");
    };
    let refusal_of = refusal(json!({}), elsewhere);
    assert!(
        refusal_of.contains("of its Proxmox host pve1; it is on pve3: copy it there"),
        "{refusal_of}"
    );
    let nowhere = |hosts: &mut [Value]| {
        hosts[0]["answer"]["archive"] = json!(null);
        hosts[2]["answer"]["archive"] = json!(null);
    };
    assert!(refusal(json!({}), nowhere).contains("it is on none of the servers' Proxmox hosts either"));
    let renamed = |hosts: &mut [Value]| hosts[0]["answer"]["archive"]["name"] = json!("other");
    assert!(refusal(json!({}), renamed).contains("that file holds the backup other"));
}

/// What was seen of which server, and what is said.
type Case<'a> = (usize, &'a [(&'a str, Value)], &'a str);

fn assert_refused(cases: &[Case]) {
    for (at, fields, reason) in cases {
        let refusal = refusal(json!({}), |hosts| set(seen(&mut hosts[*at]), fields));
        assert!(refusal.contains(reason), "{reason}: {refusal}");
        assert!(
            refusal.starts_with("The restore is refused; nothing was touched."),
            "{refusal}"
        );
    }
}

#[test]
fn what_does_not_fit_the_backup_is_refused_by_server() {
    let version = |version: &str| [("version", json!(version))];
    let done = [("done", json!({"backup": BACKUP, "at": "2026-01-02T00:00:00Z"}))];
    let (older, none) = (version("v1.31.3+k3s1"), [("version", json!(null))]);
    let other = [("token", json!("other"))];
    assert_refused(&[
        (
            0,
            &older,
            "n1: k3s v1.31.3+k3s1 is installed, and cannot read what v1.31.4+k3s1",
        ),
        (1, &older, "n2: k3s v1.31.3+k3s1 is installed"),
        (0, &none, "n1: no k3s that reports its version"),
        (
            0,
            &other,
            "n1: its token, set by the variable K3S_TOKEN, is not the one",
        ),
        (2, &other, "n3: its token is not the one"),
        (
            0,
            &done,
            "n1: this backup was restored already, at 2026-01-02T00:00:00Z",
        ),
    ]);
}

#[test]
fn what_would_not_work_is_refused_by_server() {
    let unfinished = json!({"backup": "other", "stamp": "s", "first": false, "stage": "stopped", "enabled": true, "active": true});
    assert_refused(&[
        (
            0,
            &[("free", json!(80 << 20))],
            "n1: 80 MiB are free in the container, where 85 MiB are needed",
        ),
        (
            1,
            &[("free", json!(1 << 20))],
            "n2: 1 MiB are free in the container, where 64 MiB are needed",
        ),
        (1, &[("joins", json!(null))], "each configured to begin a cluster"),
        (
            1,
            &[("external", json!("the variable K3S_DATASTORE_ENDPOINT"))],
            "n2: its datastore is external",
        ),
        (
            2,
            &[("config_fault", json!("/etc/rancher/k3s/config.yaml"))],
            "n3: /etc/rancher/k3s/config.yaml is not a YAML",
        ),
        (
            1,
            &[("node", json!("n9"))],
            "n2: it registers as n9, where node_name in the inventory is n2",
        ),
        (
            2,
            &[("record", unfinished)],
            "n3: the restore of other is unfinished there",
        ),
    ]);
}

#[test]
fn what_was_restored_is_restored_again_when_asked() {
    let done = json!({"backup": BACKUP, "at": "2026-01-02T00:00:00Z"});
    let change = |hosts: &mut [Value]| set(seen(&mut hosts[0]), &[("done", done.clone())]);
    assert_eq!(planned(json!({"again": true}), change).1, None);
    let other = json!({"backup": "other", "at": "2026-01-02T00:00:00Z"});
    assert_eq!(
        planned(json!({}), |hosts| set(seen(&mut hosts[0]), &[("done", other)])).1,
        None
    );
}

#[test]
fn a_later_k3s_may_restore_what_an_earlier_has_written() {
    for version in ["v1.31.5+k3s1", "v1.32.0+k3s1", "v1.31.4+k3s2"] {
        let change = |hosts: &mut [Value]| {
            for host in hosts {
                set(seen(host), &[("version", json!(version))]);
            }
        };
        assert_eq!(planned(json!({}), change).1, None, "{version}");
    }
}

#[test]
fn a_token_of_its_own_is_replaced_by_the_backups() {
    let change = |hosts: &mut [Value]| {
        set(
            seen(&mut hosts[0]),
            &[("token", json!("other")), ("token_place", json!(null))],
        );
    };
    assert_eq!(planned(json!({}), change).1, None);
}

#[test]
fn restores_sqlite_only_to_one_server_without_cluster_init() {
    let sqlite = |hosts: &mut [Value]| hosts[0]["answer"]["archive"]["datastore"] = json!("sqlite");
    let refusal = refusal(json!({}), sqlite);
    assert!(
        refusal.contains("serves one controller only")
            && refusal.contains("configured to run etcd (cluster-init)"),
        "{refusal}"
    );
}

#[test]
fn a_server_that_nobody_stops_is_not_left_beside_the_restored_cluster() {
    let refusal = refusal(json!({}), |hosts| {
        hosts[0]["answer"]["nodes"]
            .as_array_mut()
            .unwrap()
            .push(node("n4", true));
    });
    assert!(
        refusal.contains("n4 is a server of the cluster, and not in the inventory"),
        "{refusal}"
    );
}

#[test]
fn where_nobody_answers_that_is_said() {
    let text = planned(json!({}), |hosts| {
        hosts[0]["answer"]["nodes"] = json!([]);
        hosts[0]["answer"]["objects"] = json!({});
        set(seen(&mut hosts[0]), &[("identity", json!("none"))]);
    });
    assert_eq!(text.1, None);
    let text = text.0.join("\n");
    for part in ["No API is ready", "agents have to be restarted"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("Objects then"), "{text}");
}

#[test]
fn nodes_that_come_back_as_objects_are_named() {
    let text = planned(json!({}), |hosts| {
        hosts[0]["answer"]["nodes"] = json!([node("n1", true), node("n2", true)]);
    });
    assert!(
        text.0.last().unwrap().ends_with("come back as objects: n3."),
        "{:?}",
        text.0
    );
}

#[test]
fn resumes_a_restore_whatever_the_servers_look_like_now() {
    let record = |first: bool, stage: &str| json!({"backup": BACKUP, "stamp": "20260102T000000Z", "first": first, "stage": stage, "enabled": true, "active": true});
    let change = |stage: &'static str| {
        move |hosts: &mut [Value]| {
            // Chosen by an operator then; what was checked before is not so any more.
            set(
                seen(&mut hosts[2]),
                &[
                    ("record", record(true, stage)),
                    ("free", json!(0)),
                    ("identity", json!("none")),
                ],
            );
            set(
                seen(&mut hosts[0]),
                &[("record", record(false, "stopped")), ("ready", json!(false))],
            );
            hosts[0]["answer"]["nodes"] = json!([]);
        }
    };
    let (text, refused, order) = planned(json!({}), change("replacing"));
    assert_eq!((refused, order[0].as_str()), (None, "n3"));
    assert!(
        text.join("\n")
            .contains("begun at 20260102T000000Z, is continued"),
        "{text:?}"
    );

    let gone = |stage| {
        move |hosts: &mut [Value]| {
            change(stage)(hosts);
            hosts[2]["answer"]["archive"] = json!(null);
        }
    };
    assert!(refusal(json!({}), gone("replacing")).contains("n3: there is no backup"));
    assert_eq!(
        planned(json!({}), gone("replaced")).1,
        None,
        "the backup is not needed any more"
    );
    assert!(refusal(json!({"confirm": ""}), change("stopped")).starts_with("Nothing was touched"));
}
