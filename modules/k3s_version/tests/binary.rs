//! The binary itself: the script that looks at a node, and the network, with nothing replaced but the node's
//! programs.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these are tests, and they play the network"
)]

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use testbed::Programs;

const VERSION: &str = "v1.31.4+k3s1";

/// A `k3s` that prints its version and answers for its node.
fn node() -> Programs {
    let text = format!(
        r#"#!/bin/sh
case "$*" in
--version) echo "k3s version {VERSION} (a562d090)"; echo "go version go1.22.9";;
*) echo "The connection to the server 127.0.0.1:6443 was refused" >&2; exit 1;;
esac
"#
    );
    Programs::new().with("k3s", &text).with_pct()
}

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_version"), arguments)
}

/// Answers one connection after the other with `reply`, and hands out the address.
fn serve(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    format!("http://{address}/channels")
}

fn ask(url: &str, more: Value) -> Value {
    let mut arguments = json!({"channel_url": url, "timeout": 60, "fail_on_refusal": false});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    answer(&node(), &arguments)
}

fn refused(url: &str) -> String {
    refused_within(60, url)
}

fn refused_within(limit: u32, url: &str) -> String {
    let answer = ask(url, json!({"timeout": limit}));
    assert_eq!(answer["failed"], true, "{answer}");
    answer["msg"].as_str().unwrap().to_owned()
}

#[test]
fn reads_the_installed_version_and_why_the_running_one_is_unknown() {
    let answer = answer(&node(), &json!({"version": VERSION, "node_name": "n1"}));
    assert_eq!(answer["installed"], VERSION, "{answer}");
    assert_eq!(answer["running"], Value::Null);
    assert_eq!(answer["running_reason"], "this node has no kubeconfig of k3s");
    assert_eq!(answer["node_name"], "n1");
}

#[test]
fn reports_a_container_without_k3s() {
    let programs = Programs::new();
    let answer = answer(&programs, &json!({"version": VERSION, "binary": "/nowhere/k3s"}));
    assert_eq!(
        (&answer["installed"], &answer["failed"]),
        (&Value::Null, &json!(false)),
        "{answer}"
    );
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(answer["node_name"], hostname.trim().to_lowercase());
}

#[test]
fn a_container_that_is_not_there_is_named() {
    let answer = answer(&node(), &json!({"version": VERSION, "vmid": 102}));
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("there is no container 102"),
        "{answer}"
    );
}

#[test]
fn a_redirect_is_read_and_not_followed() {
    let url = serve(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/releases/tag/v1.31.5+k3s1\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = ask(&url, json!({}));
    assert_eq!(answer["target"], "v1.31.5+k3s1", "{answer}");
    assert_eq!(answer["channel"]["url"], format!("{url}/stable"));
}

#[test]
fn a_listing_and_a_tag_are_read() {
    let listing = serve(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"data\": [{\"name\": \"v1.31\", \"latest\": \"v1.31.6+k3s1\"}]}",
    );
    assert_eq!(
        ask(&listing, json!({"channel": "v1.31"}))["target"],
        "v1.31.6+k3s1"
    );
    let tag = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"tag_name\": \"v1.31.7+k3s1\"}");
    assert_eq!(ask(&tag, json!({}))["channel"]["read_from"], "tag_name");
}

#[test]
fn reports_a_server_error_with_its_text() {
    let url = serve("HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nbroken");
    let msg = refused(&url);
    assert!(
        msg.contains("/channels/stable answered with status 500, text/plain, \"broken\""),
        "{msg}"
    );
}

#[test]
fn reports_a_truncated_answer() {
    let msg = refused(&serve("HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{\"data\""));
    assert!(msg.contains("the answer broke off after 7 bytes"), "{msg}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let msg = refused_within(1, &format!("http://{}/channels", listener.local_addr().unwrap()));
    assert!(msg.contains("no answer within 1 s"), "{msg}");
}

#[test]
fn reports_a_name_that_does_not_resolve() {
    let msg = refused("https://channels.invalid/all");
    assert!(
        msg.contains("asking https://channels.invalid/all/stable") && msg.contains("dns error"),
        "{msg}"
    );
}

#[test]
fn reports_a_refused_connection() {
    let msg = refused("http://127.0.0.1:1/channels");
    assert!(msg.to_lowercase().contains("connection refused"), "{msg}");
}

/// A TLS server with a certificate that nobody else trusts; its authority's file, and its address.
fn serve_tls(folder: &std::path::Path) -> (String, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer_tls(stream.unwrap(), &Arc::new(config.clone()));
        }
    });
    (
        format!("https://localhost:{port}/channels"),
        file.display().to_string(),
    )
}

fn answer_tls(mut stream: TcpStream, config: &Arc<rustls::ServerConfig>) {
    let mut connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    if tls.read(&mut [0; 4096]).is_ok() {
        let _ =
            tls.write_all(b"HTTP/1.1 302 Found\r\nLocation: /tag/v1.31.5+k3s1\r\nContent-Length: 0\r\n\r\n");
    }
}

#[test]
fn only_a_known_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (url, ca_file) = serve_tls(folder.path());
    let msg = refused(&url);
    assert!(msg.contains("certificate"), "{msg}");
    let answer = ask(&url, json!({"ca_file": ca_file}));
    assert_eq!(answer["target"], "v1.31.5+k3s1", "{answer}");
}

#[test]
fn distinguishes_a_server_without_tls() {
    let msg = refused(&serve("HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:"));
    assert!(
        msg.contains("asking https://127.0.0.1") && msg.contains("InvalidContentType"),
        "{msg}"
    );
}

#[test]
fn an_authority_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let answer = ask("https://127.0.0.1:1/channels", json!({"ca_file": file}));
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("there is no certificate in it"),
        "{answer}"
    );
}

#[test]
fn a_body_of_a_byte_at_a_time_does_not_outlast_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    thread::sleep(std::time::Duration::from_millis(200));
                }
            });
        }
    });
    let began = std::time::Instant::now();
    let message = refused_within(1, &format!("http://{address}/channels"));
    assert!(message.contains("no answer within 1 s"), "{message}");
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
}
