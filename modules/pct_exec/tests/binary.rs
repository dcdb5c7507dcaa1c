//! The binary itself, with a `pct` on PATH: what the protocol promises, and what travels how.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
use serde_json::{Value, json};
use testbed::{Programs, assert_settles};

fn binary(programs: &Programs) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pct_exec"));
    command.env("PATH", programs.path());
    command
}

/// Runs with arguments and reads the one JSON object that must come out.
fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("pct_exec"), arguments)
}

fn run(arguments: &Value) -> Value {
    answer(&Programs::new().with_pct(), arguments)
}

#[test]
fn a_command_is_run_and_its_status_passes_through() {
    for status in 0..=255 {
        let answer = run(&json!({"vmid": 101, "argv": ["sh", "-c", format!("exit {status}")]}));
        assert_eq!(answer["rc"], status);
        assert_eq!(answer["failed"], status != 0);
    }
}

#[test]
fn odd_arguments_arrive_and_pct_never_sees_them() {
    let programs = Programs::new().with_pct();
    let odd = json!(["printf", "%s|", "é", "two\nlines", "it's $HOME", ""]);
    let answer = answer(
        &programs,
        &json!({"vmid": "101", "argv": odd, "environment": {"TOKEN": "s3cr3t"}}),
    );
    assert_eq!(answer["stdout"], "é|two\nlines|it's $HOME||");
    assert!(
        !programs.calls().contains("two") && !programs.calls().contains("s3cr3t"),
        "{}",
        programs.calls()
    );
}

#[test]
fn the_environment_reaches_the_command_only() {
    let answer = run(&json!({"vmid": 101, "script": "printenv TOKEN HOME", "environment": {"TOKEN": "a b"}}));
    assert_eq!(answer["stdout_lines"], json!(["a b", "/root"]));
}

#[test]
fn large_input_is_byte_identical() {
    let text: String = "0123456789abcdé\n".repeat(200_000);
    let answer = run(&json!({"vmid": 101, "argv": ["cat"], "stdin": text}));
    assert_eq!(answer["stdout"].as_str().unwrap().len(), text.len());
    assert_eq!(answer["stdout"], text);
}

#[test]
fn distinguishes_a_missing_program_from_status_127() {
    let answer = run(&json!({"vmid": 101, "argv": ["no-such-program"]}));
    assert_eq!(answer["failure"]["kind"], "command_not_found");
    let answer = run(&json!({"vmid": 101, "argv": ["sh", "-c", "exit 127"]}));
    assert_eq!(answer["failure"]["kind"], "command_failed");
}

#[test]
fn a_time_out_leaves_no_process() {
    let script = "echo begun; setsid sh -c 'sleep 987654; true' & sleep 987654";
    let answer = run(&json!({"vmid": 101, "script": script, "timeout": 3}));
    assert_eq!(answer["failure"]["kind"], "timed_out");
    assert_eq!(answer["stdout"], "begun\n");
    let left = std::process::Command::new("pgrep")
        .args(["-f", "sleep 987654"])
        .output()
        .unwrap();
    assert!(
        left.stdout.is_empty(),
        "left: {}",
        String::from_utf8_lossy(&left.stdout)
    );
}

#[test]
fn a_daemon_that_keeps_the_output_open_is_not_waited_for() {
    let answer = run(&json!({"vmid": 101, "script": "sleep 20 & echo done", "timeout": 15}));
    assert_eq!(answer["stdout"], "done\n");
    assert!(answer["delta"].as_f64().unwrap() < 10.0, "{answer}");
}

#[test]
fn a_machine_without_pct_is_named() {
    let programs = Programs::new();
    let output = binary(&programs)
        .env("PATH", programs.folder())
        .arg(programs.arguments(&json!({"vmid": 101, "argv": ["true"]})))
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        answer["msg"].as_str().unwrap().contains("starting pct"),
        "{answer}"
    );
}

#[test]
fn check_mode_starts_nothing_in_the_container() {
    let programs = Programs::new().with_pct();
    let answer = answer(
        &programs,
        &json!({"vmid": 101, "argv": ["true"], "_ansible_check_mode": true}),
    );
    assert_eq!(answer["changed"], true);
    assert!(!programs.calls().contains("exec"), "{}", programs.calls());
}

#[test]
fn what_has_made_or_removed_its_file_is_not_run_again() {
    let programs = Programs::new().with_pct();
    let mark = programs.folder().join("mark");
    let count = programs.folder().join("count");
    // The file of `creates` is made, or that of `removes` is not there any more; for argv, cmd and script.
    for (option, change) in [("creates", "touch"), ("removes", "rm")] {
        for what in ["argv", "cmd", "script"] {
            let _ = std::fs::remove_file(&mark);
            if option == "removes" {
                std::fs::write(&mark, "").unwrap();
            }
            let line = format!("{change} '{}'; echo run >>'{}'", mark.display(), count.display());
            let mut options = json!({"vmid": 101, option: mark});
            options[what] = match what {
                "argv" => json!(["sh", "-c", line]),
                "cmd" => json!(format!("sh -c \"{line}\"")),
                _ => json!(line),
            };
            let run = |check: bool| {
                let mut options = options.clone();
                options["_ansible_check_mode"] = check.into();
                answer(&programs, &options)
            };
            let world = || (mark.exists(), std::fs::read_to_string(&count).unwrap_or_default());
            let first = assert_settles(&format!("{option}, {what}"), run, world);
            assert_eq!(
                (&first["failed"], &first["changed"]),
                (&json!(false), &json!(true)),
                "{option}, {what}: {first}"
            );
        }
    }
}

#[test]
fn bad_argument_files_get_a_json_answer() {
    let programs = Programs::new();
    for content in ["", "[]", "{", "\u{0}"] {
        let path = programs.folder().join("bad");
        std::fs::write(&path, content).unwrap();
        let output = binary(&programs).arg(&path).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["failed"], true);
    }
    let output = binary(&programs).arg("/no/such/file").output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["msg"].as_str().unwrap().contains("/no/such/file"));
}

#[test]
fn arguments_come_on_standard_input_too() {
    let programs = Programs::new().with_pct();
    let output = binary(&programs)
        .arg("-")
        .write_stdin(r#"{"vmid":101,"cmd":"true"}"#)
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["rc"], 0);
}

#[test]
fn help_version_and_documentation_are_for_people() {
    let programs = Programs::new();
    binary(&programs).arg("--help").assert().success();
    binary(&programs)
        .arg("--version")
        .assert()
        .success()
        .stdout(format!("pct_exec {}\n", env!("CARGO_PKG_VERSION")));
    binary(&programs)
        .arg("--doc")
        .assert()
        .success()
        .stdout(include_str!("../pct_exec.yml"));
    let spec = binary(&programs).arg("--spec").output().unwrap();
    let spec: Value = serde_json::from_slice(&spec.stdout).unwrap();
    assert_eq!(spec["options"]["environment"]["no_log"], true);
}
