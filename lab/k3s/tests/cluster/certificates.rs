//! Certificates that end, are looked at, rotated and renewed, and kubeconfigs that are damaged.

use crate::lab::{Lab, VERSION, read, text};
use k3s_standin::pki::leaf::{Validity, first};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

const EXPIRED: &str = "x509: certificate has expired or is not yet valid";

impl Lab {
    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("data")
    }

    /// What `lab fault` runs in a container.
    #[track_caller]
    fn tamper(&self, name: &str, words: &[&str]) -> String {
        let bundle = self.tool("n1", &["bundle"], "");
        let done = self.tool(name, words, &text(&bundle.stdout));
        assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
        text(&done.stdout)
    }

    fn tool(&self, name: &str, words: &[&str], stdin: &str) -> Output {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_lab-certificates"));
        command.args(words).env("LAB_ETC", self.etc(name));
        command
            .env("K3S_DATA_DIR", self.data(name))
            .write_stdin(stdin)
            .output()
            .unwrap()
    }

    fn certificate(&self, version: &str, name: &str, words: &[&str]) -> Output {
        let data = self.data(name);
        let mut command = self.k3s(version, name);
        command.arg("certificate").args(words).arg("--data-dir").arg(data);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn refusal(&self) -> String {
        let refused = self.kubectl(&["get", "nodes"]);
        assert!(!refused.status.success());
        text(&refused.stderr)
    }

    fn restart(&self) {
        self.kill("n1");
        self.start_server(VERSION);
        self.wait_for("an answer", || self.kubectl(&["get", "nodes"]).status.success());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_expired_client_is_refused_until_the_server_starts_again() {
    let lab = Lab::start(VERSION, 1);
    let config = lab.etc("n1").join("rancher/k3s/k3s.yaml");
    let before = read(&config);
    let output = lab.tamper("n1", &["expire", "3", "admin"]);
    assert!(
        output.contains("server/tls/client-admin.crt\n") && output.contains("k3s.yaml\n"),
        "{output}"
    );
    assert_ne!(read(&config), before);
    let refusal = lab.refusal();
    assert!(
        refusal.contains("You must be logged in to the server"),
        "{refusal}"
    );
    assert!(read(&lab.log("n1")).contains("Unable to authenticate the request"));
    lab.restart();
    assert_ne!(read(&config), before, "a renewed certificate is another one");
    let key = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(key(&read(&config)), key(&before), "renewal keeps the key");
    lab.tamper("n1", &["restore"]);
    lab.run(&["get", "nodes"]);
}

#[test]
fn an_expired_listener_is_refused_by_kubectl_itself_and_can_be_put_back() {
    let lab = Lab::start(VERSION, 1);
    lab.tamper("n1", &["expire", "1", "listener"]);
    let refusal = lab.refusal();
    assert!(refusal.contains(EXPIRED), "{refusal}");
    lab.tamper("n1", &["restore"]);
    lab.run(&["get", "nodes"]);
    // The one within the window that a start renews: it is good until then, and replaced then.
    lab.tamper("n1", &["expire", "-80", "all"]);
    lab.run(&["get", "nodes"]);
    let listener = lab.data("n1").join("server/tls/dynamic-cert.json");
    let before = read(&listener);
    lab.restart();
    assert_ne!(read(&listener), before);
}

#[test]
fn a_node_with_an_expired_certificate_is_lost_until_its_agent_starts_again() {
    let lab = Lab::start(VERSION, 2);
    let output = lab.tamper("n2", &["expire", "1", "all"]);
    assert_eq!(output.matches("/agent/").count(), 4, "{output}");
    lab.wait_for("the loss", || lab.ready("n2") == "Unknown");
    lab.kill("n2");
    lab.start_agent(VERSION, "n2");
    lab.wait_for("its return", || lab.ready("n2") == "True");
}

#[test]
fn rotating_takes_the_files_away_and_the_start_makes_new_ones() {
    let lab = Lab::start(VERSION, 2);
    let server = lab.data("n1").join("server");
    let admin = read(&server.join("tls/client-admin.crt"));
    let listener = read(&server.join("tls/dynamic-cert.json"));
    let ca = read(&server.join("tls/client-ca.crt"));
    let unknown = lab.certificate(VERSION, "n1", &["rotate", "--service", "admin,foo"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).ends_with("level=fatal msg=\"service foo is not recognized\"\n"));
    lab.kill("n1");
    let done = lab.certificate(VERSION, "n1", &["rotate"]);
    assert_eq!(done.status.code(), Some(0));
    let output = text(&done.stderr);
    for line in [
        "Server detected, rotating agent and server certificates",
        "Rotating dynamic listener certificate",
        "Rotating certificates for admin",
        "please restart k3s server or agent to rotate certificates",
    ] {
        assert!(output.contains(line), "{output}");
    }
    let backup = names(&server)
        .into_iter()
        .find(|name| name.starts_with("tls-"))
        .unwrap();
    assert_eq!(read(&server.join(&backup).join("client-admin.crt")), admin);
    assert!(
        server.join(&backup).join("client-kubelet.key").exists(),
        "the agent's are kept beside"
    );
    let left = names(&server.join("tls"));
    assert!(left.contains(&"dynamic-cert-regenerate".to_owned()), "{left:?}");
    assert!(!left.contains(&"client-admin.crt".to_owned()) && !left.contains(&"client-admin.key".to_owned()));
    lab.start_server(VERSION);
    lab.wait_for("an answer", || lab.kubectl(&["get", "nodes"]).status.success());
    assert_ne!(read(&server.join("tls/client-admin.crt")), admin);
    assert_ne!(read(&server.join("tls/dynamic-cert.json")), listener);
    assert_eq!(read(&server.join("tls/client-ca.crt")), ca);
    assert!(!server.join("tls/dynamic-cert-regenerate").exists());
    assert!(lab.get("secret -n kube-system k3s-serving -o jsonpath={.type}") == "kubernetes.io/tls");
    rotates_on_an_agent(&lab);
}

fn rotates_on_an_agent(lab: &Lab) {
    let agent = lab.data("n2").join("agent");
    lab.kill("n2");
    let done = lab.certificate(VERSION, "n2", &["rotate", "-s", "kubelet"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(!agent.join("client-kubelet.crt").exists() && agent.join("client-kube-proxy.crt").exists());
    assert!(names(&agent).iter().any(|name| name.starts_with("tls-")));
    lab.start_agent(VERSION, "n2");
    lab.wait_for("new certificates", || agent.join("client-kubelet.crt").exists());
}

#[test]
fn a_kubeconfig_is_damaged_and_restored() {
    let lab = Lab::start(VERSION, 1);
    let config = lab.etc("n1").join("rancher/k3s/k3s.yaml");
    let before = read(&config);
    let cases = [
        ("empty", ""),
        ("truncated-pem", ""),
        ("ca-mismatch", "certificate signed by unknown authority"),
        ("no-client-certificate", ""),
    ];
    for (what, wanted) in cases {
        lab.tamper("n1", &["kubeconfig", what]);
        let refused = lab.kubectl(&["get", "nodes", "--username=x", "--password=y"]);
        assert!(!refused.status.success(), "{what}");
        assert!(
            text(&refused.stderr).contains(wanted),
            "{what}: {}",
            text(&refused.stderr)
        );
    }
    lab.tamper("n1", &["kubeconfig", "none"]);
    assert_eq!(read(&config), before);
    let wrong = lab.tool("n1", &["kubeconfig", "sideways"], "");
    assert!(text(&wrong.stderr).contains("is none of empty, "));
    assert_eq!(read(&config), before);
}

#[test]
fn a_chosen_lifetime_is_that_of_new_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_k3s-standin"));
    command.args([
        "server",
        "--token",
        "t",
        "--node-ip",
        "127.0.0.1",
        "--bind-address",
        "127.0.0.9",
        "--data-dir",
    ]);
    command
        .arg(folder.path())
        .env("LAB_ETC", folder.path())
        .env("LAB_TIME_FACTOR", "100");
    command
        .env("CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS", "30")
        .stderr(Stdio::null());
    let mut server = command.spawn().unwrap();
    let file = folder.path().join("server/tls/dynamic-cert.json");
    let begun = std::time::Instant::now();
    while !file.exists() {
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(20),
            "no certificates came"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let chain = read(&folder.path().join("server/tls/client-admin.crt"));
    let pem = first(&chain).unwrap();
    let left = Validity::of(&pem.parse_x509().unwrap()).left();
    assert_eq!(left.whole_days(), 29);
}
