//! Nodes as folders: the module's programs run unchanged, with a systemd, a curl and a k3s of a few lines, and any
//! changing program can be the one before which everything is killed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use ansible_module::{Call, params, run};
use k3s_join::K3sJoin;
use serde_json::{Value, json};
use std::ops::Deref;
use testbed::{Sandbox, assert_settles};

const MOVED: [&str; 7] = [
    "/etc/systemd",
    "/etc/rancher",
    "/usr/local/bin",
    "/var/lib/homelab-k3s",
    "/var/lib/rancher",
    "/run/",
    "/proc/net",
];
const PROGRAMS: &str = include_str!("programs.sh");
const DATA: &str = "var/lib/rancher/k3s";
const OURS: &str = "etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-join.yaml";
const CA: &str = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";

struct Node(Sandbox);

impl Deref for Node {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Node {
    fn new() -> Self {
        let node = Self(Sandbox::new(&MOVED, PROGRAMS));
        node.make_folder("run/systemd/system");
        node.make_folder("usr/local/bin");
        for name in ["k3s", "k3s-killall.sh"] {
            std::fs::rename(
                node.path(&format!("bin/{name}")),
                node.path(&format!("usr/local/bin/{name}")),
            )
            .unwrap();
        }
        node.put("state/open-ca", CA);
        node.put("proc/net/fib_trie", "     |-- 10.0.0.2\n        /32 host LOCAL\n");
        node
    }

    /// A server that has been here before, and whose service runs.
    fn with_server(self, ca: &str) -> Self {
        let binary = self.moved("/usr/local/bin/k3s");
        self.put(
            "etc/systemd/system/k3s.service",
            &format!("[Service]\nExecStart={binary} server --disable traefik\n"),
        );
        self.put("state/k3s.service.started", "");
        self.put(&format!("{DATA}/server/tls/server-ca.crt"), ca);
        self.put(&format!("{DATA}/server/token"), "K10abc::server:s3cr3t\n");
        self.put(&format!("{DATA}/server/agent-token"), "K10abc::node:ag3nt\n");
        self.make_folder(&format!("{DATA}/server/db/etcd/member/wal"));
        self.put(&format!("{DATA}/server/db/etcd/name"), "node-00000000");
        self.put(&format!("{DATA}/agent/client-kubelet.crt"), "x");
        self
    }

    fn answer(&self, more: Value, check: bool) -> Value {
        let mut arguments = json!({"vmid": 101, "role": "server"});
        let all = arguments.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        all.insert("_ansible_check_mode".to_owned(), check.into());
        let call = Call::parse(&serde_json::to_vec(&arguments).unwrap()).unwrap();
        run::<K3sJoin>(&params::<K3sJoin>(&call).unwrap(), &call, &self.0).into_json()
    }

