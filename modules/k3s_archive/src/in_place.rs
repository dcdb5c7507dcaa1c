//! Snapshots that stay where k3s keeps its own: seen in its list, and removed through it.

use anyhow::{Context, Result};
use host::{Command, Host, wait_until};
use serde::Deserialize;
use server_archive::Paths;
use std::time::Duration;

/// k3s's list is made from records in the cluster, which follow the file by a moment.
const LISTED: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// k3s ends with 0 also where it deletes nothing, so the file is looked for.
const DELETE: &str = r#"file=$1; shift
"$@" </dev/null || exit
[ ! -e "$file" ] || { echo "$file is still there" >&2; exit 1; }"#;

#[derive(Deserialize)]
struct List {
    /// `null` where there is none.
    items: Option<Vec<Listed>>,
}

/// What k3s's list says of a snapshot (`ETCDSnapshotFile`).
#[derive(Deserialize)]
struct Listed {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    snapshot_name: String,
    location: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    ready_to_use: Option<bool>,
}

impl Listed {
    /// A copy in an S3 bucket has the same name.
    fn is(&self, file: &str) -> bool {
        self.spec.snapshot_name == file
            && self.spec.location.starts_with("file:")
            && self.status.ready_to_use != Some(false)
    }
}

/// Waits until k3s's list has the snapshot.
pub(crate) fn see(host: &dyn Host, at: &Paths, path: &str) -> Result<()> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let waited = wait_until(host, LISTED, LOOK_EVERY, || {
        let output = host.run(&Command::new(words(at, &["ls", "-o", "json"])))?;
        if output.status != 0 {
            return Ok(Err(output.error_text().trim().to_owned()));
        }
        let list: List = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{}: reading k3s's list of snapshots", host.location()))?;
        let listed = list.items.iter().flatten().any(|one| one.is(file));
        Ok(listed.then_some(()).ok_or_else(|| "it is not in it".to_owned()))
    })?;
    let what = format!("the snapshot {path}, which is saved and complete, to be in k3s's list");
    waited.or_fail(host, &what)
}

pub(crate) fn delete(host: &dyn Host, at: &Paths, snapshot: &str) -> Result<()> {
    let file = format!("{}/{snapshot}", at.snapshots);
    let script = ["/bin/sh", "-c", DELETE, "sh", &file];
    let words = script
        .into_iter()
        .map(str::to_owned)
        .chain(words(at, &["delete"]))
        // What follows the first name is taken for further names.
        .chain([snapshot.to_owned()]);
    let output = host.run(&Command::new(words))?;
    output
        .succeed(&host.location(), "removing an old snapshot")
        .map(|_| ())
}

