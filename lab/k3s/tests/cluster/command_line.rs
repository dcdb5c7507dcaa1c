//! Commands that need no cluster, and the files of a server.

use crate::lab::{Lab, VERSION, read, text};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

fn k3s(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    // It calls itself by the name of its file.
    let program = folder.path().join("k3s");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_k3s-standin"), &program).unwrap();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LAB_K3S_VERSION", VERSION)
        .env("LAB_ETC", folder.path());
    command
        .env("K3S_DATA_DIR", folder.path())
        .env("LAB_TIME_FACTOR", "100")
        .output()
        .unwrap()
}

#[test]
fn words_and_exit_statuses_are_the_recorded_ones() {
    let version = k3s(&["--version"]);
    let output = text(&version.stdout);
    let begins = format!("k3s version {VERSION} (");
    assert!(
        output.starts_with(&begins) && output.ends_with(")\ngo version go1.25.9\n"),
        "{output}"
    );
    let nonsense = k3s(&["nosuchcommand"]);
    assert_eq!(
        (nonsense.status.code(), text(&nonsense.stderr)),
        (Some(3), "No help topic for 'nosuchcommand'\n".to_owned())
    );
    let flag = k3s(&["server", "--nosuchflag"]);
    assert_eq!(flag.status.code(), Some(1));
    assert!(text(&flag.stdout).starts_with("Incorrect Usage: flag provided but not defined: -nosuchflag"));
    assert!(
        text(&flag.stderr)
            .ends_with("level=fatal msg=\"Error: flag provided but not defined: -nosuchflag\"\n")
    );
    let agent = k3s(&["agent"]);
    assert_eq!(agent.status.code(), Some(1));
    assert!(text(&agent.stderr).ends_with("level=fatal msg=\"--token is required\"\n"));
    assert_eq!(k3s(&["etcd-snapshot", "save"]).status.code(), Some(1));
    assert_eq!(k3s(&[]).status.code(), Some(0));
}

#[test]
fn a_server_lays_down_k3s_own_files() {
    let lab = Lab::start(VERSION, 1);
    let server = lab.folder.path().join("n1/data/server");
    let mode = |path: &str| std::fs::metadata(server.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(""), mode("token"), mode("tls/etcd/client.key")),
        (0o700, 0o600, 0o600)
    );
    assert_eq!(
        std::fs::read_link(server.join("node-token")).unwrap(),
        server.join("token")
    );
    assert!(read(&server.join("token")).starts_with("K10"));
    let tls = |path: &str| server.join("tls").join(path).exists();
    for name in ["kube-scheduler", "kube-controller-manager"] {
        assert!(tls(&format!("{name}/{name}.crt")), "{name}");
    }
    for name in [
        "client-k3s-controller",
        "client-kube-proxy",
        "client-kubelet",
        "serving-kubelet",
    ] {
        assert!(
            tls(&format!("{name}.key")) && !tls(&format!("{name}.crt")),
            "{name}"
        );
    }
    assert!(server.join("db/state.db").exists() && !server.join("db/etcd/member").exists());
    let config = lab.etc("n1").join("rancher/k3s/k3s.yaml");
    assert_eq!(
        std::fs::metadata(&config).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        read(&server.join("tls/client-admin.crt"))
            .matches("BEGIN CERTIFICATE")
            .count(),
        2
    );
    assert!(
        read(&config).starts_with("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ")
    );
}
