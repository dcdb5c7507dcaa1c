//! Lists of certificates with their state.

use crate::{call, encoded, subjects, table};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::Host as _;
use k3s_certs::testing::{Authority, DATA, KEY_MARK, Leaf, Node};
use serde_json::{Value, json};

#[test]
fn every_certificate_of_a_server_is_listed() {
    let node = Node::server(200);
    let authority = Authority::new("k3s-server-ca@1");
    let listener = authority.sign(&Leaf::new("k3s").reached_at(&["n1"], &["10.43.0.1"]));
    let secret = json!({"kind": "Secret", "data": {
        "tls.crt": encoded(&listener.pem),
        "tls.key": encoded(KEY_MARK),
    }});
    node.put(
        &format!("{DATA}/server/tls/dynamic-cert.json"),
        &secret.to_string(),
    );
    let kubelet = authority.sign(&Leaf::new("system:node:n1"));
    node.put(
        &format!("{DATA}/agent/client-kubelet.crt"),
        &(kubelet.pem + &kubelet.key_pem),
    );
    let answer = call(&node, json!({}));
    assert_eq!(
        table(&answer),
        "\
10 certificates: all are valid
Files that begin with no / are in /var/lib/rancher/k3s.
FILE                                               SUBJECT                            KIND  NOT AFTER             LEFT    STATE
server/tls/client-admin.crt                        CN=system:admin,O=system:masters   leaf  2026-07-20T00:00:00Z  199 d   valid
server/tls/client-ca.crt (+3)                      CN=k3s-client-ca@1                 ca    2035-12-30T00:00:00Z  3649 d  valid
server/tls/client-controller.crt                   CN=system:kube-controller-manager  leaf  2026-07-20T00:00:00Z  199 d   valid
server/tls/etcd/server-ca.crt (+1)                 CN=etcd-server-ca@1                ca    2035-12-30T00:00:00Z  3649 d  valid
server/tls/etcd/server-client.crt                  CN=etcd-server                     leaf  2026-07-20T00:00:00Z  199 d   valid
server/tls/server-ca.crt (+2)                      CN=k3s-server-ca@1                 ca    2035-12-30T00:00:00Z  3649 d  valid
server/tls/serving-kube-apiserver.crt              CN=kube-apiserver                  leaf  2026-07-20T00:00:00Z  199 d   valid
agent/client-kubelet.crt                           CN=system:node:n1                  leaf  2026-12-31T00:00:00Z  363 d   valid
/etc/rancher/k3s/k3s.yaml client-certificate-data  CN=system:admin,O=system:masters   leaf  2026-07-20T00:00:00Z  199 d   valid
server/tls/dynamic-cert.json tls.crt               CN=k3s                             leaf  2026-12-31T00:00:00Z  363 d   valid"
    );
    assert_eq!(
        (&answer["changed"], &answer["problem"], &answer["failed"]),
        (&json!(false), &Value::Null, &json!(false))
    );
    let certificates = answer["certificates"].as_array().unwrap();
    let listener = certificates
        .iter()
        .find(|certificate| certificate["subject"] == "CN=k3s")
        .unwrap();
    assert_eq!(listener["names"], json!(["n1", "10.43.0.1"]));
    // Neither the answer nor anything that was printed inside holds a key.
    assert!(!answer.to_string().contains(KEY_MARK) && !answer.to_string().contains("PRIVATE"));
}

