//! Snapshots that stay where k3s keeps its own: seen in its list, and removed through it.

use anyhow::Result;
use host::{Command, Host, wait_until};
use server_archive::{CONFIG_VARIABLE, NO_CONFIG, Places};
use std::time::Duration;

/// k3s's list is made from records in the cluster, which follow the file by a moment.
const LISTED: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// k3s ends with 0 also where it deletes nothing, so the file is looked for.
const DELETE: &str = r#"file=$1; shift
"$@" </dev/null || K3S_CONFIG_FILE=/dev/null "$@" </dev/null || exit
[ ! -e "$file" ] || { echo "$file is still there" >&2; exit 1; }"#;

/// Whether k3s's list has the snapshot; `false` where this k3s has no list.
pub(crate) fn see(host: &dyn Host, at: &Places, name: &str, path: &str) -> Result<bool> {
    let file = path.rsplit('/').next().unwrap_or(path);
    // k3s 1.20 heeds neither name nor subcommand, and puts no node into the file's name: `ls` would take another snapshot.
    let rest = file
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or_default();
    if rest.bytes().all(|letter| letter.is_ascii_digit()) {
        return Ok(false);
    }
    let waited = wait_until(host, LISTED, LOOK_EVERY, || {
        let ls = Command::new(words(at, &["ls"]));
        let mut output = host.run(&ls)?;
        if output.status != 0 {
            output = host.run(&ls.env(CONFIG_VARIABLE, NO_CONFIG))?;
        }
        if output.status != 0 {
            return Ok(Err(output.error_text().trim().to_owned()));
        }
        // A snapshot a line, its name first; later versions have a heading.
        let text = output.text();
        let listed = text
            .lines()
            .any(|line| line.split_whitespace().next() == Some(file));
        Ok(listed.then_some(()).ok_or_else(|| "it is not in it".to_owned()))
    })?;
    let what = format!("the snapshot {path}, which is saved and whole, to be in k3s's list");
    waited.or_fail(host, &what)?;
    Ok(true)
}

pub(crate) fn delete(host: &dyn Host, at: &Places, snapshot: &str) -> Result<()> {
    let file = format!("{}/{snapshot}", at.snapshots);
    let script = ["/bin/sh", "-c", DELETE, "sh", &file];
    let words = script
        .into_iter()
        .map(str::to_owned)
        .chain(words(at, &["delete", snapshot]));
    let output = host.run(&Command::new(words))?;
    output
        .succeed(&host.place(), "removing an old snapshot")
        .map(|_| ())
}

fn words(at: &Places, what: &[&str]) -> Vec<String> {
    let mut words = vec![at.binary.as_str(), "etcd-snapshot"];
    words.extend(what);
    if at.data_dir != Places::USUAL {
        words.extend(["--data-dir", &at.data_dir]);
    }
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;
    use testbed::{Entry, Scripted};

    fn seen(name: &str, data_dir: &str, path: &str, entries: &[serde_json::Value]) -> Result<bool> {
        let entries = entries
            .iter()
            .map(|entry| serde_json::from_value::<Entry>(entry.clone()).unwrap());
        let host = Scripted::new(entries.collect(), Path::new("."));
        let seen = see(&host, &Places::of(data_dir), name, path);
        host.finish();
        seen
    }

    /// As k3s 1.21.2 printed them.
    const LIST: &str = "\
        on-demand-n1-1795366133   file:///var/lib/rancher/k3s/server/db/snapshots/on-demand-n1-1795366133   688160 2026-11-22T16:48:53Z\n\
        validated-n1-1795366134 file:///var/lib/rancher/k3s/server/db/snapshots/validated-n1-1795366134 692256 2026-11-22T16:48:54Z\n";

    #[test]
    fn a_snapshot_is_looked_for_until_it_is_listed() {
        let refused = json!({"run": "k3s etcd-snapshot ls", "status": 1, "stderr": "refused"});
        let empty = json!({"run": "k3s etcd-snapshot ls", "stdout": ""});
        let listed = json!({"run": "k3s etcd-snapshot ls", "stdout": LIST});
        let path = "/s/validated-n1-1795366134";
        let answers = [refused.clone(), refused.clone(), empty, listed.clone()];
        assert!(seen("validated", Places::USUAL, path, &answers).unwrap());
        // By a k3s that dies of its configuration at once, without it.
        assert!(seen("validated", Places::USUAL, path, &[refused, listed]).unwrap());
        let elsewhere = json!({"run": "k3s etcd-snapshot ls --data-dir /d", "stdout": LIST});
        assert!(seen("validated", "/d", path, &[elsewhere]).unwrap());
    }

    /// As k3s 1.22.5 printed it, and every later one; the warning was on standard error.
    #[test]
    fn a_list_with_a_heading_is_read() {
        let heading = "Name                                    Location                                                                                         Size   Created\n";
        let line = "pre-upgrade-k3s-controller-1-1795630221 file:///var/lib/rancher/k3s/server/db/snapshots/pre-upgrade-k3s-controller-1-1795630221 950304 2026-11-25T18:10:21Z\n";
        let warning = "time=\"2026-11-25T18:10:21Z\" level=warning msg=\"Unknown flag --cluster-init found in config.yaml, skipping\\n\"\n";
        let empty = json!({"run": "k3s etcd-snapshot ls", "stdout": "Name Location Size Created\n"});
        let listed =
            json!({"run": "k3s etcd-snapshot ls", "stdout": format!("{heading}{line}"), "stderr": warning});
        let path = "/s/pre-upgrade-k3s-controller-1-1795630221";
        assert!(seen("pre-upgrade", Places::USUAL, path, &[empty, listed]).unwrap());
    }

    #[test]
    fn one_that_is_never_listed_is_a_failure() {
        let other = json!({"run": "k3s etcd-snapshot ls", "stdout": LIST});
        let error = seen("validated", Places::USUAL, "/s/validated-n1-17", &vec![other; 11]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("/s/validated-n1-17, which is saved and whole") && error.contains("not in it"),
            "{error}"
        );
    }

    #[test]
    fn a_k3s_without_a_list_is_not_asked_for_one() {
        for name in ["validated", "on-demand"] {
            assert!(!seen(name, Places::USUAL, "/s/on-demand-1795366896", &[]).unwrap());
        }
    }
}
