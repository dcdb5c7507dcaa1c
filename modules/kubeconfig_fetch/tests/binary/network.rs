//! Whether the API server is reached, and if not, why.

use crate::desk::{Cluster, Desk, lasting};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k3s_certs::testing::{Authority, Leaf};
use serde_json::{Value, json};
use std::net::TcpListener;

#[test]
fn an_api_server_that_lets_us_in_is_reached() {
    let desk = Desk::new();
    let port = desk.cluster.serve(&["localhost"], "200 OK");
    let answer = desk.ask(&format!("https://localhost:{port}"));
    assert_eq!(
        (&answer["reachable"], &answer["cause"]),
        (&json!(true), &Value::Null),
        "{answer}"
    );
    assert!(answer.get("warnings").is_none(), "{answer}");
}

#[test]
fn reports_the_cause_of_a_failed_connection() {
    let desk = Desk::new();
    let port = |names: &[&str], status| desk.cluster.serve(names, status);
    let other = Cluster::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let cases = [
        ("k3s-1.invalid".to_owned(), 6443, "name", "DNS or /etc/hosts"),
        ("127.0.0.1".to_owned(), 1, "refused", "whether k3s runs"),
        (
            "localhost".to_owned(),
            port(&["k3s-1"], "200 OK"),
            "certificate_name",
            "`tls-san: [localhost]`",
        ),
        (
            "localhost".to_owned(),
            other.serve(&["localhost"], "200 OK"),
            "authority",
            "another cluster",
        ),
        (
            "localhost".to_owned(),
            port(&["localhost"], "401 Unauthorized"),
            "credentials",
            "a server of this cluster",
        ),
        (
            "localhost".to_owned(),
            port(&["localhost"], "503 Service Unavailable"),
            "status",
            "the log of k3s",
        ),
        (
            "127.0.0.1".to_owned(),
            silent.local_addr().unwrap().port(),
            "timed_out",
            "firewalls",
        ),
    ];
    for (host, port, cause, advice) in cases {
        let limit = if cause == "timed_out" { 1 } else { 60 };
        let answer = desk.ask_within(limit, &format!("https://{host}:{port}"));
        assert_eq!(
            (&answer["reachable"], &answer["cause"]),
            (&json!(false), &json!(cause)),
            "{answer}"
        );
        let warning = answer["warnings"][0].as_str().unwrap();
        assert!(warning.contains(advice), "{cause}: {warning}");
    }
}

#[test]
fn distinguishes_a_server_that_rejects_our_certificate() {
    let (desk, other) = (Desk::new(), Cluster::new());
    // The same authority of servers, another one of clients.
    let mixed = Cluster {
        servers: other.servers,
        clients: Authority::like(&lasting(Leaf::new("k3s-client-ca@2"))),
        admin: other.admin,
    };
    let port = mixed.serve(&["localhost"], "200 OK");
    let mut content = desk.cluster.content(&format!("https://localhost:{port}"));
    content = content.replace(
        &STANDARD.encode(&desk.cluster.servers.pem),
        &STANDARD.encode(&mixed.servers.pem),
    );
    let answer = desk.write(json!({"content": content, "verify": true, "dest": desk.path("config")}));
    assert_eq!(answer["cause"], "credentials", "{answer}");
    // A warning: the file is written all the same.
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true))
    );
    assert!(desk.path("config").exists());
}

#[test]
fn an_address_that_answers_stays_and_one_that_does_not_is_changed() {
    let desk = Desk::new();
    let working = format!(
        "https://localhost:{}",
        desk.cluster.serve(&["localhost"], "200 OK")
    );
    let other = format!(
        "https://localhost:{}",
        Cluster::new().serve(&["localhost"], "200 OK")
    );
    let new = "https://k3s-1.invalid:6443";
    for (address, verify, expected) in [
        (working.as_str(), true, working.as_str()),
        // Another cluster answers there, so this one does not.
        (&other, true, new),
        ("https://127.0.0.1:1", true, new),
        // Nobody was asked.
        (&working, false, new),
    ] {
        let stale = desk.cluster.stale().replace("https://127.0.0.1:6443", address);
        let file = desk.file("config", &stale);
        let answer = desk.write(json!({"dest": file, "verify": verify, "verify_timeout": 60}));
        assert_eq!(
            (&answer["server"], &answer["failed"]),
            (&json!(expected), &json!(false)),
            "{answer}"
        );
        assert!(
            std::fs::read_to_string(&file)
                .unwrap()
                .contains(&format!("server: {expected}\n"))
        );
        assert_eq!(
            answer["reachable"],
            json!(verify.then_some(expected == working)),
            "{answer}"
        );
    }
}
