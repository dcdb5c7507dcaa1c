//! `pct exec` of a container that runs: what is the command's own, and what is not.

use super::{faulty, refuses, running, trace};
use crate::common::Host as Files;
use pct_exec::PctExec;
use serde_json::json;
use std::time::Duration;

#[test]
fn an_attach_race_is_tried_again_a_few_times() {
    let machine = faulty(Files::new().running("101"), r#"{"attach_race": 3}"#);
    let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "cmd": "echo in"}));
    assert_eq!(
        (&answer["stdout"], &answer["stderr"]),
        (&json!("in\n"), &json!("")),
        "{answer}"
    );
    assert!(machine.slept() >= Duration::from_secs(3));

    let machine = faulty(Files::new().running("101"), r#"{"attach_race": 99}"#);
    let answer = machine.answer::<PctExec>(&trace(json!({})));
    refuses(
        "attach race",
        &machine,
        &answer,
        "attach_failed",
        &["Failed to get init pid", "`lxc-info -n 101`"],
    );
    assert_eq!(machine.verbs().iter().filter(|verb| *verb == "exec").count(), 4);
}

#[test]
fn a_frozen_container_is_suspected_within_the_limit() {
    let machine = running().frozen();
    let answer = machine.answer::<PctExec>(&trace(json!({})));
    refuses(
        "freeze",
        &machine,
        &answer,
        "timed_out",
        &["within 3 s", "frozen", "`lxc-info -n 101`"],
    );
    assert!(answer.get("stdout").is_none(), "{answer}");
}

#[test]
fn a_command_that_speaks_as_pct_does_is_not_taken_for_it() {
    let rows = [
        (2, "Configuration file 'nodes/pve/lxc/101.conf' does not exist"),
        (255, "container '101' not running!"),
        (255, "Unknown option: keep-env\n400 unable to parse option"),
        (
            1,
            "lxc-attach: 101: ../src/lxc/attach.c: get_attach_context: 405 Connection refused - Failed to get init pid",
        ),
        (
            4,
            "trying to acquire lock...\ncan't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout",
        ),
        (
            126,
            "lxc-attach: 101: attach.c: lxc_attach_run_command: 1841 Permission denied - Failed to exec \"x\"",
        ),
        (127, "please run as root"),
    ];
    for (status, text) in rows {
        let machine = running();
        let script = "echo ran >> runs; cat >&2; exit \"$1\"";
        let argv = json!(["sh", "-c", script, "sh", status.to_string()]);
        let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "argv": argv, "stdin": text}));
        assert_eq!(
            (&answer["failure"]["kind"], &answer["rc"], &answer["stderr"]),
            (&json!("command_failed"), &json!(status), &json!(text)),
            "{answer}"
        );
        assert_eq!(
            machine.files.read("container/runs"),
            "ran\n",
            "{text}: once, and no more"
        );
        assert_eq!(machine.verbs(), ["exec"], "{text}: nobody is asked about it");
    }
}

#[test]
fn what_is_missing_inside_is_distinguished_from_its_status() {
    let machine = running();
    machine.files.write("container/no-program", "text");
    for (options, kind, says) in [
        (
            json!({"argv": ["no-such-program"]}),
            "command_not_found",
            "no-such-program",
        ),
        (
            json!({"argv": ["./no-program"]}),
            "command_not_found",
            "./no-program",
        ),
        (
            json!({"argv": ["true"], "chdir": "/no/such"}),
            "command_failed",
            "/no/such",
        ),
    ] {
        let mut all = json!({"vmid": 101});
        all.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let answer = machine.answer::<PctExec>(&all);
        refuses(says, &machine, &answer, kind, &[says, "container 101 on pve"]);
        assert!(answer.get("rc").is_none(), "{answer}");
    }
}

#[test]
fn statuses_arguments_and_output_pass_by_every_pct() {
    let killed = json!(["sh", "-c", "echo out; echo err >&2; kill -KILL $$"]);
    for faults in [
        "{}",
        r#"{"config_warning": true}"#,
        r#"{"no_keep_env": true}"#,
        r#"{"old_lxc": true}"#,
    ] {
        let machine = faulty(Files::new().running("101"), faults);
        let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "argv": killed}));
        assert_eq!(
            (&answer["rc"], &answer["stdout"], &answer["stderr"]),
            (&json!(137), &json!("out\n"), &json!("err\n")),
            "{faults}: {answer}"
        );
        let odd = json!([
            "printf",
            "<%s>",
            "-la",
            "--",
            "",
            "é\u{fffd}",
            "two\nlines",
            "--keep-env"
        ]);
        let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "argv": odd}));
        assert_eq!(
            answer["stdout"], "<-la><--><><é\u{fffd}><two\nlines><--keep-env>",
            "{faults}"
        );
        let script = "echo $PATH; echo $container $TERM $HOME $LANG; exit 3";
        let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "script": script, "success_rc": [3]}));
        let lines = &answer["stdout_lines"];
        assert!(
            lines[0].as_str().unwrap().contains(":/usr/local/bin:"),
            "{faults}: {lines}"
        );
        assert_eq!(lines[1], "lxc linux /root", "{faults}");
    }
}
