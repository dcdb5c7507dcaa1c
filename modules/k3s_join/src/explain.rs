//! Why a node does not come up, in words of what to do: k3s says it in its journal only.
//!
//! This explains to a person; nothing is decided by it.

use k3s_types::mask;
use serde::Serialize;

/// What of the journal is shown.
const SHOWN: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cause {
    pub rule: &'static str,
    /// The line of the journal.
    pub line: String,
    pub advice: String,
}

/// What k3s says, and what it means. The first that fits a line.
const KNOWN: [(&str, &str, &str); 16] = [
    (
        "critical configuration mismatched: ",
        "setting",
        "this setting must be the same on all servers: take it out of the node's configuration and run again",
    ),
    (
        "critical configuration value mismatch",
        "setting",
        "settings must be the same on all servers; the warnings before name them",
    ),
    (
        "token CA hash does not match",
        "token",
        "the token is of another cluster: run again, which reads it from a live server",
    ),
    (
        "encrypted with different token",
        "token",
        "the token is not the one that the datastore was written with: run again, which reads it from a live server",
    ),
    (
        "401 Unauthorized",
        "token",
        "the server does not accept this token: run again, which reads it from a live server; an argument --token or K3S_TOKEN in the unit's files is an old one",
    ),
    (
        "not authorized",
        "token",
        "the server does not accept this token: run again, which reads it from a live server; an argument --token or K3S_TOKEN in the unit's files is an old one",
    ),
    (
        "not yet valid",
        "clock",
        "a certificate has expired, or the clocks of the hosts differ: compare `date` on both, and see playbook-check-k3s-certificates.yaml",
    ),
    (
        "newer than datastore and could cause a cluster outage",
        "old_files",
        "certificates here are of another cluster or of a clock that is ahead: see that the clocks agree, and run again",
    ),
    (
        "Node password rejected",
        "node_password",
        "a machine of this name was here before: remove its Node and its Secret <node>.node-password.k3s (node_remove does both)",
    ),
    (
        "duplicate node name found",
        "stale_member",
        "etcd still has a member of this name: run again, which removes it where its server is gone",
    ),
    (
        "Peer URLs already exists",
        "stale_member",
        "etcd still has a member of this address: run again, which removes it where its server is gone",
    ),
    (
        "too many learner members",
        "learner",
        "another server is joining, or was left half-way: let it finish, or remove its member with etcd_member",
    ),
    (
        "the member has been permanently removed",
        "removed",
        "its database is of a member that was removed: run again, which sets it aside",
    ),
    (
        "embedded etcd is not enabled",
        "no_etcd",
        "the server has no embedded etcd: playbook-bootstrap-k3s-ha.yaml first",
    ),
    (
        "certificate is valid for",
        "not_in_certificate",
        "the server's certificate does not have this name: add it to tls-san on each server",
    ),
    (
        "/dev/kmsg",
        "kmsg",
        "the container has no /dev/kmsg: run again, which makes it (k3s_prereqs)",
    ),
];

/// The causes that a journal names, each once, the last line of each.
pub(crate) fn causes(journal: &str) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for line in journal.lines() {
        let known = KNOWN.iter().find(|(words, ..)| line.contains(words));
        let Some((words, rule, advice)) = known else {
            continue;
        };
        let line = mask::log_line(line.trim());
        // Each setting is a cause of its own.
        let named = words.ends_with(": ").then(|| line.clone());
        causes
            .retain(|cause| cause.rule != *rule || named.as_ref().is_some_and(|named| *named != cause.line));
        causes.push(Cause {
            rule,
            line,
            advice: (*advice).to_owned(),
        });
    }
    causes
}

/// The end of it, without secrets.
pub(crate) fn shown(journal: &str) -> Vec<String> {
    let lines: Vec<String> = journal
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(mask::log_line)
        .collect();
    lines[lines.len().saturating_sub(SHOWN)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(journal: &str) -> Vec<&'static str> {
        causes(journal).iter().map(|cause| cause.rule).collect()
    }

    const LINES: &str = include_str!("../tests/recorded/journal-lines.txt");

    #[test]
    fn known_lines_are_explained() {
        let lines: Vec<&str> = LINES.lines().filter(|line| !line.starts_with('#')).collect();
        for (words, ..) in KNOWN {
            assert!(
                lines.iter().any(|line| line.contains(words)),
                "no line has {words:?}"
            );
        }
        for line in lines {
            let (rule, line) = line.split_once(' ').unwrap();
            assert_eq!(rules(line), [rule], "{line}");
        }
        assert!(rules("level=info msg=\"k3s is up and running\"\n\n").is_empty());
    }

    #[test]
    fn settings_are_named_each_and_others_once() {
        let one = "level=warning msg=\"critical configuration mismatched: ClusterIPRange\"";
        let two = "level=warning msg=\"critical configuration mismatched: FlannelBackend\"";
        let journal = [one, two, one, two].join("\n");
        let found = causes(&journal);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].line.contains("ClusterIPRange") && found[1].line.contains("FlannelBackend"));
        assert_eq!(rules("not authorized\nx\nnot authorized"), ["token"]);
    }

    #[test]
    fn shows_no_token_and_only_the_end_of_the_journal() {
        let journal = format!(
            "{}\ntoken=s3cr3t not authorized K10abc::server:s3cr3t\n\n",
            "line\n".repeat(40)
        );
        assert_eq!(shown(&journal).len(), SHOWN);
        let shown = format!("{:?} {:?}", shown(&journal), causes(&journal));
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
