//! The half that reads, in a container whose inside is this machine.

use crate::desk::{Cluster, Desk};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use testbed::Programs;

/// A controller in a container, whose files are here.
fn controller(desk: &Desk, kubeconfig: &str) -> (Programs, Value) {
    let programs = Programs::new().with_pct();
    let path = desk.file("etc/k3s.yaml", kubeconfig);
    desk.file("data/server/tls/client-ca.crt", &desk.cluster.clients.pem);
    desk.file("data/server/tls/server-ca.crt", &desk.cluster.servers.pem);
    let arguments = json!({
        "state": "read", "vmid": 101, "node_name": "k3s-1", "path": path, "data_dir": desk.path("data"), "rotate_if_expired": false,
    });
    (programs, arguments)
}

fn read(programs: &Programs, arguments: &Value) -> Value {
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("kubeconfig_fetch"))
        .env("PATH", programs.path())
        .arg(programs.arguments(arguments))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_controllers_kubeconfig_goes_through_both_halves() {
    let desk = Desk::new();
    let own = desk
        .cluster
        .kubeconfig("default", "https://127.0.0.1:7443", &desk.cluster.admin);
    let (programs, mut arguments) = controller(&desk, &own);
    // As `write-kubeconfig` leaves it: the real file elsewhere, a link in place of it.
    std::fs::rename(desk.path("etc/k3s.yaml"), desk.path("moved")).unwrap();
    symlink(desk.path("moved"), desk.path("etc/k3s.yaml")).unwrap();
    let answer = read(&programs, &arguments);
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(false)),
        "{answer}"
    );
    assert_eq!(answer["kubeconfig"], desk.cluster.content("https://k3s-1:7443"));
    assert!(!programs.calls().contains("BEGIN"), "{}", programs.calls());
    let written = desk.write(json!({"content": answer["kubeconfig"], "dest": desk.path("config")}));
    assert_eq!(
        (&written["expiry"], &written["fingerprints"]),
        (&answer["expiry"], &answer["fingerprints"])
    );
    // Its authority is compared with the one that the server keeps.
    desk.file("data/server/tls/server-ca.crt", &Cluster::new().servers.pem);
    let answer = read(&programs, &arguments);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("certificate-authority-data: it is from another authority"),
        "{msg}"
    );
    arguments["vmid"] = json!(102);
    assert!(
        read(&programs, &arguments)["msg"]
            .as_str()
            .unwrap()
            .contains("there is no container 102")
    );
}

#[test]
fn reports_an_expired_certificate_without_its_content() {
    let desk = Desk::new();
    let (programs, arguments) = controller(&desk, &desk.cluster.stale());
    let answer = read(&programs, &arguments);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("has expired on 2025-11-27T00:00:00Z") && msg.contains("rotate_if_expired: true"),
        "{msg}"
    );
    assert_eq!(answer["kubeconfig"], Value::Null);
    assert!(!answer.to_string().contains("LS0tLS1CRUdJTi"));
}