fn words(at: &Paths, what: &[&str]) -> Vec<String> {
    let words = [at.binary.as_str(), "etcd-snapshot"].into_iter();
    let words = words.chain(what.iter().copied()).map(str::to_owned);
    words.chain(at.flags()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::LocalHost;
    use k3s_node::{Facts, NodeSettings, settings::DEFAULT_CONFIG};
    use serde_json::{Value, json};
    use server_archive::{save_snapshot, save_snapshot_in_place};
    use std::path::Path;
    use testbed::{Entry, Scripted, write_programs};

    fn seen(data_dir: &str, path: &str, entries: &[Value]) -> Result<()> {
        let entries = entries
            .iter()
            .map(|entry| serde_json::from_value::<Entry>(entry.clone()).unwrap());
        let host = Scripted::new(entries.collect(), Path::new("."));
        let seen = see(&host, &Paths::of(data_dir), path);
        host.finish();
        seen
    }

    fn answer(list: &str) -> Value {
        json!({"run": "k3s etcd-snapshot ls -o json", "stdout": list})
    }

    const LIST: &str = include_str!("../tests/recorded/k3s-v1.36.3-etcd-snapshot-ls.json");
    const PATH: &str = "/s/rec-k3s-controller-1-1795947939";

    #[test]
    fn a_snapshot_is_looked_for_until_it_is_listed() {
        let refused =
            json!({"run": "k3s etcd-snapshot ls -o json", "status": 1, "stderr": "connection refused"});
        let [empty, none] = ["[]", "null"].map(|items| {
            answer(&format!(
                r#"{{"kind": "List", "apiVersion": "v1", "metadata": {{}}, "items": {items}}}"#
            ))
        });
        seen(Paths::USUAL, PATH, &[refused, empty, none, answer(LIST)]).unwrap();
        let elsewhere = json!({"run": "k3s etcd-snapshot ls -o json --data-dir /d", "stdout": LIST});
        seen("/d", PATH, &[elsewhere]).unwrap();
    }

    #[test]
    fn one_that_is_elsewhere_or_has_failed_is_not_it() {
        for (from, to) in [
            ("file:///var", "s3://bucket"),
            ("\"readyToUse\": true", "\"readyToUse\": false"),
            ("rec-k3s", "other-k3s"),
        ] {
            let list = LIST.replace(from, to);
            assert_ne!(list, LIST);
            let error = seen(Paths::USUAL, PATH, &vec![answer(&list); 11]).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("{PATH}, which is saved and complete"))
                    && error.contains("not in it"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_snapshot_is_named_after_the_flags() {
        let at = Paths {
            s3: true,
            ..Paths::of("/d")
        };
        let run = [
            "/bin/sh",
            "-c",
            DELETE,
            "sh",
            "/d/server/db/snapshots/v-n1-1",
            "k3s",
            "etcd-snapshot",
            "delete",
        ];
        let flags = ["--data-dir", "/d", "--etcd-s3=false", "v-n1-1"];
        let words: Vec<&str> = run.into_iter().chain(flags).collect();
        let entry = serde_json::from_value(json!({ "run": words })).unwrap();
        let host = Scripted::new(vec![entry], Path::new("."));
        delete(&host, &at, "v-n1-1").unwrap();
        host.finish();
    }

    /// A k3s that keeps its snapshots in the folder that an argument names, and in no other.
    const K3S: &str = r#"#!/bin/sh
what=$2 folder=/no/such
for word; do
    case $before in --etcd-snapshot-dir) folder=$word;; --name) name=$word;; esac
    before=$word
done
case $what in
save) echo "$name" >"$folder/$name-n1-17";;
ls) printf '{"items": [{"spec": {"snapshotName": "%s", "location": "file://%s"}}]}' "$(ls "$folder")" "$folder";;
delete) rm -f -- "$folder/$before";;
esac
"#;

    #[test]
    fn snapshots_are_saved_found_and_removed_where_the_node_keeps_them() {
        let folder = tempfile::tempdir().unwrap();
        let [vault, work] = ["mnt/vault/etcd", "work"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(&vault).unwrap();
        let k3s = folder.path().join("k3s");
        write_programs([(k3s.clone(), K3S)]);
        let [unit, config] = [
            format!("[Service]\nExecStart={} server\n", k3s.display()),
            format!("etcd-snapshot-dir: {}\n", vault.display()),
        ];
        let frames = [
            ("hostname", "n1"),
            ("unit:k3s.service", &unit),
            ("config:/etc/rancher/k3s/config.yaml", &config),
            ("end", ""),
        ];
        let frames = frames.map(|(name, text)| format!("@{name} {}\n{text}\n", text.len()));
        let facts = Facts::parse(frames.concat().as_bytes()).unwrap();
        let at = Paths::of_node(&NodeSettings::read(&facts, DEFAULT_CONFIG).unwrap(), None);
        let (host, limit) = (LocalHost::new(), Duration::from_secs(20));
        let left = || std::fs::read_dir(&vault).unwrap().count();

        let work = work.display().to_string();
        let copy = save_snapshot(&host, &at, "pre-upgrade", &work, limit).unwrap();
        assert_eq!(copy, format!("{work}/snapshot"));
        assert_eq!(std::fs::read_to_string(copy).unwrap(), "pre-upgrade\n");
        assert_eq!(left(), 0, "nothing of ours stays there");

        let path = save_snapshot_in_place(&host, &at, "v", limit).unwrap();
        assert_eq!(path, format!("{}/v-n1-17", vault.display()));
        see(&host, &at, &path).unwrap();
        delete(&host, &at, "v-n1-17").unwrap();
        assert_eq!(left(), 0);
    }

    #[test]
    fn names_an_invalid_list_of_snapshots() {
        let error = seen(Paths::USUAL, PATH, &[answer("Name Location Size Created\n")]).unwrap_err();
        assert!(
            error.to_string().contains("reading k3s's list of snapshots"),
            "{error:#}"
        );
    }
}
