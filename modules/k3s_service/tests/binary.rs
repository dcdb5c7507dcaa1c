//! The binary itself with its scripts in a real shell, programs on PATH, and a process that looks like a pod's.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use testbed::Programs;

/// Says what is in the files `active` and `enabled` beside it, and writes them.
const SYSTEMCTL: &str = r#"#!/bin/sh
here=${0%/*}
case "$*" in
"show -p LoadState k3s-agent.service") echo LoadState=loaded ;;
"show -p LoadState "*) echo LoadState=not-found ;;
"show -p ActiveState k3s-agent.service") echo "ActiveState=$(cat "$here/active")" ;;
"show -p UnitFileState k3s-agent.service") echo "UnitFileState=$(cat "$here/enabled")" ;;
"show -p ExecStart k3s-agent.service") echo "ExecStart={ path=$here/k3s ; argv[]=$here/k3s agent ; }" ;;
"show "*) ;;
"stop --no-block k3s-agent.service") echo inactive >"$here/active" ;;
"disable k3s-agent.service") echo disabled >"$here/enabled" ;;
*) exit 1 ;;
esac
"#;

/// This machine may run a k3s with pods of its own: of all processes only those of the test say what they are.
const TR: &str = r#"#!/bin/sh
line=$(/usr/bin/tr "$@")
case $line in *"${0%/*}"*) echo "$line" ;; esac
"#;

fn programs() -> Programs {
    let programs = Programs::new().with("systemctl", SYSTEMCTL).with("tr", TR);
    std::fs::write(programs.folder().join("active"), "active\n").unwrap();
    std::fs::write(programs.folder().join("enabled"), "enabled\n").unwrap();
    programs
}

fn data_dir(programs: &Programs) -> String {
    programs.folder().join("data dir").display().to_string()
}

/// What a pod leaves running, as far as its name goes.
fn pod(programs: &Programs) -> Child {
    let mut sleep = std::process::Command::new("/bin/sleep");
    let name = format!("{}/data/1a2b/bin/containerd-shim-runc-v2", data_dir(programs));
    sleep.arg0(name).arg("600").spawn().unwrap()
}

fn answer(programs: &Programs, arguments: &Value) -> Value {
    let path = format!("{}:/usr/bin:/bin", programs.folder().display());
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("k3s_service"));
    let output = command
        .env("PATH", path)
        .arg(programs.arguments(arguments))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_pods_that_are_left_running_are_seen_and_ended() {
    let programs = programs();
    let mut pod = pod(&programs);
    let killall = format!(
        "#!/bin/sh\n[ \"$K3S_DATA_DIR\" = '{}' ] && kill -9 {}\n",
        data_dir(&programs),
        pod.id()
    );
    let programs = programs.with("k3s-killall.sh", &killall);
    let arguments = json!({"data_dir": data_dir(&programs)});
    let reaped = std::thread::spawn(move || pod.wait());
    let done = answer(&programs, &arguments);
    reaped.join().unwrap().unwrap();
    assert_eq!(
        (&done["failed"], &done["changed"]),
        (&json!(false), &json!(true)),
        "{done}"
    );
    assert_eq!(
        (&done["unit"], &done["active"], &done["enabled"], &done["pods"]),
        (&json!("k3s-agent"), &json!(false), &json!(false), &json!(0))
    );
    let again = answer(&programs, &arguments);
    assert_eq!(
        (&again["changed"], &again["actions"]),
        (&json!(false), &json!([])),
        "{again}"
    );
}

#[test]
fn nothing_is_touched_where_the_pods_could_not_be_ended() {
    let programs = programs();
    let mut pod = pod(&programs);
    let arguments = json!({"data_dir": data_dir(&programs)});
    let refused = answer(&programs, &arguments);
    let left = answer(
        &programs,
        &json!({"data_dir": data_dir(&programs), "pods": "left"}),
    );
    pod.kill().unwrap();
    pod.wait().unwrap();
    let said = refused["msg"].as_str().unwrap();
    assert!(
        said.contains("k3s-killall.sh, which ends them, is not there"),
        "{said}"
    );
    assert_eq!(refused["changed"], false);
    assert_eq!(
        (&left["failed"], &left["pods"]),
        (&json!(false), &json!(1)),
        "{left}"
    );
}

#[test]
fn a_pod_of_another_data_folder_is_seen_by_its_socket() {
    let programs = programs();
    let arguments = json!({"data_dir": data_dir(&programs), "pods": "left", "disabled": false});
    let mut shell = std::process::Command::new("/bin/sh");
    shell.arg0("/srv/elsewhere/bin/containerd-shim-runc-v2").args([
        "-c",
        "read -r wait",
        &data_dir(&programs),
    ]);
    shell.args(["-address", "/run/k3s/containerd/containerd.sock"]);
    let mut pod = shell.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let answer = answer(&programs, &arguments);
    pod.kill().unwrap();
    pod.wait().unwrap();
    assert_eq!(answer["pods"], 1, "{answer}");
}
