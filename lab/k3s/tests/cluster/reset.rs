//! What `--cluster-reset` refuses before it touches anything. That it restores is tried in the lab, with real etcd.

use crate::lab::{Lab, SLOW, VERSION, text};
use std::process::Output;

const TOKEN: [&str; 2] = ["--token", "labtoken"];

fn server(lab: &Lab, arguments: &[&str]) -> Output {
    let data = lab.folder.path().join("n1/data");
    let mut command = lab.k3s(VERSION, "n1");
    command
        .arg("server")
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .args(["--node-name", "n1", "--node-ip", "127.0.0.1"]);
    command.output().unwrap()
}

fn refusal(lab: &Lab, arguments: &[&str]) -> String {
    let output = server(lab, &[arguments, &TOKEN].concat());
    refused(lab, &output)
}

fn refused(lab: &Lab, output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(!lab.folder.path().join("n1/data/server").join("tls").exists());
    text(&output.stderr)
}

#[test]
fn what_cannot_be_reset_is_refused_before_anything_is_touched() {
    let lab = Lab::empty(SLOW);
    let path = "--cluster-reset-restore-path=/no/such/snapshot";
    let cases: [(&[&str], &str); 3] = [
        (
            &[path],
            "--cluster-reset required with --cluster-reset-restore-path",
        ),
        (
            &["--cluster-reset", path],
            "etcd: snapshot path does not exist: /no/such/snapshot",
        ),
        (
            &["--cluster-reset", "--server", "https://10.0.0.1:6443"],
            "cannot perform cluster-reset while server URL is set",
        ),
    ];
    for (arguments, wanted) in cases {
        let refusal = refusal(&lab, arguments);
        assert!(refusal.contains(wanted), "{refusal}");
    }
    std::fs::create_dir_all(lab.folder.path().join("n1/data/server/db")).unwrap();
    std::fs::write(lab.folder.path().join("n1/data/server/db/reset-flag"), "").unwrap();
    let again = refusal(&lab, &["--cluster-reset"]);
    assert!(again.contains("db/reset-flag file"), "{again}");
}

#[test]
fn a_restore_without_a_token_of_its_own_overlooks_the_one_in_a_file() {
    let lab = Lab::empty(SLOW);
    let file = lab.folder.path().join("secret");
    std::fs::write(&file, "labtoken\n").unwrap();
    let file = file.to_str().unwrap();
    let arguments = [
        "--cluster-reset",
        "--cluster-reset-restore-path=/no/such/snapshot",
        "--token-file",
        file,
    ];
    let output = || refused(&lab, &server(&lab, &arguments));
    let lost = output();
    assert!(
        lost.contains("server/token does not exist, please pass --token to complete the restoration"),
        "{lost}"
    );
    std::fs::create_dir_all(lab.folder.path().join("n1/data/server")).unwrap();
    std::fs::write(lab.folder.path().join("n1/data/server/token"), "labtoken\n").unwrap();
    let there = output();
    assert!(there.contains("snapshot path does not exist"), "{there}");
}
