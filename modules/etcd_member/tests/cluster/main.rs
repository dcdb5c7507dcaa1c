//! The binary against real etcd, with certificates laid out as k3s lays them out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

mod lab;

use etcd_api::proto::AlarmType;
use lab::{Lab, NAMES, member, message};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn reports_a_healthy_cluster_that_passes_every_gate() {
    let mut lab = Lab::new(3);
    let answer = lab.ask(json!({
        "require": "as_expected", "expected": ["n1", "n2", "n3"], "can_lose": "n2", "wait": 30,
    }));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(false)),
        "{answer}"
    );
    assert_eq!(answer["datastore"], "etcd");
    let counts = [
        "voters",
        "healthy_voters",
        "learners",
        "quorum",
        "failures_tolerated",
    ];
    assert_eq!(
        counts.map(|count| answer[count].as_u64().unwrap()),
        [3, 3, 0, 2, 1]
    );
    assert_eq!(answer["has_quorum"], true);
    assert_eq!(
        answer["stale"],
        json!({
            "members_without_node": [], "nodes_without_member": [],
            "unexpected_members": [], "expected_without_member": [], "nodes_behind": [],
        })
    );
    for (number, name) in NAMES.iter().enumerate() {
        let seen = member(&answer, name);
        let endpoint = lab.cluster().endpoint(number).to_owned();
        assert_eq!(seen["client_urls"], json!([endpoint]));
        assert_eq!(seen["peer_urls"], json!([lab.cluster().peer_url(number)]));
        assert_eq!(seen["node"], name[..2]);
        assert_eq!(seen["leader"], answer["leader"] == *name);
        assert!(seen["version"].as_str().unwrap().starts_with("3."), "{seen}");
        assert!(
            seen["db_size"].as_u64() >= seen["db_size_in_use"].as_u64(),
            "{seen}"
        );
        assert!(seen["raft_lag"].as_u64().unwrap() < 100, "{seen}");
        let id = u64::from_str_radix(seen["id"].as_str().unwrap(), 16).unwrap();
        assert_eq!(seen["id_decimal"], id.to_string());
    }
    assert_eq!(answer["oldest_version"], member(&answer, NAMES[0])["version"]);
}

#[test]
fn it_works_the_same_carried_into_a_container() {
    let mut lab = Lab::new(1);
    let answer = lab.ask(json!({"vmid": 101}));
    assert_eq!(answer["failed"], false, "{answer}");
    assert_eq!(answer["leader"], NAMES[0]);
    assert!(!lab.programs.calls().contains("client.key"));
    let left = std::fs::read_dir("/var/lib").unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".homelab-k3s-carried")
    });
    assert_eq!(left.count(), 0, "what was carried is left behind");
}

#[test]
fn reports_a_dead_member_quickly_and_allows_its_removal() {
    let mut lab = Lab::new(3);
    lab.cluster().kill(2);
    let answer = lab.ask_until(0, |answer| {
        answer["leader"].is_string() && answer["has_quorum"] == true
    });
    let dead = member(&answer, NAMES[2]);
    assert_eq!(dead["healthy"], false);
    assert!(
        dead["trouble"].as_str().unwrap().contains("Connection refused"),
        "{dead}"
    );
    assert_eq!(
        (&answer["healthy_voters"], &answer["failures_tolerated"]),
        (&json!(2), &json!(0))
    );

    let answer = lab.ask(json!({"can_lose": "n2"}));
    assert!(
        message(&answer).contains("n3-0000000c is not healthy"),
        "{answer}"
    );
    let answer = lab.ask(json!({"can_lose": "n3", "wait": 30}));
    assert_eq!(answer["failed"], false, "{answer}");
    // Its own vote in the quorum is all that n2 has.
    let answer = lab.ask(json!({"state": "absent", "node": "n2", "force": true}));
    assert!(
        message(&answer).contains("their quorum is 2: it would be lost"),
        "{answer}"
    );

    let absent = json!({"state": "absent", "node": "n3"});
    let mut check = absent.clone();
    check["_ansible_check_mode"] = true.into();
    let planned = lab.ask(check);
    assert_eq!(
        (&planned["changed"], &planned["removed"]),
        (&json!(true), &Value::Null),
        "{planned}"
    );
    let answer = lab.ask(absent.clone());
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true)),
        "{answer}"
    );
    assert_eq!(answer["actions"], planned["actions"]);
    assert_eq!(answer["removed"]["name"], NAMES[2]);
    assert_eq!((&answer["voters"], &answer["quorum"]), (&json!(2), &json!(2)));
    assert_eq!(answer["stale"]["nodes_without_member"], json!(["n3"]));
    let again = lab.ask(absent);
    assert_eq!(
        (&again["failed"], &again["changed"]),
        (&json!(false), &json!(false)),
        "{again}"
    );
}