#[test]
fn keys_stay_on_the_node() {
    let node = Node::server(200);
    let signed = Authority::new("ca").sign(&Leaf::new("x"));
    let body: String = signed.key_pem.lines().nth(1).unwrap().to_owned();
    node.put("/etc/rancher/both.pem", &(signed.key_pem.clone() + &signed.pem));
    node.put(
        "/etc/rancher/cut.pem",
        &signed.key_pem[..signed.key_pem.len() - 30],
    );
    node.put(
        "/etc/rancher/indented.pem",
        &signed.key_pem.replace('\n', "\n  ").replace("-----B", "  -----B"),
    );
    call(&node, json!({"paths": ["/etc/rancher"]}));
    let script = node.fed.borrow().last().unwrap().clone();
    let printed = node.run(&host::Command::script(script)).unwrap().text();
    // A field of a kubeconfig is in base64.
    let decoded = printed.split_whitespace().map(|word| {
        let decoded = STANDARD.decode(word).unwrap_or_default();
        String::from_utf8_lossy(&decoded).into_owned()
    });
    for text in decoded.chain([printed.clone()]) {
        assert!(!text.contains(&body) && !text.contains(KEY_MARK), "{text}");
    }
    assert!(printed.contains(":/etc/rancher/both.pem ") && printed.contains("BEGIN CERTIFICATE"));
}

#[test]
fn fails_for_expiring_certificates_only_on_request() {
    let node = Node::server(20);
    let answer = call(&node, json!({}));
    assert_eq!(answer["failed"], false);
    assert!(
        table(&answer).starts_with("8 certificates: 5 expiring soon\n"),
        "{}",
        table(&answer)
    );
    let problem = answer["problem"].as_str().unwrap();
    assert!(
        problem.starts_with(
            "CN=system:admin,O=system:masters expires in 19 days, at 2026-01-21T00:00:00Z (/var/lib/rancher/k3s/server/tls/client-admin.crt; /etc/rancher/k3s/k3s.yaml, client-certificate-data); CN=system:kube-controller-manager expires in 19 days"
        ),
        "{problem}"
    );
    let fails = call(&node, json!({"fail_on_expiring": true}));
    assert_eq!(fails["failed"], true);
    let msg = fails["msg"].as_str().unwrap();
    assert!(
        msg.starts_with(problem) && msg.contains("state: rotated"),
        "{msg}"
    );
    // The table is there all the same.
    assert_eq!(table(&fails), table(&answer));
    assert_eq!(
        call(&node, json!({"warn_days": 10, "fail_on_expiring": true}))["failed"],
        false
    );
}

#[test]
fn files_that_are_ignored_are_listed_and_do_not_count() {
    let node = Node::server(200);
    let old = Authority::new("k3s-client-ca@1").sign(&Leaf::new("cloud-controller-manager").days(-400, -35));
    node.put(
        &format!("{DATA}/server/tls/client-cloud-controller.crt"),
        &old.pem,
    );
    let listed = call(&node, json!({}));
    assert!(
        table(&listed).starts_with("9 certificates: 1 expired\n"),
        "{}",
        table(&listed)
    );
    let given = call(&node, json!({"ignore": ["tls/client-cloud-controller.crt"]}));
    assert_eq!(given["problem"], Value::Null);
    assert!(table(&given).contains("expired (ignored)"), "{}", table(&given));
    assert!(table(&given).starts_with("9 certificates: 1 ignored\n"));
    assert_eq!(
        call(
            &node,
            json!({"ignore": ["controller.crt", "/client-cloud-controller.crt"]})
        )["problem"],
        call(&node, json!({}))["problem"]
    );
    // A k3s that has its successor does not use it any more.
    let new = Authority::new("k3s-client-ca@1").sign(&Leaf::new("k3s-cloud-controller-manager"));
    node.put(
        &format!("{DATA}/server/tls/client-k3s-cloud-controller.crt"),
        &new.pem,
    );
    assert_eq!(call(&node, json!({}))["problem"], Value::Null);
    assert_eq!(call(&node, json!({"state": "rotated"}))["changed"], false);
}

