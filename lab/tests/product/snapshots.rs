//! `pct_snapshot`, and Proxmox's tasks behind it.

use super::{LOCK_FILE, elsewhere, empty, faulty, forget, refuses, running, stopped, virtual_machine};
use crate::common::{Host as Files, hold};
use crate::machine::Machine;
use pct_snapshot::PctSnapshot;
use serde_json::{Value, json};
use std::fs;

fn options() -> Value {
    json!({"vmid": 101, "timeout": 2, "keep": 1})
}

/// A container whose disk can be copied, with an older snapshot of ours.
fn with_a_disk(files: Files) -> Machine {
    for part in ["upper", "rancher", "kubelet"] {
        fs::create_dir_all(files.path("var/lib/lxc/101/disk").join(part)).unwrap();
    }
    Machine::new(files)
}

const OLD: &str = "\n[pre-upgrade-20251201T000000Z]\nsnaptime: 1764547200\n";

#[test]
fn a_snapshot_is_taken_and_its_predecessor_removed() {
    for files in [
        Files::new().running("101").conf("101", OLD),
        Files::new().conf("101", OLD),
    ] {
        let machine = with_a_disk(files);
        let mut all = options();
        all["description"] = json!("vor dem Umzug: é");
        let answer = machine.answer::<PctSnapshot>(&all);
        assert_eq!(
            (&answer["failed"], &answer["removed"][0]),
            (&json!(false), &json!("pre-upgrade-20251201T000000Z")),
            "{answer}"
        );
        let conf = machine.files.conf_of("101");
        let name = answer["name"].as_str().unwrap();
        assert!(
            conf.contains(&format!("[{name}]\n#vor dem Umzug: é\n")) && !conf.contains("20251201"),
            "{conf}"
        );
        assert!(!conf.contains("lock:"), "{conf}");
    }
}

#[test]
fn a_snapshot_that_cannot_be_taken_costs_no_old_one() {
    let lock = |files: &Files| files.write("etc/pve/nodes/pve/lxc/101.conf", &format!("lock: backup\n{OLD}"));
    let template = || Files::new().conf("101", &format!("template: 1\n{OLD}"));
    let rows: [(&str, Machine, &str, &[&str]); 8] = [
        ("absent", empty(), "container_missing", &["no container 101"]),
        ("another node", elsewhere(), "container_elsewhere", &["pve2"]),
        (
            "a virtual machine",
            virtual_machine(),
            "container_missing",
            &["virtual machine"],
        ),
        (
            "locked",
            Machine::new(Files::new().conf("101", &format!("lock: backup\n{OLD}"))),
            "container_locked",
            &["(backup)", "`pct unlock 101`"],
        ),
        (
            "locked meanwhile",
            with_a_disk(Files::new().conf("101", OLD)).before("snapshot", lock),
            "container_locked",
            &["(backup)", "`pct unlock 101`"],
        ),
        (
            "absent meanwhile: 255",
            running().before("snapshot", forget),
            "container_missing",
            &["no container 101"],
        ),
        (
            "a template",
            with_a_disk(template()),
            "command_failed",
            &["taking the snapshot", "it's a template"],
        ),
        (
            "the storage fails, as it says on stdout",
            stopped(),
            "command_failed",
            &["cannot stat", "unable to copy the volume"],
        ),
    ];
    for (row, machine, kind, says) in rows {
        let answer = machine.answer::<PctSnapshot>(&options());
        let kept = json!({"failed": answer["failed"], "changed": false, "failure": answer["failure"], "msg": answer["msg"]});
        refuses(row, &machine, &kept, kind, says);
        assert_eq!(answer["actions"], json!([]), "{row}");
        assert!(!machine.verbs().contains(&"delsnapshot".to_owned()), "{row}");
    }
}

#[test]
fn a_busy_lock_file_is_reported_and_nothing_is_taken() {
    let machine = faulty(Files::new().running("101"), r#"{"lock_wait_ms": 30}"#);
    let _held = hold(&machine.files.path(LOCK_FILE));
    let before = machine.everything();
    let mut answer = machine.answer::<PctSnapshot>(&options());
    answer["changed"] = json!(false);
    refuses(
        "flock held",
        &machine,
        &answer,
        "container_locked",
        &["taking the snapshot", "pve-config-101.lock", "run this again"],
    );
    assert_eq!(machine.everything(), before);
}
