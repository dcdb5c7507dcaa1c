//! The binary, on real files: "inside" by a `pct` whose container is this machine, and on this machine itself.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k3s_certs::testing::{Authority, Leaf, Signed};
use serde_json::{Value, json};
use std::path::Path;
use testbed::Programs;

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_certificates"), arguments)
}

fn subjects(answer: &Value) -> Vec<&str> {
    let certificates = answer["certificates"].as_array().unwrap();
    certificates
        .iter()
        .map(|certificate| certificate["subject"].as_str().unwrap())
        .collect()
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A part of a key that is in it alone.
fn secret(signed: &Signed) -> String {
    signed.key_pem.lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_container_is_read_by_two_calls_and_no_key_leaves_it() {
    let programs = Programs::new().with_pct();
    let data = programs.folder().join("data");
    let authority = Authority::new("k3s-client-ca@1");
    let admin = authority.sign(&Leaf::new("system:admin").organization("system:masters"));
    put(
        &data.join("server/tls/client-admin.crt"),
        &(admin.pem.clone() + &authority.pem),
    );
    put(&data.join("server/tls/client-admin.key"), &admin.key_pem);
    put(
        &data.join("agent/both.pem"),
        &(admin.key_pem.clone() + &admin.pem),
    );
    let kubeconfig = programs.folder().join("k3s.yaml");
    let (chain, key) = (STANDARD.encode(&admin.pem), STANDARD.encode(&admin.key_pem));
    put(
        &kubeconfig,
        &format!(
            "users:\n- name: default\n  user:\n    client-certificate-data: {chain}\n    client-key-data: {key}\n"
        ),
    );
    let answer = answer(
        &programs,
        &json!({"vmid": 101, "data_dir": data, "kubeconfig": kubeconfig}),
    );
    assert_eq!(answer["failed"], false, "{answer}");
    let admin_subject = "CN=system:admin,O=system:masters";
    assert_eq!(
        subjects(&answer),
        [admin_subject, "CN=k3s-client-ca@1", admin_subject, admin_subject]
    );
    // One for the node's settings, which say where the certificates are, and one for the certificates.
    assert_eq!(programs.calls().matches("exec 101").count(), 2);
    for text in [answer.to_string(), programs.calls()] {
        assert!(!text.contains(&secret(&admin)) && !text.contains(&key), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
}

#[test]
fn kubeconfigs_of_this_machine_are_read_as_tools_write_them() {
    let programs = Programs::new();
    let folder = programs.folder().join("kube");
    let authority = Authority::new("k3s-server-ca@1");
    let inside = authority.sign(&Leaf::new("inside"));
    let named = authority.sign(&Leaf::new("named"));
    put(&folder.join("pki/named.crt"), &named.pem);
    let yaml = format!(
        "# a comment\nkind: Config\nclusters:\n- name: home\n  cluster:\n    certificate-authority-data: {}\n    server: https://a:6443\n\
         users:\n- name: a\n  user:\n    client-certificate-data: >-\n      {}\n    client-key-data: {}\n- name: b\n  user: {{client-certificate: pki/named.crt, client-key: pki/named.key}}\n",
        STANDARD.encode(&authority.pem),
        STANDARD.encode(&inside.pem),
        STANDARD.encode(&inside.key_pem),
    );
    let (first, second) = (folder.join("config"), folder.join("config.json"));
    put(&first, &yaml);
    let json = json!({"users": [{"name": "c", "user": {
        "client-certificate-data": STANDARD.encode(&inside.pem),
        // What is inside goes before what is named.
        "client-certificate": "/none",
        "client-key-data": STANDARD.encode(&inside.key_pem),
    }}]});
    put(&second, &json.to_string());
    let answer = answer(
        &programs,
        &json!({"kubeconfigs": [first, second], "paths": [folder.join("pki")]}),
    );
    assert_eq!(answer["failed"], false, "{answer}");
    assert_eq!(answer["unreadable"], json!([]), "{answer}");
    assert_eq!(
        subjects(&answer),
        [
            "CN=named",
            "CN=k3s-server-ca@1",
            "CN=inside",
            "CN=named",
            "CN=inside"
        ]
    );
    let entries: Vec<&Value> = answer["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| &certificate["entry"])
        .collect();
    assert_eq!(entries[1], "clusters[home].certificate-authority-data");
    assert_eq!(entries[2], "users[a].client-certificate-data");
    let at = folder.join("pki/named.crt");
    assert_eq!(
        *entries[3],
        json!(format!("users[b].client-certificate ({})", at.display()))
    );
    assert!(!answer.to_string().contains(&STANDARD.encode(&inside.key_pem)));
    assert!(!answer.to_string().contains(&secret(&inside)));
}
