//! What the release server answers, through real connections on the loopback.

// The tests are the outside world too, and their helpers fail as tests do.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use common::{NEW, OLD, Server, binary};
use serde_json::json;
use sha2::{Digest, Sha256};

const STABLE: &str = "/v1-release/channels/stable";
const BINARY: &str = "/releases/download/v1.35.6%2Bk3s1/k3s";
const SUMS: &str = "/releases/download/v1.35.6+k3s1/sha256sum-amd64.txt";

#[test]
fn a_channel_redirects_to_the_page_of_its_version() {
    let server = Server::start();
    for (channel, version) in [("stable", NEW), ("v1.35", NEW), ("old", OLD)] {
        let answer = server.get(&format!("/v1-release/channels/{channel}"));
        assert_eq!(answer.status, 302);
        assert_eq!(
            answer.header("Location"),
            Some(server.url(&format!("/releases/tag/{version}")).as_str())
        );
    }
    // Asking for JSON does not change the first hop.
    let answer = server.ask("GET", STABLE, "Accept: application/json\r\n").unwrap();
    assert_eq!(answer.status, 302);
}

#[test]
fn a_channel_without_a_version_is_not_found_and_has_no_latest() {
    let server = Server::start();
    for channel in ["testing", "v1.99"] {
        let answer = server.get(&format!("/v1-release/channels/{channel}"));
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (404, Some("error"))
        );
    }
    let listing = server.get("/v1-release/channels").json();
    let testing = listing["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["name"] == "testing")
        .unwrap();
    assert_eq!(testing.get("latest"), None);
}

#[test]
fn the_listing_names_every_channel() {
    let server = Server::start();
    let listing = server.get("/v1-release/channels").json();
    assert_eq!(
        (&listing["type"], &listing["resourceType"]),
        (&json!("collection"), &json!("channels"))
    );
    let stable = listing["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == "stable")
        .unwrap();
    let own = server.url(STABLE);
    assert_eq!(
        stable,
        &json!({"id": "stable", "type": "channel", "links": {"self": own}, "name": "stable", "latest": NEW})
    );
}

#[test]
fn the_release_page_is_json_only_for_those_who_ask() {
    let server = Server::start();
    let page = "/releases/tag/v1.35.6+k3s1";
    let json = server.ask("GET", page, "Accept: application/json\r\n").unwrap();
    assert_eq!(json.json()["tag_name"], NEW);
    assert_eq!(json.json().as_object().unwrap().len(), 7);
    assert_eq!(server.get(page).header("Content-Type"), Some("text/html"));
    assert_eq!(server.get("/releases/tag/stable").status, 404);
}

#[test]
fn downloads_have_the_checksum_that_the_list_says() {
    let server = Server::start();
    let got = server.get(BINARY);
    assert_eq!((got.status, got.body.as_slice()), (200, binary(NEW).as_slice()));
    let sum = format!("{:x}", Sha256::digest(&got.body));
    assert!(
        server
            .get(SUMS)
            .text()
            .lines()
            .any(|line| line == format!("{sum}  k3s"))
    );
    // A release made anew has a new sum.
    std::fs::write(
        server.root.path().join("versions").join(NEW).join("k3s"),
        "rebuilt",
    )
    .unwrap();
    assert!(!server.get(SUMS).text().contains(&sum));
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Server::start();
    for path in [
        "/",
        "/releases/download/v1.99.0+k3s1/k3s",
        "/releases/download/stable/sha256sum-amd64.txt",
        "/releases/download/../channels.json/k3s",
        "/releases/download/%2e%2e/k3s",
        "/releases/download/v1.35.6+k3s1/k3s-arm64",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.ask("POST", STABLE, "").unwrap().status, 405);
    let head = server.ask("HEAD", BINARY, "").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("Content-Length"),
        Some(binary(NEW).len().to_string().as_str())
    );
}

