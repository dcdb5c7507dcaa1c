//! Which entries a merge overwrites, for every file of two clusters, two users and two contexts: never one of another
//! authority, another person or another kind of credential.

use super::merge_world::{NAME, World, items, name, value};
use serde_yaml_ng::Value;
use std::fmt::Write as _;

/// A cluster, and whether it is surely another one.
const CLUSTERS: [(&str, bool); 5] = [
    (
        "certificate-authority-data: OUR_CA, server: \"https://k3s-1:6443\"",
        false,
    ),
    (
        "certificate-authority-data: OTHER_CA, server: \"https://k3s-1:6443\"",
        true,
    ),
    (
        "certificate-authority-data: STALE_CA, server: \"https://x:1\"",
        true,
    ),
    ("server: \"https://k3s-1:6443\"", false),
    ("server: \"https://x:1\"", true),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    /// An administrator's certificate of another authority: what this cluster had before it was set up anew looks the same,
    /// so it is renewed where every context that uses it leads here.
    OtherAuthority,
    SomebodyElses,
}

const USERS: [(&str, Whose); 5] = [
    (
        "client-certificate-data: OUR_OLD_CERT, client-key-data: OUR_OLD_KEY",
        Whose::Ours,
    ),
    (
        "client-certificate-data: OTHER_CERT, client-key-data: OTHER_KEY",
        Whose::OtherAuthority,
    ),
    (
        "client-certificate-data: OPERATOR_CERT, client-key-data: OPERATOR_KEY",
        Whose::SomebodyElses,
    ),
    ("token: abc", Whose::SomebodyElses),
    ("exec: {command: kubelogin}", Whose::SomebodyElses),
];

/// Which cluster and which user the two contexts have.
const CONTEXTS: [[(usize, usize); 2]; 4] = [
    [(0, 0), (1, 1)],
    [(0, 1), (1, 0)],
    [(0, 0), (0, 1)],
    [(0, 0), (1, 0)],
];

/// The names of two entries: the first may be called as ours would be.
const NAMES: [[&str; 2]; 2] = [[NAME, "default"], ["default", "b"]];

fn file(clusters: [usize; 2], users: [usize; 2], contexts: [(usize, usize); 2], names: [&str; 2]) -> String {
    let mut text = "clusters:\n".to_owned();
    for (name, cluster) in names.iter().zip(clusters) {
        let _ = writeln!(text, "- {{name: {name}, cluster: {{{}}}}}", CLUSTERS[cluster].0);
    }
    text += "users:\n";
    for (name, user) in names.iter().zip(users) {
        let _ = writeln!(text, "- {{name: {name}, user: {{{}}}}}", USERS[user].0);
    }
    text += "contexts:\n";
    for (name, (cluster, user)) in names.iter().zip(contexts) {
        let _ = writeln!(
            text,
            "- {{name: {name}, context: {{cluster: {}, user: {}}}}}",
            names[cluster], names[user]
        );
    }
    text
}

fn entry(file: &Value, list: &str, wanted: &str) -> Value {
    let mut found = items(file, list).into_iter().filter(|item| name(item) == wanted);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{wanted} is gone from {list}"));
    assert_eq!(found.next(), None, "{wanted} is twice in {list}");
    first
}

#[test]
fn never_overwrites_an_entry_of_another_authority() {
    let world = World::new();
    for case in 0..5 * 5 * 5 * 5 * 4 * 2 {
        let digit = |divisor: usize, base: usize| case / divisor % base;
        let clusters = [digit(1, 5), digit(5, 5)];
        let users = [digit(25, 5), digit(125, 5)];
        let (contexts, names) = (CONTEXTS[digit(625, 4)], NAMES[digit(2500, 2)]);
        let text = file(clusters, users, contexts, names);
        // What has to hold of every merge is checked there, such as that a second one changes nothing.
        let (_, after) = world.merged(&text, &[]);
        let before = value(&world.fill(&text));
        for index in 0..2 {
            let stays = |list: &str| {
                assert_eq!(
                    entry(&before, list, names[index]),
                    entry(&after, list, names[index]),
                    "{list} of\n{text}"
                );
            };
            if CLUSTERS[clusters[index]].1 {
                stays("clusters");
            }
            let leads_here =
                |(cluster, user): &(usize, usize)| *user != index || !CLUSTERS[clusters[*cluster]].1;
            let is_kept = match USERS[users[index]].1 {
                Whose::Ours => false,
                Whose::OtherAuthority => !contexts.iter().all(leads_here),
                Whose::SomebodyElses => true,
            };
            if is_kept {
                stays("users");
            }
            if CLUSTERS[clusters[contexts[index].0]].1 {
                stays("contexts");
            }
        }
    }
}
