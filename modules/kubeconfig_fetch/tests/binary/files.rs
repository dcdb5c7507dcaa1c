//! What becomes of files, their modes, owners and folders.

use crate::desk::{Cluster, Desk};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use testbed::assert_settles;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_and_its_folder_are_private_and_a_second_run_changes_nothing() {
    let desk = Desk::new();
    let answer = desk.write(json!({}));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true)),
        "{answer}"
    );
    let file = desk.path(".kube/k3s-k3s-1.config");
    assert_eq!(answer["dest"], json!(file));
    assert_eq!((mode(&file), mode(&desk.path(".kube"))), (0o600, 0o700));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        desk.cluster.content("https://k3s-1.invalid:6443")
    );
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    let again = desk.write(json!({}));
    assert_eq!(
        (&again["changed"], &again["actions"]),
        (&json!(false), &json!([])),
        "{again}"
    );
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written);
    assert_eq!(names(&desk.path(".kube")), ["k3s-k3s-1.config"]);
}

#[test]
fn check_mode_writes_nothing() {
    let desk = Desk::new();
    let answer = desk.write(json!({"_ansible_check_mode": true}));
    assert_eq!(answer["changed"], true);
    assert!(names(desk.home.path()).is_empty());
}

#[test]
fn a_link_is_followed_and_the_file_keeps_its_owner() {
    let desk = Desk::new();
    let stale = desk.cluster.stale();
    let target = desk.file("dotfiles/kube", &stale);
    chown(&target, Some(12345), Some(54321)).unwrap();
    std::fs::create_dir(desk.path(".kube")).unwrap();
    symlink("../dotfiles/kube", desk.path(".kube/config")).unwrap();
    let answer = desk.write(json!({"kubeconfig_env": "~/.kube/config"}));
    assert_eq!(
        (&answer["failed"], &answer["context"]),
        (&json!(false), &json!("default")),
        "{answer}"
    );
    assert!(desk.path(".kube/config").is_symlink());
    let metadata = std::fs::metadata(&target).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.gid(), mode(&target)),
        (12345, 54321, 0o600)
    );
    let text = std::fs::read_to_string(&target).unwrap();
    assert!(
        text.contains("server: https://k3s-1.invalid:6443\n  name: default\n"),
        "{text}"
    );
    // The old file is kept beside the link, as private, and belongs to the same user.
    let backup = PathBuf::from(answer["backup"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), stale);
    let metadata = std::fs::metadata(&backup).unwrap();
    assert_eq!((metadata.uid(), mode(&backup)), (12345, 0o600));
    assert_eq!(names(&desk.path("dotfiles")), ["kube"]);
}

#[test]
fn backups_do_not_pile_up() {
    let desk = Desk::new();
    for round in 0..4 {
        desk.file("config", &format!("# {round}\n{}", desk.cluster.stale()));
        let answer = desk.write(json!({"dest": desk.path("config"), "backup_keep": 2}));
        assert_eq!(answer["failed"], false, "{answer}");
    }
    let backups: Vec<String> = names(desk.home.path())
        .into_iter()
        .filter(|name| name != "config")
        .collect();
    assert_eq!(backups.len(), 2, "{backups:?}");
    let newest = std::fs::read_to_string(desk.path(backups.last().unwrap())).unwrap();
    assert!(newest.starts_with("# 3\n"), "{newest}");
}