#[test]
fn channel_faults_come_and_go_without_a_restart() {
    let server = Server::start();
    for (fault, status, body) in [
        ("404", 404, "404 as ordered\n"),
        ("500", 500, "500 as ordered\n"),
        ("503", 503, "503 as ordered\n"),
        ("empty", 200, ""),
        (
            "html",
            200,
            "<!DOCTYPE html>\n<html><body>Back soon</body></html>\n",
        ),
    ] {
        server.break_by(&format!(r#"{{"channels": "{fault}"}}"#));
        for path in [STABLE, "/v1-release/channels"] {
            let answer = server.get(path);
            assert_eq!((answer.status, answer.text()), (status, body), "{fault} {path}");
        }
        // Other paths are not affected.
        assert_eq!(server.get(BINARY).status, 200);
    }
    server.break_by("{}");
    assert_eq!(server.get(STABLE).status, 302);
}

#[test]
fn a_channel_may_answer_json_itself_or_its_own_name() {
    let server = Server::start();
    server.break_by(r#"{"channels": "json"}"#);
    assert_eq!(server.get(STABLE).json(), json!({"tag_name": NEW}));
    server.break_by(r#"{"channels": "name"}"#);
    let location = server.get(STABLE).header("Location").unwrap().to_owned();
    assert!(location.ends_with("/releases/tag/stable"), "{location}");
    let listing = server.get("/v1-release/channels").json();
    assert!(
        listing["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["latest"] == "stable")
    );
    server.break_by(r#"{"channels": "listing-only"}"#);
    assert_eq!(server.get(STABLE).status, 404);
    assert_eq!(server.get("/v1-release/channels").status, 200);
}

#[test]
fn a_silent_server_says_nothing_until_the_client_times_out() {
    let server = Server::start();
    server.break_by(r#"{"channels": "timeout"}"#);
    let error = server
        .ask_within(Duration::from_millis(1500), "GET", STABLE, "")
        .map(|answer| answer.head)
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    // It is one connection that hangs, not the server.
    assert_eq!(server.get(BINARY).status, 200);
}

#[test]
fn a_truncated_download_announces_more_than_it_sends() {
    let server = Server::start();
    server.break_by(r#"{"downloads": "truncated"}"#);
    let got = server.get(BINARY);
    let full = binary(NEW);
    assert_eq!(
        got.header("Content-Length"),
        Some(full.len().to_string().as_str())
    );
    assert_eq!(got.body, full[..full.len() / 2]);
    // What curl makes of it: 18, a partial file.
    let curl = Command::new("curl")
        .args(["-sfo", "/dev/null", &server.url(BINARY)])
        .status()
        .unwrap();
    assert_eq!(curl.code(), Some(18));
}

#[test]
fn an_altered_download_has_the_right_length_and_the_wrong_sum() {
    let server = Server::start();
    server.break_by(r#"{"downloads": "altered"}"#);
    let got = server.get(BINARY);
    let full = binary(NEW);
    assert_eq!(got.body.len(), full.len());
    assert_eq!(got.body.iter().zip(&full).filter(|(a, b)| a != b).count(), 1);
    let right = format!("{:x}", Sha256::digest(&full));
    assert!(
        server.get(SUMS).text().contains(&right),
        "the list must stay right"
    );
}

#[test]
fn a_slow_download_arrives_complete() {
    let server = Server::start();
    server.break_by(r#"{"downloads": "slow"}"#);
    let start = std::time::Instant::now();
    assert_eq!(server.get(BINARY).body, binary(NEW));
    assert!(start.elapsed().as_millis() >= 500, "{:?}", start.elapsed());
}

#[test]
fn binary_and_sums_fail_each_by_their_own_fault() {
    let server = Server::start();
    server.break_by(r#"{"downloads": "404"}"#);
    assert_eq!((server.get(BINARY).status, server.get(SUMS).status), (404, 200));
    server.break_by(r#"{"sums": "html"}"#);
    assert_eq!(server.get(BINARY).status, 200);
    assert!(server.get(SUMS).text().starts_with("<!DOCTYPE html>"));
    server.break_by(r#"{"install": "empty"}"#);
    assert_eq!(server.get("/install.sh").text(), "");
}

#[test]
fn refuses_an_unknown_fault() {
    let server = Server::start();
    for (faults, said) in [
        (r#"{"channels": "gremlins"}"#, "unknown fault \"gremlins\""),
        (r#"{"channels": "200"}"#, "unknown fault \"200\""),
        (r#"{"chanels": "404"}"#, "unknown field `chanels`"),
        ("{", "reading faults from"),
    ] {
        server.break_by(faults);
        let answer = server.get(STABLE);
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(said), "{}", answer.text());
    }
}

#[test]
fn the_install_script_points_back_here() {
    let server = Server::start();
    let ours = server.get("/install.sh").text().to_owned();
    assert!(!ours.contains("https://update.k3s.io"));
    let artifacts = format!(
        "INSTALL_K3S_ARTIFACT_URL=${{INSTALL_K3S_ARTIFACT_URL:-{}}}",
        server.url("/releases/download")
    );
    assert!(ours.lines().any(|line| line == artifacts), "{ours}");
    // A real script in the folder takes the place of ours.
    std::fs::write(
        server.root.path().join("install.sh"),
        "INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}\n",
    )
    .unwrap();
    assert_eq!(server.get("/install.sh").text(), format!("{artifacts}\n"));
}
