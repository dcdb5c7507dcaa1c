//! The binary, with a kubectl of a few lines: what an export leaves on the disk, and what nothing may be written to.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test is the outside world"
)]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use testbed::{Programs, assert_settles};

/// One definition without marks, two routes, no chart; a release that somebody made by hand. The patch is noted.
const KUBECTL: &str = r#"#!/bin/sh
here=${0%/*}
marks='{}'
[ ! -f "$here/patched" ] || marks='{"app.kubernetes.io/managed-by":"Helm","meta.helm.sh/release-name":"own","meta.helm.sh/release-namespace":"demo"}'
definition='{"metadata":{"name":"ingressroutes.traefik.io","resourceVersion":"7","labels":'$marks',"annotations":'$marks'},"spec":{"group":"traefik.io","names":{"plural":"ingressroutes"},"versions":[{"name":"v1alpha1","served":true,"storage":true}]}}'
case "$*" in
*"get secrets -A"*) echo "demo own 1 deployed";;
*"/version") echo '{"gitVersion": "v1.36.3+k3s1"}';;
*"/api/v1/nodes?"*) echo '{"items": []}';;
*"/apis") echo '{"groups": []}';;
*"/secrets/sh.helm.release.v1.own.v1") echo '{"data": {"release": "@RELEASE@"}}';;
*"/customresourcedefinitions?"*) printf '{"items": [%s]}\n' "$definition";;
*"/customresourcedefinitions/ingressroutes.traefik.io") printf '%s\n' "$definition";;
*"/ingressroutes?limit=1") echo '{"metadata": {"remainingItemCount": 1}, "items": [{}]}';;
*"/ingressroutes") [ ! -f "$here/endless" ] || exec tr '\0' x </dev/zero
  echo '{"items": [{"metadata": {"name": "web"}}, {"metadata": {"name": "vault"}}]}';;
"patch "*) : >"$here/patched"; exec "$0" get --raw /apis/apiextensions.k8s.io/v1/customresourcedefinitions/ingressroutes.traefik.io;;
*) echo "unexpected: $*" >&2; exit 2;;
esac
"#;
/// `{"version":1,"info":{"status":"deployed"}}`, as Helm packed it before it used gzip.
const RELEASE: &str = "ZXlKMlpYSnphVzl1SWpveExDSnBibVp2SWpwN0luTjBZWFIxY3lJNkltUmxjR3h2ZVdWa0luMTk=";

fn run(programs: &Programs, dest: &Path, more: Value) -> Value {
    let kubectl = programs.folder().join("kubectl");
    let mut arguments = json!({
        "release": "own", "namespace": "demo", "dest": dest, "kubectl": [kubectl],
        "resources": ["CustomResourceDefinition/ingressroutes.traefik.io"],
    });
    for (key, value) in more.as_object().unwrap() {
        arguments[key] = value.clone();
    }
    let output = Command::new(assert_cmd::cargo::cargo_bin!("helm_adopt"))
        .arg(programs.arguments(&arguments))
        .env("PATH", programs.path())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn programs() -> Programs {
    Programs::new().with("kubectl", &KUBECTL.replace("@RELEASE@", RELEASE))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn exports_privately_and_changes_nothing_in_a_second_run() {
    let (programs, folder) = (programs(), tempfile::tempdir().unwrap());
    let dest = folder.path().join("exports");
    let answer = run(&programs, &dest, json!({}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(
        (&answer["changed"], &answer["exported"]),
        (&json!(true), &json!(2))
    );
    let export = Path::new(answer["export"].as_str().unwrap());
    assert!(export.starts_with(&dest));
    assert_eq!((mode(&dest), mode(export)), (0o700, 0o700));
    for (file, word) in [
        ("objects.json", "ingressroutes.traefik.io"),
        ("resources.json", "vault"),
    ] {
        let path = export.join(file);
        assert_eq!(mode(&path), 0o600, "{file}");
        assert!(fs::read_to_string(&path).unwrap().contains(word), "{file}");
    }
    assert!(
        !answer.to_string().contains("vault"),
        "what is exported is not reported"
    );

    let again = run(&programs, &dest, json!({}));
    assert_eq!(
        (&again["changed"], &again["export"]),
        (&json!(false), &Value::Null),
        "{again:#}"
    );
    assert_eq!(fs::read_dir(&dest).unwrap().count(), 1);
}

#[test]
fn check_mode_says_what_the_run_does_once() {
    let (programs, folder) = (programs(), tempfile::tempdir().unwrap());
    let dest = folder.path().join("exports");
    let exports = || fs::read_dir(&dest).map_or(0, Iterator::count);
    let first = assert_settles(
        "a definition without marks",
        |check| run(&programs, &dest, json!({"_ansible_check_mode": check})),
        || (exports(), programs.folder().join("patched").exists()),
    );
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first:#}"
    );
}

#[test]
fn stops_an_export_without_end_before_any_change() {
    let (programs, folder) = (programs().with("endless", ""), tempfile::tempdir().unwrap());
    let answer = run(&programs, folder.path(), json!({"export_max_mb": 1}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(msg.contains("1 MiB at most (export_max_mb)"), "{msg}");
    assert!(!programs.folder().join("patched").exists());
}

#[test]
fn a_folder_that_others_can_change_gets_no_export() {
    for wide in [0o777, 0o770, 0o702, 0o1777] {
        let (programs, folder) = (programs(), tempfile::tempdir().unwrap());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(wide)).unwrap();
        let answer = run(&programs, folder.path(), json!({}));
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains("can be changed by others than us"),
            "{wide:o}: {msg}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(!programs.folder().join("patched").exists());
    }
}