    fn prepare(&self, more: &Value) -> Value {
        let answer = self.answer(prepared(more), false);
        assert!(!answer.to_string().contains("s3cr3t"), "{answer}");
        answer
    }
}

fn prepared(more: &Value) -> Value {
    let mut all = json!({
        "state": "prepared", "node_name": "node", "token": "s3cr3t", "version": "v1.31.4+k3s1",
        "server": {"url": "https://api:6443", "version": "v1.31.4+k3s1", "datastore": "etcd", "ca": CA,
            "settings": {"disable": ["traefik"]}},
    });
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    all
}

fn mode(node: &Node, path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(node.path(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_empty_node_is_prepared_once() {
    let node = Node::new();
    let first = node.prepare(&json!({}));
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first}"
    );
    assert_eq!(
        node.text(OURS),
        "# Written by homelab.k3s.k3s_join: which cluster this node joins.\nserver: https://api:6443\ntoken: s3cr3t\ndisable:\n- traefik\n"
    );
    assert_eq!(mode(&node, OURS), 0o600);
    // The server is verified with the cluster's own authority, and the clock is compared with its own.
    assert_eq!(node.text("state/trusted"), CA);
    assert_eq!(node.text("state/getent"), "ahosts api\n");
    let warnings = first["warnings"].to_string();
    assert!(
        warnings.contains("2 addresses (10.0.0.1, 10.0.0.3)"),
        "{warnings}"
    );
    assert_eq!(first["node"]["addresses"], json!(["10.0.0.2"]));
    let second = node.prepare(&json!({}));
    assert_eq!(
        (&second["failed"], &second["changed"]),
        (&json!(false), &json!(false)),
        "{second}"
    );
}

#[test]
fn check_mode_changes_nothing() {
    let node = Node::new().with_server(CA);
    let before = node.files("");
    let answer = node.answer(prepared(&json!({})), true);
    assert_eq!(answer["actions"].as_array().unwrap().len(), 2, "{answer}");
    // Notes of the test's own programs apart.
    let own = |files: Vec<(String, String)>| -> Vec<(String, String)> {
        files
            .into_iter()
            .filter(|(name, _)| !name.contains("state/"))
            .collect()
    };
    assert_eq!(own(node.files("")), own(before));
    assert!(node.has("state/k3s.service.started"));
}

#[test]
fn a_server_is_asked_by_its_address_of_ipv6() {
    let node = Node::new();
    let server = json!({"url": "https://[fd00::1]:6443", "version": "v1.31.4+k3s1", "datastore": "etcd", "ca": CA, "settings": {}});
    let answer = node.prepare(&json!({"server": server}));
    assert_eq!(answer["failed"], json!(false), "{answer}");
    assert_eq!(node.text("state/getent"), "ahosts fd00::1\n");
    assert_eq!(node.text("state/pinged"), "https://[fd00::1]:6443/ping\n");
    assert!(
        node.text(OURS).contains("server: \"https://[fd00::1]:6443\"")
            || node.text(OURS).contains("server: https://[fd00::1]:6443")
    );
}

#[test]
fn a_server_in_a_unit_of_another_name_is_stopped_by_that_name() {
    let node = Node::new().with_server("other");
    let to = |name: &str| node.path(&format!("etc/systemd/system/{name}"));
    std::fs::rename(to("k3s.service"), to("k3s-server.service")).unwrap();
    let shutdown = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
    node.put("etc/systemd/system/k3s-shutdown.service", shutdown);
    for unit in ["k3s-server.service", "k3s-shutdown.service"] {
        node.put(&format!("state/{unit}.started"), "");
    }
    let answer = node.prepare(&json!({"discard": true}));
    assert_eq!(answer["failed"], json!(false), "{answer}");
    assert!(!node.has("state/k3s-server.service.started") && node.has("state/k3s-shutdown.service.started"));
}

#[test]
fn the_database_of_a_forgotten_member_is_kept_aside() {
    let node = Node::new().with_server(CA);
    let answer = node.prepare(&json!({}));
    assert_eq!(answer["failed"], json!(false), "{answer}");
    assert!(!node.has("state/k3s.service.started"));
    assert!(!node.has(&format!("{DATA}/server/db/etcd")));
    assert_eq!(
        node.text(&format!("{DATA}/before-join-20261122T170230Z/etcd/name")),
        "node-00000000"
    );
    assert_eq!(
        mode(&node, &format!("{DATA}/before-join-20261122T170230Z")),
        0o700
    );
    assert!(node.has(&format!("{DATA}/server/tls/server-ca.crt")) && !node.has("state/killed"));
}

#[test]
fn sets_another_clusters_data_aside_and_ends_its_pods() {
    let node = Node::new().with_server("other");
    let refused = node.prepare(&json!({}));
    assert!(
        refused["msg"].as_str().unwrap().contains("(other_cluster)"),
        "{refused}"
    );
    assert!(node.has("state/k3s.service.started"));
    let answer = node.prepare(&json!({"discard": true}));
    assert_eq!(answer["failed"], json!(false), "{answer}");
    assert!(
        node.has("state/killed")
            && !node.has(&format!("{DATA}/server"))
            && !node.has(&format!("{DATA}/agent"))
    );
    assert_eq!(node.names(DATA).len(), 1);
}

#[test]
fn distinguishes_who_answers() {
    let node = Node::new();
    node.put("state/curl", "60");
    let answer = node.prepare(&json!({}));
    assert!(
        answer["msg"].as_str().unwrap().contains("(not_in_certificate)"),
        "{answer}"
    );
    node.put("state/open-ca", "other");
    let answer = node.prepare(&json!({}));
    assert!(
        answer["msg"].as_str().unwrap().contains("(not_the_cluster)"),
        "{answer}"
    );
    node.put("state/curl", "7");
    let answer = node.prepare(&json!({}));
    assert!(
        answer["msg"].as_str().unwrap().contains("(unreachable)"),
        "{answer}"
    );
}

#[test]
fn killed_before_any_change_it_is_finished_by_the_next_run() {
    for kill_at in 1.. {
        let node = Node::new().with_server("other");
        node.kill_at.set(kill_at);
        node.prepare(&json!({"discard": true}));
        let killed = node.was_killed();
        node.revive();
        let answer = node.prepare(&json!({"discard": true}));
        assert_eq!(answer["failed"], json!(false), "killed at {kill_at}: {answer}");
        let left = node.names(DATA);
        assert!(
            left.iter().all(|name| name.starts_with("before-join-")),
            "killed at {kill_at}: {left:?}"
        );
        assert!(node.text(OURS).contains("token: s3cr3t"));
        let again = node.prepare(&json!({"discard": true}));
        assert_eq!(again["changed"], json!(false), "killed at {kill_at}: {again}");
        if !killed {
            assert!(kill_at > 8, "only {kill_at} moments were tried");
            return;
        }
    }
}

/// What a node may have been before it joins.
const BEFORE: [&str; 6] = [
    "nothing",
    "a server",
    "a server of another cluster",
    "an agent",
    "an agent of another cluster",
    "data without a unit",
];

fn once(before: &str) -> Node {
    let ca = if before.ends_with("another cluster") {
        "other"
    } else {
        CA
    };
    match before {
        "nothing" => Node::new(),
        "a server" | "a server of another cluster" => Node::new().with_server(ca),
        "data without a unit" => {
            let node = Node::new().with_server(ca);
            node.remove_file("etc/systemd/system/k3s.service");
            node.remove_file("state/k3s.service.started");
            node
        }
        _ => {
            let node = Node::new();
            let binary = node.moved("/usr/local/bin/k3s");
            let unit = format!("[Service]\nExecStart={binary} agent --server https://10.0.0.9:6443\n");
            node.put("etc/systemd/system/k3s-agent.service", &unit);
            node.put("state/k3s-agent.service.started", "");
            node.put(&format!("{DATA}/agent/server-ca.crt"), ca);
            node.put(&format!("{DATA}/agent/client-kubelet.crt"), "x");
            node.put("etc/rancher/node/password", "secret\n");
            node
        }
    }
}

#[test]
fn whatever_it_was_before_a_second_run_changes_nothing() {
    for before in BEFORE {
        for (role, more) in [
            (
                "server",
                json!({"agent_token": "ag3nt", "node_name": "another-name"}),
            ),
            ("agent", json!({})),
        ] {
            let more = prepared(&more);
            for (discard, fail_on_refusal) in [(true, true), (false, false)] {
                let case =
                    format!("{before} becomes {role}, discard {discard}, fail_on_refusal {fail_on_refusal}");
                let node = once(before);
                let mut options = more.clone();
                options["role"] = json!(role);
                options["discard"] = json!(discard);
                options["fail_on_refusal"] = json!(fail_on_refusal);
                // The notes of what was asked are the test's.
                let started = || {
                    let mut names = node.names("state");
                    names.retain(|name| name.ends_with(".started"));
                    names
                };
                let world = || (node.files("etc"), node.files("var"), started());
                let first = assert_settles(&case, |check| node.answer(options.clone(), check), world);
                assert!(!first.to_string().contains("s3cr3t"), "{case}: {first}");
                let fits = match before.split(' ').nth(1) {
                    Some("server") => role == "server",
                    Some("agent") => role == "agent",
                    _ => true,
                };
                let is_joined = before == "an agent";
                let is_anothers = before.ends_with("another cluster");
                let changes = fits && !is_joined && (discard || !is_anothers);
                assert_eq!(first["changed"], changes, "{case}: {first}");
            }
        }
    }
}

#[test]
fn what_a_node_needs_is_read_from_a_server() {
    let node = Node::new().with_server(CA);
    let answer = node.answer(json!({"state": "read"}), false);
    assert_eq!(answer["changed"], json!(false));
    assert_eq!(
        answer["server"],
        json!({"url": "https://10.0.0.2:6443", "version": "v1.31.4+k3s1", "datastore": "etcd", "ca": CA, "settings": {"disable": ["traefik"]}})
    );
    assert_eq!(answer["token"], json!("K10abc::server:s3cr3t"));
    assert!(answer.get("agent_token").is_none());
    // Where agents have a password of their own, that is what an agent is given, and every server must know it.
    node.put(
        "etc/rancher/k3s/config.yaml",
        "agent-token: ag3nt\nhttps-listen-port: 7443\n",
    );
    let agent = node.answer(json!({"state": "read", "role": "agent"}), false);
    assert_eq!(agent["token"], json!("K10abc::node:ag3nt"));
    assert_eq!(agent["server"]["url"], json!("https://10.0.0.2:7443"));
    let server = node.answer(json!({"state": "read", "url": "https://k3s.lan:6443/"}), false);
    assert_eq!(
        (&server["agent_token"], &server["server"]["url"]),
        (&json!("ag3nt"), &json!("https://k3s.lan:6443"))
    );
}

#[test]
fn a_server_that_has_never_served_has_no_token() {
    let node = Node::new().with_server(CA);
    node.remove_file(&format!("{DATA}/server/token"));
    let answer = node.answer(json!({"state": "read"}), false);
    assert!(
        answer["msg"].as_str().unwrap().contains("no server/token yet"),
        "{answer}"
    );
}
