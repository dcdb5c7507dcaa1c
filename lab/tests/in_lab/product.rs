//! The product where only a real container can show what it does: its program on the Proxmox host.

use super::{Duration, Instant, fault, inside, wait_for};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn begin(options: &Value) -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_lab")).with_file_name("examples/pct_exec");
    assert!(program.exists(), "cargo build -p lab --examples");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["exec", "--"])
        .arg(program)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(options.to_string().as_bytes())
        .unwrap();
    child
}

fn end(child: Child) -> Value {
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn reports_how_a_command_in_a_real_container_ended() {
    let script = "kill -9 $$";
    for (options, rc, kind) in [
        (
            json!({"argv": ["sh", "-c", script]}),
            json!(137),
            "command_failed",
        ),
        (
            json!({"argv": ["sh", "-c", "exit 255"]}),
            json!(255),
            "command_failed",
        ),
        (
            json!({"argv": ["no-such-program"]}),
            Value::Null,
            "command_not_found",
        ),
        (
            json!({"argv": ["/etc/hostname"]}),
            Value::Null,
            "command_not_found",
        ),
        (
            json!({"argv": ["true"], "chdir": "/no/such"}),
            Value::Null,
            "command_failed",
        ),
    ] {
        let mut all = json!({"vmid": 111});
        all.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let answer = end(begin(&all));
        assert_eq!(
            (&answer["rc"], &answer["failure"]["kind"]),
            (&rc, &json!(kind)),
            "{answer}"
        );
        assert_eq!(answer["failure"]["place"], "container 111 on pve1", "{answer}");
        assert!(
            answer["stderr"].as_str().unwrap_or_default().is_empty(),
            "{answer}"
        );
    }
}

#[test]
fn a_command_given_to_a_frozen_container_is_never_run() {
    fault(&["freeze", "111"]);
    let begun = Instant::now();
    let mut command = begin(&json!({"vmid": 111, "argv": ["touch", "/root/trace"], "timeout": 1}));
    // Past the limit, and while it looks for what it may have left.
    wait_for("the limit has passed", || {
        begun.elapsed() > Duration::from_secs(3)
    });
    let early = command.try_wait().unwrap();
    fault(&["thaw", "111"]);
    let answer = end(command);
    assert_eq!(early, None, "{answer}");
    assert_eq!(
        (&answer["failure"]["kind"], &answer["changed"]),
        (&json!("timed_out"), &json!(false)),
        "{answer}"
    );
    assert!(answer["msg"].as_str().unwrap().contains("frozen"), "{answer}");
    assert_eq!(inside("ls /root/trace").code, 2, "it was run after all");
}
