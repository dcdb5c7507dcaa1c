//! What is due where, without any node.

use super::*;
use k3s_certs::All;
use k3s_certs::testing::{Authority, Leaf, NOW};
use serde_json::{Value, json};
use std::time::SystemTime;

fn params(options: Value) -> Params {
    let mut options = options;
    options["state"] = "rotated".into();
    serde_json::from_value(options).unwrap()
}

fn service(role: Role) -> Service {
    Service {
        role,
        unit: role.unit().to_owned(),
        binary: "/usr/local/bin/k3s".to_owned(),
        alive: true,
        enabled: true,
        marked: false,
        kubeconfig: None,
        data_dir: "/var/lib/rancher/k3s".to_owned(),
    }
}

/// Leaves that end so many days from now, by their files.
fn state(files: &[(&str, i64)], service: &Service) -> State {
    let authority = Authority::new("ca");
    let mut all = All::default();
    for (file, until) in files {
        let leaf = authority.sign(&Leaf::new("x").days(until - 365, *until));
        all.pem(file, None, leaf.pem.as_bytes());
    }
    assert!(all.faults.is_empty());
    State {
        all,
        now: SystemTime::UNIX_EPOCH + NOW,
        paths: Paths::default(),
        service: Some(service.clone()),
    }
}

fn due_files(options: Value, files: &[(&str, i64)], service: &Service) -> Vec<String> {
    let state = state(files, service);
    due(&params(options), &state, service)
        .iter()
        .map(|found| found.file.clone())
        .collect()
}

const EVERYWHERE: [(&str, i64); 8] = [
    ("/var/lib/rancher/k3s/server/tls/client-admin.crt", -1),
    ("/var/lib/rancher/k3s/server/tls/etcd/client.crt", -1),
    ("/var/lib/rancher/k3s/server/tls/dynamic-cert.json", -1),
    ("/var/lib/rancher/k3s/server/tls/temporary-certs/x.crt", -1),
    ("/var/lib/rancher/k3s/server/tls-1767225600/client-admin.crt", -1),
    ("/var/lib/rancher/k3s/agent/client-kubelet.crt", -1),
    ("/etc/rancher/k3s/k3s.yaml", -1),
    ("/etc/ssl/mine.crt", -1),
];

#[test]
fn a_server_makes_its_own_and_its_agents() {
    let server = service(Role::Server);
    assert_eq!(
        due_files(json!({}), &EVERYWHERE, &server),
        [0, 1, 2, 5, 6].map(|index: usize| EVERYWHERE[index].0)
    );
}

#[test]
fn an_agent_is_given_only_its_own() {
    let agent = service(Role::Agent);
    assert_eq!(due_files(json!({}), &EVERYWHERE, &agent), [EVERYWHERE[5].0]);
}

#[test]
fn uses_the_paths_of_the_user() {
    let server = service(Role::Server);
    let files = [
        ("/data/server/tls/a.crt", -1),
        ("/home/k3s.yaml", -1),
        EVERYWHERE[0],
        EVERYWHERE[6],
    ];
    let elsewhere = State {
        paths: Paths {
            data_dir: "/data".to_owned(),
            kubeconfig: "/home/k3s.yaml".to_owned(),
        },
        ..state(&files, &server)
    };
    let params = params(json!({}));
    let due: Vec<&str> = due(&params, &elsewhere, &server)
        .iter()
        .map(|found| found.file.as_str())
        .collect();
    assert_eq!(due, ["/data/server/tls/a.crt", "/home/k3s.yaml"]);
}

#[test]
fn the_window_is_the_users() {
    for (until, renew_before, is_due) in [(30, 30, true), (31, 30, false), (200, 300, true), (0, 0, true)] {
        for (role, file) in [(Role::Server, EVERYWHERE[0].0), (Role::Agent, EVERYWHERE[5].0)] {
            let options = json!({"renew_before": renew_before});
            let found = due_files(options, &[(file, until)], &service(role));
            assert_eq!(!found.is_empty(), is_due, "{role:?} {until} {renew_before}");
        }
    }
}

#[test]
fn asks_for_etcd_before_a_server_that_runs_is_restarted() {
    let expired = [(EVERYWHERE[0].0, -1), (EVERYWHERE[5].0, -1)];
    let gate = |options: Value, files: &[(&str, i64)], service: &Service| {
        gate_before(&params(options), &state(files, service), service)
    };
    let (server, agent) = (service(Role::Server), service(Role::Agent));
    let stopped = Service {
        alive: false,
        ..server.clone()
    };
    assert!(gate(json!({}), &expired, &server));
    assert!(gate(json!({"force": true}), &[], &server));
    assert!(!gate(json!({}), &[], &server));
    assert!(!gate(json!({"wait": false}), &expired, &server));
    assert!(!gate(json!({}), &expired, &agent));
    assert!(!gate(json!({}), &expired, &stopped));
}

#[test]
fn names_the_k3s_to_wait_for_after_a_start() {
    let renewed = Done {
        way: Some(rotation::Way::Command),
        seconds: None,
    };
    let started = Done {
        way: None,
        seconds: Some(3),
    };
    for role in Role::ALL {
        let gate = |options: Value, done: &Done| gate_after(&params(options), &service(role), done);
        assert_eq!(gate(json!({}), &renewed), Some(role));
        assert_eq!(gate(json!({}), &started), Some(role));
        // Nothing was due, or check mode.
        assert_eq!(gate(json!({}), &Done::default()), None);
        assert_eq!(gate(json!({"wait": false}), &renewed), None);
    }
}

#[test]
fn authorities_and_what_is_ignored_are_never_due() {
    let server = service(Role::Server);
    let mut state = state(&[(EVERYWHERE[0].0, -1)], &server);
    let old = Authority::like(&Leaf::new("k3s-server-ca@1").days(-4000, -1));
    state.all.pem(
        "/var/lib/rancher/k3s/server/tls/server-ca.crt",
        None,
        old.pem.as_bytes(),
    );
    let ignoring = params(json!({"ignore": ["client-admin.crt"]}));
    assert!(due(&ignoring, &state, &server).is_empty());
    assert_eq!(due(&params(json!({})), &state, &server).len(), 1);
    let plan = plan(&ignoring, &state).unwrap();
    assert!(plan.steps.is_empty());
    assert!(
        plan.warnings[0].contains("CN=k3s-server-ca@1 expired at 2025-12-31"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_doubt_does_not_keep_a_stopped_k3s_down() {
    let mut stopped = service(Role::Server);
    stopped.alive = false;
    let mut state = state(&[(EVERYWHERE[0].0, 200)], &stopped);
    state
        .all
        .fault("/var/lib/rancher/k3s/server/tls/a.crt", "it is empty");
    let steps: Vec<String> = plan(&params(json!({})), &state)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        steps[0].starts_with("start k3s.service") && steps.len() == 2,
        "{steps:?}"
    );
    // Elsewhere than with k3s it is none.
    state.service.as_mut().unwrap().alive = true;
    assert!(plan(&params(json!({})), &state).is_err());
    state.all.faults[0].file = "/etc/ssl/mine.crt".to_owned();
    assert!(plan(&params(json!({})), &state).unwrap().steps.is_empty());
}
