use super::*;
use crate::credentials::{Authorities, Credentials};
use crate::params::Params;
use crate::samples::{Cluster, admin, data, one, user};
use host::Secret;
use k3s_certs::rotation::Role;
use k3s_certs::testing::{Authority, Leaf, NOW};
use serde_json::{Value, json};
use std::time::SystemTime;

const SERVER: &str = "https://127.0.0.1:6443";

fn service() -> Service {
    Service {
        role: Role::Server,
        unit: "k3s.service".to_owned(),
        binary: "/usr/local/bin/k3s".to_owned(),
        alive: true,
        enabled: true,
        marked: false,
        kubeconfig: Some("/etc/rancher/k3s/k3s.yaml".to_owned()),
        data_dir: "/var/lib/rancher/k3s".to_owned(),
    }
}

fn state(text: &str, service: Result<Service, String>) -> State {
    let credentials = Credentials::read(text.as_bytes(), "k3s.yaml", &Authorities::default());
    State {
        location: "container 101 on pve1".to_owned(),
        name: "k3s-k3s-1".to_owned(),
        service,
        found: credentials
            .map_err(|error| format!("{error:#}"))
            .map(|credentials| Found {
                credentials,
                server: "https://k3s-1:6443".to_owned(),
                text: Secret::default(),
            }),
        now: SystemTime::UNIX_EPOCH + NOW,
    }
}

/// A controller whose client certificate is valid for these days.
fn lasting(from: i64, until: i64, service: Service) -> State {
    let text = Cluster::new(1).kubeconfig("default", SERVER, &admin().days(from, until));
    state(&text, Ok(service))
}

fn planned(more: Value, state: &State) -> Result<Plan<Step>> {
    let mut options = json!({"state": "read", "vmid": 101, "node_name": "k3s-1"});
    options
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    match serde_json::from_value(options).unwrap() {
        Params::Read(params) => plan(&params, state),
        Params::Written(_) => panic!(),
    }
}

fn steps(more: Value, state: &State) -> Vec<String> {
    planned(more, state)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn refused(more: Value, state: &State) -> String {
    planned(more, state).unwrap_err().to_string()
}

#[test]
fn a_certificate_that_lasts_is_left_alone() {
    for (more, until) in [
        (json!({}), 1),
        (json!({"renew_before": 30}), 31),
        (json!({"rotate_if_expired": false}), 1),
    ] {
        let plan = planned(more.clone(), &lasting(-1, until, service())).unwrap();
        assert!(plan.steps.is_empty() && plan.warnings.is_empty(), "{more}");
    }
}

#[test]
fn what_has_ended_or_ends_in_time_is_renewed_and_proved() {
    for (more, until) in [
        (json!({}), -1),
        (json!({"renew_before": 30}), 29),
        (json!({"renew_before": 30}), -400),
    ] {
        let steps = steps(more.clone(), &lasting(-401, until, service()));
        assert!(steps[0].contains("k3s certificate rotate"), "{more}: {steps:?}");
        assert!(steps[1].starts_with("wait until"), "{more}: {steps:?}");
        assert_eq!(
            steps[2],
            "read the kubeconfig again and ask the API server with it"
        );
    }
}

#[test]
fn without_leave_nothing_is_renewed_and_the_message_says_what_to_run() {
    let keep = json!({"rotate_if_expired": false, "renew_before": 30});
    let error = refused(keep.clone(), &lasting(-400, -35, service()));
    for part in [
        "container 101 on pve1: the client certificate in /etc/rancher/k3s/k3s.yaml has expired on 2025-11-27T00:00:00Z",
        "-e k3s_kubeconfig_rotate_if_expired=true",
        "`systemctl stop k3s`, `k3s certificate rotate`, `systemctl start k3s`",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let soon = planned(keep.clone(), &lasting(-1, 10, service())).unwrap();
    assert!(
        soon.steps.is_empty() && soon.warnings[0].contains("in 10 days"),
        "{:?}",
        soon.warnings
    );
    let stopped = Service {
        alive: false,
        ..service()
    };
    assert!(steps(keep, &lasting(-1, 100, stopped)).is_empty());
}

#[test]
fn a_k3s_that_a_killed_run_left_stopped_is_started() {
    let stopped = || Service {
        alive: false,
        marked: true,
        ..service()
    };
    let steps_of = steps(json!({}), &lasting(-1, 300, stopped()));
    assert!(steps_of[0].starts_with("start k3s.service"), "{steps_of:?}");
    assert_eq!(
        steps_of.last().unwrap(),
        "read the kubeconfig again and ask the API server with it"
    );
    assert!(steps(json!({}), &lasting(-400, -35, stopped()))[0].contains("certificate rotate"));
    // Its kubeconfig is written anew by the start, so that a damaged one does not stop the renewal.
    let damaged = steps(json!({}), &state("clusters: []\n", Ok(stopped())));
    assert!(damaged[0].starts_with("start k3s.service"), "{damaged:?}");
    let Step::Prove { former, .. } = planned(json!({}), &state("", Ok(stopped())))
        .unwrap()
        .steps
        .pop()
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(former, None);
}

#[test]
fn fails_for_certificates_that_a_renewal_cannot_fix() {
    let error = refused(json!({}), &lasting(2, 300, service()));
    assert!(
        error
            .contains("is valid from 2026-01-03T00:00:00Z on, and the clock there says 2026-01-01T00:00:00Z"),
        "{error}"
    );
    assert_eq!(
        refused(json!({}), &state("", Ok(service()))),
        "k3s.yaml: it is empty"
    );
    let gone = state(
        &Cluster::new(1).kubeconfig("default", SERVER, &admin().days(-400, -35)),
        Err("there is no systemctl".to_owned()),
    );
    assert!(refused(json!({}), &gone).ends_with("and cannot be renewed: there is no systemctl"));
    let out_of_service = Service {
        alive: false,
        enabled: false,
        ..service()
    };
    assert!(
        refused(json!({}), &lasting(-400, -35, out_of_service)).contains("neither runs nor is it enabled")
    );
}

#[test]
fn reports_an_expired_authority() {
    let clients = Authority::like(&Leaf::new("k3s-client-ca@1").days(-4000, -1));
    let signed = clients.sign(&admin().days(-400, -35));
    let entry = user(&data(signed.pem + &clients.pem), &data(signed.key_pem));
    let text = one("default", &Cluster::new(1).cluster(SERVER), &entry);
    let error = refused(json!({}), &state(&text, Ok(service())));
    assert!(
        error.contains("the authority CN=k3s-client-ca@1 has expired on 2025-12-31T00:00:00Z"),
        "{error}"
    );
    assert!(error.contains("rotate-ca"), "{error}");
}

#[test]
fn a_healthy_node_is_read_also_where_nothing_could_be_renewed() {
    let text = Cluster::new(1).kubeconfig("default", SERVER, &admin());
    let plan = planned(json!({}), &state(&text, Err("there is no systemctl".to_owned()))).unwrap();
    assert!(plan.steps.is_empty() && plan.warnings.is_empty());
}