/// Runs as somebody who is not root: `nobody`.
fn as_nobody(desk: &Desk, more: Value) -> Value {
    let folder = desk.home.path();
    let binary = desk.path("kubeconfig_fetch");
    testbed::copy_program(assert_cmd::cargo::cargo_bin!("kubeconfig_fetch"), &binary);
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = std::process::Command::new(&binary)
        .arg("-")
        .uid(65534)
        .gid(65534)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let arguments = desk.arguments(more).to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(arguments.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_file(binary).unwrap();
    desk.assert_keyless(&String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn where_nothing_can_be_written_the_old_file_is_intact() {
    let desk = Desk::new();
    let stale = desk.cluster.stale();
    let file = desk.file("kube/config", &stale);
    chown(&file, Some(65534), Some(65534)).unwrap();
    let answer = as_nobody(&desk, json!({"dest": &file}));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(true), &json!(false)),
        "{answer}"
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("writing") && msg.contains("config.backup-") && msg.contains("Permission denied"),
        "{msg}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), stale);
    assert_eq!(names(&desk.path("kube")), ["config"]);
    let elsewhere = as_nobody(&desk, json!({"dest": desk.path("kube/new/config")}));
    assert!(
        elsewhere["msg"].as_str().unwrap().contains("making the folder"),
        "{elsewhere}"
    );
    chown(&file, Some(0), Some(0)).unwrap();
    let unreadable = as_nobody(&desk, json!({"dest": &file}));
    assert!(
        unreadable["msg"].as_str().unwrap().contains("Permission denied"),
        "{unreadable}"
    );
}

#[test]
fn somebody_who_is_not_root_can_write_their_own() {
    let desk = Desk::new();
    let folder = desk.path("kube");
    std::fs::create_dir(&folder).unwrap();
    chown(&folder, Some(65534), Some(65534)).unwrap();
    let answer = as_nobody(&desk, json!({"dest": folder.join("config")}));
    assert_eq!(answer["failed"], false, "{answer}");
    let metadata = std::fs::metadata(folder.join("config")).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (65534, 0o600));
}

#[test]
fn another_cluster_keeps_its_entry_until_it_may_be_replaced() {
    let desk = Desk::new();
    let other = Cluster::new();
    let text = other.kubeconfig("k3s-k3s-1", "https://k3s-1.invalid:6443", &other.admin);
    let file = desk.file("config", &text);
    let answer = desk.write(json!({"dest": file}));
    assert_eq!(
        (&answer["context"], &answer["failed"]),
        (&json!("k3s-k3s-1-2"), &json!(false)),
        "{answer}"
    );
    let key = STANDARD.encode(&other.admin.key_pem);
    assert!(fs::read_to_string(&file).unwrap().contains(&key));
    let file = desk.file("config", &text);
    let answer = desk.write(json!({"dest": file, "replace": true}));
    assert_eq!(
        (&answer["context"], &answer["changed"]),
        (&json!("k3s-k3s-1"), &json!(true)),
        "{answer}"
    );
    assert!(!fs::read_to_string(&file).unwrap().contains(&key));
}

#[test]
fn whatever_the_file_has_a_second_run_changes_nothing() {
    let other = Cluster::new();
    let anothers = other.kubeconfig("k3s-k3s-1", "https://k3s-1.invalid:6443", &other.admin);
    for (before, wide) in [
        ("nothing", false),
        ("empty", true),
        ("old", false),
        ("right", false),
        ("right", true),
        ("another's", true),
    ] {
        for (backup, replace) in [(true, false), (true, true), (false, false)] {
            let case = format!("{before}, readable by all {wide}, backup {backup}, replace {replace}");
            let desk = Desk::new();
            let text = match before {
                "old" => desk.cluster.stale(),
                "right" => desk.cluster.content("https://k3s-1.invalid:6443"),
                "another's" => anothers.clone(),
                _ => String::new(),
            };
            if before != "nothing" {
                let file = desk.file(".kube/config", &text);
                let mode = if wide { 0o644 } else { 0o600 };
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            }
            let path = desk.path(".kube/config");
            let run = |check: bool| {
                desk.write(
                    json!({"dest": path, "backup": backup, "replace": replace, "_ansible_check_mode": check}),
                )
            };
            let world = || {
                let folder = desk.path(".kube");
                let there = folder.exists().then(|| names(&folder));
                (there, fs::read(&path).ok(), path.exists().then(|| mode(&path)))
            };
            let first = assert_settles(&case, run, world);
            assert_eq!(first["failed"], false, "{case}: {first}");
            assert_eq!(first["changed"], before != "right" || wide, "{case}: {first}");
        }
    }
}

#[test]
fn names_of_files_are_read_as_names_whatever_is_in_them() {
    let desk = Desk::new();
    let file = desk.file("config", &desk.cluster.stale());
    // A shell's echo would make a line of its own of it: the file would belong to that user then.
    desk.file(
        "config.backup-\\nfile -rw------- 1 1234 1234 ",
        "whatever was kept here",
    );
    let answer = desk.write(json!({"dest": file}));
    assert_eq!(answer["failed"], false, "{answer}");
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    assert_eq!(owner(&file), owner(desk.home.path()));
    let odd = desk.path("a\\cb/config");
    let answer = desk.write(json!({"dest": odd}));
    assert_eq!(answer["failed"], false, "{answer}");
    assert!(odd.is_file());
    assert!(!desk.path("a").exists());
}

#[test]
fn a_link_to_a_path_with_control_characters_is_refused() {
    let desk = Desk::new();
    let file = desk.path("config");
    symlink("other\nfile -rw------- 1 1234 1234 x", &file).unwrap();
    let answer = desk.write(json!({"dest": file}));
    let message = answer["msg"].as_str().unwrap();
    assert!(message.contains("control characters"), "{message}");
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
}

#[test]
fn no_entry_is_lost_when_many_write_the_same_file_at_once() {
    let desk = Desk::new();
    let file = desk.file("shared", "");
    let clusters: Vec<Cluster> = (0..12).map(|_| Cluster::new()).collect();
    std::thread::scope(|scope| {
        for (number, cluster) in clusters.iter().enumerate() {
            let (desk, file) = (&desk, &file);
            scope.spawn(move || {
                let content = cluster.content(&format!("https://k3s-{number}.invalid:6443"));
                let name = format!("cluster-{number}");
                let answer =
                    desk.write(json!({"content": content, "dest": file, "name": name, "backup_keep": 100}));
                assert_eq!(answer["failed"], false, "{answer}");
            });
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    for number in 0..clusters.len() {
        assert!(
            text.contains(&format!("https://k3s-{number}.invalid:6443")),
            "{number}"
        );
    }
    // Every state but the last, and but the empty file of the beginning, was kept under a name of its own.
    let backups = names(desk.home.path());
    let backups = backups.iter().filter(|name| name.starts_with("shared.backup-"));
    assert_eq!(backups.count(), clusters.len() - 1);
}

#[test]
fn removes_what_a_killed_run_has_left() {
    let desk = Desk::new();
    desk.write(json!({"dest": desk.path("config")}));
    for left in [
        ".config.hk3s-1-2-3",
        ".config.backup-20260101T000000Z.hk3s-1-2-3",
        ".other.hk3s-1-2-3",
    ] {
        desk.file(left, "key");
    }
    let checked = desk.write(json!({"dest": desk.path("config"), "_ansible_check_mode": true}));
    assert_eq!(checked["changed"], true, "{checked}");
    assert_eq!(names(desk.home.path()).len(), 4);
    let answer = desk.write(json!({"dest": desk.path("config")}));
    assert_eq!(answer["failed"], false, "{answer}");
    assert_eq!(names(desk.home.path()), [".other.hk3s-1-2-3", "config"]);
    assert_eq!(desk.write(json!({"dest": desk.path("config")}))["changed"], false);
}