#[test]
fn what_cannot_be_read_is_a_trouble() {
    let node = Node::server(200);
    node.put(&format!("{DATA}/server/tls/client-controller.crt"), "");
    node.put("/etc/rancher/large.crt", &"-".repeat(1 << 20 | 1));
    let answer = call(
        &node,
        json!({"paths": ["/etc/rancher/none.crt", "/etc/rancher/large.crt", "/dev/zero"]}),
    );
    let faults: Vec<String> = answer["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            format!(
                "{} {}",
                fault["file"].as_str().unwrap(),
                fault["error"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        faults,
        [
            "/var/lib/rancher/k3s/server/tls/client-controller.crt it is empty",
            "/etc/rancher/none.crt there is no such file",
            "/etc/rancher/large.crt it has more than 1 MiB, which no file of certificates has",
            "/dev/zero it is not a regular file"
        ]
    );
    assert!(
        table(&answer).starts_with("7 certificates: 4 unreadable\n"),
        "{}",
        table(&answer)
    );
    assert!(
        answer["problem"]
            .as_str()
            .unwrap()
            .contains("client-controller.crt: it is empty")
    );
}

#[test]
fn of_many_troubles_the_message_names_the_worst() {
    let node = Node::server(200);
    let authority = Authority::new("ca");
    for days in 0..15 {
        let leaf = authority.sign(&Leaf::new(&format!("x{days}")).days(-365, days));
        node.put(&format!("{DATA}/server/tls/x{days}.crt"), &leaf.pem);
    }
    let answer = call(&node, json!({}));
    let problem = answer["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("CN=x0 expired at 2026-01-01T00:00:00Z ("),
        "{problem}"
    );
    assert!(
        problem.contains("; CN=x1 expires in less than a day, at "),
        "{problem}"
    );
    assert!(problem.contains("; CN=x2 expires in 1 day, at "), "{problem}");
    assert!(problem.ends_with("x11.crt); and 3 more"), "{problem}");
    assert!(table(&answer).contains("CN=x14"));
}

#[test]
fn other_folders_are_the_users() {
    let node = Node::server(200);
    let leaf = Authority::new("ca").sign(&Leaf::new("mine"));
    node.put("/var/lib/rancher/other/server/tls/mine.crt", &leaf.pem);
    node.put(
        "/etc/rancher/other.yaml",
        &format!("    client-certificate-data: {}\n", encoded(&leaf.pem)),
    );
    node.put("/etc/rancher/extra/a's.pem", &leaf.pem);
    let answer = call(
        &node,
        json!({
            "data_dir": "/var/lib/rancher/other",
            "kubeconfig": "/etc/rancher/other.yaml",
            "paths": ["/etc/rancher/extra", "/etc/rancher/extra/a's.pem"],
        }),
    );
    assert_eq!(
        subjects(&answer, "certificates"),
        [
            "/var/lib/rancher/other/server/tls/mine.crt CN=mine",
            "/etc/rancher/other.yaml CN=mine",
            "/etc/rancher/extra/a's.pem CN=mine",
            "/etc/rancher/extra/a's.pem CN=mine",
        ]
    );
}

#[test]
fn files_are_looked_for_where_the_settings_of_the_node_have_them() {
    let elsewhere = "/var/lib/rancher/elsewhere";
    for (unit, config) in [
        ("server", "/etc/rancher/k3s/config.yaml"),
        (
            "server --config /etc/rancher/attic.yaml",
            "/etc/rancher/attic.yaml",
        ),
    ] {
        let node = Node::server(-35);
        std::fs::rename(node.path(DATA), node.path(elsewhere)).unwrap();
        let unit = format!("[Service]\nExecStart=/usr/local/bin/k3s {unit}\n");
        node.put("/etc/systemd/system/k3s.service", &unit);
        node.put(config, &format!("data-dir: {elsewhere}\n"));
        let answer = call(&node, json!({"fail_on_expiring": true}));
        assert_eq!(answer["failed"], true, "{config}: {answer}");
        let expired = format!("{elsewhere}/server/tls/client-admin.crt CN=system:admin,O=system:masters");
        assert!(
            subjects(&answer, "certificates").contains(&expired),
            "{config}: {answer}"
        );
    }
}

#[test]
fn reports_a_container_without_k3s() {
    let node = Node::server(200);
    let answer = call(
        &node,
        json!({"data_dir": "/var/lib/rancher/none", "kubeconfig": "/none"}),
    );
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("no certificate below /var/lib/rancher/none"),
        "{answer}"
    );
}
