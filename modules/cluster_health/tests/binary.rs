//! The binary itself, with programs on PATH: the script in a real shell, and a cluster that is big.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
use k3s_certs::testing::{Authority, Leaf};
use serde_json::{Value, json};
use testbed::Programs;

/// A cluster of nothing but one node whose kubelet is gone; its API server is asked as kubectl asks it.
const KUBECTL: &str = r#"#!/bin/sh
echo "$*" >> "${0%/*}/asked"
case "$*" in
*" --raw /readyz?verbose") printf '[+]ping ok\nreadyz check passed\n';;
*" --raw /version") echo '{"gitVersion": "v1.31.4+k3s1"}';;
*" --raw /apis") echo '{"groups": []}';;
*" --raw /api/v1/nodes?limit=500") echo '{"items": [{"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}]}';;
*" --raw /api"*) echo '{"items": []}';;
*) echo "unexpected: $*" >&2; exit 1;;
esac
"#;

const DOWN: &str = "#!/bin/sh\necho 'The connection to the server 127.0.0.1:6443 was refused' >&2\nexit 1\n";

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("cluster_health"), arguments)
}

#[test]
fn it_works_in_a_container_and_on_the_host_itself() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let answer = answer(
            &programs,
            &json!({"vmid": vmid, "kubectl": [kubectl, "--context=c"], "request_timeout": 7, "data_dir": programs.folder()}),
        );
        assert_eq!(
            (&answer["changed"], &answer["failed"], &answer["complete"]),
            (&json!(false), &json!(true), &json!(true))
        );
        assert_eq!(answer["verdicts"][0]["reason"], "NotReady", "{answer}");
        assert_eq!(
            programs.calls().is_empty(),
            vmid.is_null(),
            "pct is asked for containers only"
        );
        let asked = std::fs::read_to_string(programs.folder().join("asked")).unwrap();
        assert!(
            asked
                .lines()
                .all(|line| line.starts_with("--context=c --request-timeout=7s get --raw /")),
            "{asked}"
        );
    }
}

#[test]
fn reports_a_service_that_is_down_without_its_tokens() {
    let programs = Programs::new()
        .with("kubectl", DOWN)
        .with("systemctl", "#!/bin/sh\n[ \"$*\" = 'show k3s-main --property LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,StateChangeTimestamp' ] && printf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=exit-code\\nExecMainStatus=1\\n'\n")
        .with("journalctl", "#!/bin/sh\n[ \"$2\" = k3s-main ] || exit 1\ni=0\nwhile [ $i -lt 50 ]; do echo \"line $i --token s3cr3t\"; i=$((i + 1)); done\nprintf 'very long \\033[31m'\nhead -c 5000 /dev/zero | tr '\\0' x\n");
    let kubectl = programs.folder().join("kubectl");
    let answer = answer(
        &programs,
        &json!({"kubectl": [kubectl], "service": "k3s-main", "data_dir": programs.folder()}),
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(msg.contains("k3s-main is failed (failed), result exit-code, status 1; the API server does not answer: The connection"), "{msg}");
    let log = answer["api"]["log"].as_array().unwrap();
    assert_eq!(log.len(), 20);
    assert_eq!(log[0], "line 31 --token ********");
    let last = log[19].as_str().unwrap();
    assert!(
        last.starts_with("very long [31mxxx") && last.len() == 300,
        "{last}"
    );
    assert!(!answer.to_string().contains("s3cr3t"));
}

#[test]
fn etcd_is_asked_on_the_loopback_on_which_it_listens() {
    let programs = Programs::new().with("kubectl", KUBECTL);
    std::fs::create_dir_all(programs.folder().join("server/db/etcd/member/wal")).unwrap();
    // Where another process has the port there, it listens all the same.
    let _etcd = std::net::TcpListener::bind("[::1]:2381");
    let kubectl = programs.folder().join("kubectl");
    answer(
        &programs,
        &json!({"kubectl": [kubectl], "data_dir": programs.folder()}),
    );
    let asked = std::fs::read_to_string(programs.folder().join("asked")).unwrap();
    assert!(
        asked.contains(" --server http://[::1]:2381 get --raw /health\n"),
        "{asked}"
    );
}

#[test]
fn reports_a_missing_kubectl() {
    let programs = Programs::new();
    let answer = answer(
        &programs,
        &json!({"kubectl": ["/no/such/kubectl"], "data_dir": programs.folder()}),
    );
    assert_eq!(answer["api"]["failure"], "command_not_found", "{answer}");
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("/no/such/kubectl cannot be run"),
        "{answer}"
    );
}

#[test]
fn the_certificates_are_read_where_the_data_is() {
    let programs = Programs::new().with("kubectl", DOWN);
    let tls = programs.folder().join("server/tls");
    std::fs::create_dir_all(&tls).unwrap();
    // Of the first days of 2026, and so long over.
    let leaf = Authority::new("ca").sign(&Leaf::new("system:admin").days(-1, 3));
    std::fs::write(
        tls.join("client-admin.crt"),
        format!("{}{}", leaf.key_pem, leaf.pem),
    )
    .unwrap();
    let arguments = json!({"kubectl": [programs.folder().join("kubectl")], "data_dir": programs.folder()});
    let answer = answer(&programs, &arguments);
    let verdicts = answer["verdicts"].as_array().unwrap();
    assert_eq!(
        (&verdicts[0]["reason"], &verdicts[1]["reason"]),
        (&json!("Unreachable"), &json!("Expired")),
        "{answer}"
    );
    assert_eq!(verdicts[1]["object"], "CN=system:admin");
    assert!(!answer.to_string().contains("PRIVATE KEY"));
}

#[test]
fn what_is_wrong_with_the_options_is_said_in_one_json_object() {
    let programs = Programs::new();
    for (arguments, words) in [
        (json!({"fail_on": "always"}), "error, warning, never"),
        (json!({"wait": -1}), "wait"),
        (json!({"baseline": "{"}), "baseline: it is not JSON"),
        (json!({"ignore": [{"namespaces": "demo"}]}), "namespaces"),
        (
            json!({"certificates": true}),
            "unsupported option certificates; supported: ",
        ),
    ] {
        let answer = answer(&programs, &arguments);
        assert!(answer["failed"] == true && answer["changed"] == false, "{answer}");
        assert!(answer["msg"].as_str().unwrap().contains(words), "{answer}");
    }
}

/// 500 nodes and 10 000 pods in 64 MiB of data, stacks and buffers among it: the kernel allows no more.
#[test]
fn a_big_cluster_fits_into_little_memory() {
    let look = |mebibytes: u32| {
        let programs = Programs::new().with("kubectl", include_str!("big-cluster.sh"));
        let kubectl = programs.folder().join("kubectl");
        let mut command = Command::new("/bin/sh");
        let limit = format!("ulimit -d {} && exec \"$0\" \"$1\"", mebibytes * 1024);
        command
            .args(["-c", &limit])
            .arg(assert_cmd::cargo::cargo_bin!("cluster_health"));
        command
            .env("PATH", programs.path())
            .arg(programs.arguments(&json!({"kubectl": [kubectl], "data_dir": programs.folder()})));
        command.output().unwrap()
    };
    let output = look(64);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let counts = &answer["counts"];
    assert_eq!(
        (&counts["nodes"], &counts["pods"], &answer["complete"]),
        (&json!(500), &json!(10_000), &json!(true))
    );
    assert_eq!(answer["verdicts"].as_array().unwrap().len(), 50);
    assert_eq!(answer["verdicts"][0]["count"], 20);
    assert!(answer["summary"].as_array().unwrap().len() < 24);
}