#[test]
fn a_frozen_member_costs_a_few_seconds() {
    let mut lab = Lab::new(3);
    // Not the leader: an election would be another matter.
    let frozen = if lab.leader() == 2 { 1 } else { 2 };
    lab.cluster().freeze(frozen);
    let started = Instant::now();
    let answer = lab.ask(json!({}));
    let took = started.elapsed();
    lab.cluster().thaw(frozen);
    assert_eq!(member(&answer, NAMES[frozen])["healthy"], false, "{answer}");
    assert!(
        answer["members"][0]["healthy"] == true && answer["has_quorum"] == true,
        "{answer}"
    );
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn reads_the_survivor_without_a_quorum() {
    let mut lab = Lab::new(3);
    lab.cluster().kill(1);
    lab.cluster().kill(2);
    let answer = lab.ask_until(0, |answer| {
        answer["has_quorum"] == false && answer["leader"] == Value::Null
    });
    assert_eq!(answer["members"].as_array().unwrap().len(), 3);
    assert_eq!(answer["healthy_voters"], 0);
    let answer = lab.ask(json!({"state": "absent", "node": "n3", "force": true, "timeout": 1}));
    assert!(
        message(&answer).contains("without a quorum etcd changes nothing"),
        "{answer}"
    );
    let answer = lab.ask(json!({"require": "healthy"}));
    assert!(message(&answer).contains("a quorum does not answer"), "{answer}");
}

#[test]
fn of_two_voters_the_one_that_is_down_may_be_brought_back() {
    let mut lab = Lab::new(2);
    let answer = lab.ask(json!({"can_lose": "n2", "wait": 30}));
    assert!(
        answer["warnings"][0]
            .as_str()
            .unwrap()
            .contains("the API is out while"),
        "{answer}"
    );
    lab.cluster().kill(1);
    lab.ask_until(0, |answer| answer["leader"] == Value::Null);
    let answer = lab.ask(json!({"can_lose": "n2"}));
    assert!(
        answer["warnings"][0]
            .as_str()
            .unwrap()
            .contains("only its return restores it"),
        "{answer}"
    );
}

#[test]
fn a_member_that_never_came_is_removed_by_its_address() {
    let mut lab = Lab::new(1);
    let (_, peer_url) = lab.cluster().prepare_another();
    lab.change(async |etcd| etcd.add_learner(&peer_url).await);
    let answer = lab.ask(json!({"require": "all_voters"}));
    assert!(
        message(&answer).contains("is a learner, not a voter yet"),
        "{answer}"
    );
    let never = &answer["members"][1];
    assert_eq!(
        (&never["name"], &never["started"]),
        (&Value::Null, &json!(false)),
        "{answer}"
    );
    assert_eq!(never["trouble"], "it has never started");
    let answer = lab.ask(json!({"state": "absent", "peer_url": peer_url}));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true)),
        "{answer}"
    );
    assert_eq!(answer["removed"]["peer_urls"], json!([peer_url]));
    assert_eq!(answer["learners"], 0);
}

