//! Which entries a merge overwrites, for every file of two clusters, two users and two contexts: never one of another
//! authority, another person or another kind of credential.

use super::merge::Sources;
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

/// One file, and the options that decide what may be overwritten in it.
struct Case {
    clusters: [usize; 2],
    users: [usize; 2],
    contexts: [(usize, usize); 2],
    names: [&'static str; 2],
    replace: bool,
    keep_address: bool,
}

impl Case {
    /// The entry that is this cluster's although its authority is another: asked for, called as ours would be, and only
    /// where no entry is ours by what it holds.
    fn replaced(&self) -> Option<usize> {
        let named = self.names.iter().position(|name| *name == NAME);
        named.filter(|_| self.replace && self.none_is_ours())
    }

    fn none_is_ours(&self) -> bool {
        self.clusters.iter().all(|cluster| CLUSTERS[*cluster].1)
    }

    fn is_anothers(&self, index: usize) -> bool {
        CLUSTERS[self.clusters[index]].1 && self.replaced() != Some(index)
    }

    fn keeps_user(&self, index: usize) -> bool {
        let leads_here = |(cluster, user): &(usize, usize)| *user != index || !self.is_anothers(*cluster);
        match USERS[self.users[index]].1 {
            Whose::Ours => false,
            Whose::OtherAuthority => !self.contexts.iter().all(leads_here),
            Whose::SomebodyElses => true,
        }
    }

    fn check(&self, world: &World) {
        let text = file(self.clusters, self.users, self.contexts, self.names);
        // What has to hold of every merge is checked there, such as that a second one changes nothing.
        let (_, after) = world.merged_as(&text, &[], |sources| Sources {
            replace: self.replace,
            keep_address: self.keep_address,
            ..sources
        });
        let before = value(&world.fill(&text));
        if let Some(index) = self.replaced() {
            let of = |file: &Value| entry(file, "clusters", self.names[index]);
            assert_ne!(of(&before), of(&after), "not replaced in\n{text}");
        }
        for index in 0..2 {
            let stays = |list: &str| {
                assert_eq!(
                    entry(&before, list, self.names[index]),
                    entry(&after, list, self.names[index]),
                    "{list}, replace {}, of\n{text}",
                    self.replace
                );
            };
            if self.is_anothers(index) {
                stays("clusters");
            }
            if self.keeps_user(index) {
                stays("users");
            }
            if self.is_anothers(self.contexts[index].0) {
                stays("contexts");
            }
        }
    }
}

/// Every file, or those that an option has a say in.
fn check_all(replace: bool, keep_address: bool, matters: impl Fn(&Case) -> bool) {
    let world = World::new();
    for number in 0..5 * 5 * 5 * 5 * 4 * 2 {
        let digit = |divisor: usize, base: usize| number / divisor % base;
        let case = Case {
            clusters: [digit(1, 5), digit(5, 5)],
            users: [digit(25, 5), digit(125, 5)],
            contexts: CONTEXTS[digit(625, 4)],
            names: NAMES[digit(2500, 2)],
            replace,
            keep_address,
        };
        if matters(&case) {
            case.check(&world);
        }
    }
}

#[test]
fn never_overwrites_an_entry_of_another_authority() {
    check_all(false, false, |_| true);
}

#[test]
fn replaces_only_the_entry_of_its_name_and_only_where_none_is_its_own() {
    check_all(true, false, |case| case.none_is_ours() || case.users[1] == 0);
}

#[test]
fn keeps_an_address_that_answers_and_every_entry_of_another_authority() {
    check_all(false, true, |case| case.users == [0, 1]);
}
