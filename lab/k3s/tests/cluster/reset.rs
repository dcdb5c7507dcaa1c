//! What `--cluster-reset` refuses before it touches anything. That it restores is tried in the lab, with real etcd.

use crate::lab::{Lab, SLOW, text};
use std::process::Output;

fn server(lab: &Lab, version: &str, arguments: &[&str]) -> Output {
    let data = lab.folder.path().join("n1/data");
    let mut command = lab.k3s(version, "n1");
    command
        .arg("server")
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .args([
            "--node-name",
            "n1",
            "--node-ip",
            "127.0.0.1",
            "--token",
            "labtoken",
        ]);
    command.output().unwrap()
}

fn refusal(lab: &Lab, version: &str, arguments: &[&str]) -> String {
    let output = server(lab, version, arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(!lab.folder.path().join("n1/data/server").join("tls").exists());
    text(&output.stderr)
}

#[test]
fn what_cannot_be_reset_is_refused_before_anything_is_touched() {
    let lab = Lab::empty(SLOW);
    let path = "--cluster-reset-restore-path=/no/such/snapshot";
    let cases: [(&str, &[&str], &str); 3] = [
        (
            "v1.31.4+k3s1",
            &[path],
            "--cluster-reset required with --cluster-reset-restore-path",
        ),
        (
            "v1.31.4+k3s1",
            &["--cluster-reset", path],
            "etcd: snapshot path does not exist: /no/such/snapshot",
        ),
        (
            "v1.31.4+k3s1",
            &["--cluster-reset", "--server", "https://10.0.0.1:6443"],
            "cannot perform cluster-reset while server URL is set",
        ),
    ];
    for (version, arguments, told) in cases {
        let refusal = refusal(&lab, version, arguments);
        assert!(refusal.contains(told), "{refusal}");
    }
    std::fs::create_dir_all(lab.folder.path().join("n1/data/server/db")).unwrap();
    std::fs::write(lab.folder.path().join("n1/data/server/db/reset-flag"), "").unwrap();
    let again = refusal(&lab, "v1.31.4+k3s1", &["--cluster-reset"]);
    assert!(again.contains("db/reset-flag file"), "{again}");
}