#[test]
fn sees_a_learner_through_the_voters() {
    let mut lab = Lab::new(1);
    let (number, peer_url) = lab.cluster().prepare_another();
    lab.change(async |etcd| etcd.add_learner(&peer_url).await);
    lab.cluster().spawn(number);
    let answer = lab.ask_until(0, |answer| {
        answer["members"][0]["learner"] == true && answer["members"][0]["healthy"] == true
            || answer["members"][1]["learner"] == true && answer["members"][1]["healthy"] == true
    });
    assert_eq!((&answer["voters"], &answer["learners"]), (&json!(1), &json!(1)));
    let answer = lab.ask_through(number, json!({}));
    assert!(
        message(&answer).contains("is a learner that is not promoted yet"),
        "{answer}"
    );
    let answer = lab.ask(json!({"state": "absent", "peer_url": peer_url}));
    assert!(
        message(&answer).contains("a healthy learner that joins just now"),
        "{answer}"
    );
}

#[test]
fn an_alarm_shuts_every_gate() {
    let mut lab = Lab::new(1);
    lab.change(async |etcd| {
        let id = etcd.status().await?.member_id;
        etcd.raise_alarm(id, AlarmType::NoSpace).await
    });
    let answer = lab.ask(json!({"can_lose": "n1"}));
    assert!(
        message(&answer).contains("has raised the alarm NOSPACE"),
        "{answer}"
    );
    assert_eq!(answer["alarms"][0]["member"], NAMES[0]);
    assert_eq!(answer["members"][0]["alarms"], json!(["NOSPACE"]));
}

#[test]
fn a_server_that_is_down_says_so_and_may_be_stopped() {
    let mut lab = Lab::new(1);
    lab.cluster().kill(0);
    let answer = lab.ask(json!({}));
    assert!(message(&answer).contains("etcd does not answer here"), "{answer}");
    assert!(message(&answer).contains("Connection refused"), "{answer}");
    let answer = lab.ask(json!({"can_lose": "n1"}));
    assert_eq!(answer["failed"], false, "{answer}");
    assert!(
        answer["warnings"][0].as_str().unwrap().contains("does not run"),
        "{answer}"
    );
    let answer = lab.ask(json!({"can_lose": "n2"}));
    assert!(message(&answer).contains("etcd does not answer here"), "{answer}");
}

#[test]
fn distinguishes_untrusted_certificates_from_an_outage() {
    let mut lab = Lab::new(1);
    let mut stranger = Lab::new(1);
    let data_dir = lab.programs.folder().join("stranger");
    stranger.cluster().lay_out_as_k3s(0, &data_dir);
    let answer = lab.ask(json!({"data_dir": data_dir, "can_lose": "n1"}));
    assert!(message(&answer).contains("etcd does not answer here"), "{answer}");
    std::fs::remove_file(data_dir.join("server/tls/etcd/client.key")).unwrap();
    let answer = lab.ask(json!({"data_dir": data_dir}));
    assert!(message(&answer).contains("tls/etcd/client.key"), "{answer}");
}

#[test]
fn the_leader_goes_by_force_and_a_new_one_is_awaited() {
    let mut lab = Lab::new(3);
    let leader = lab.leader();
    let through = usize::from(leader == 0);
    let node = &NAMES[leader][..2];
    let started = Instant::now();
    let answer = lab.ask_through(through, json!({"state": "absent", "node": node, "force": true}));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true)),
        "{answer}"
    );
    assert!(
        started.elapsed() >= Duration::from_secs(10),
        "too early: {answer}"
    );
    assert_eq!(answer["actions"].as_array().unwrap().len(), 2);
    assert!(
        answer["leader"].is_string() && answer["leader"] != NAMES[leader],
        "{answer}"
    );
    assert_eq!(answer["voters"], 2);
}

#[test]
fn unreadable_nodes_leave_the_rest_of_the_answer_unchanged() {
    let mut lab = Lab::new(1);
    let answer = lab.ask(json!({"kubectl": ["no-such-kubectl"], "expected": ["n1", "n2"]}));
    assert_eq!(answer["failed"], false, "{answer}");
    assert!(
        answer["nodes_unknown"]
            .as_str()
            .unwrap()
            .contains("no-such-kubectl"),
        "{answer}"
    );
    assert_eq!(
        answer["stale"],
        json!({
            "members_without_node": null, "nodes_without_member": null,
            "unexpected_members": [], "expected_without_member": ["n2"], "nodes_behind": null,
        })
    );
}
