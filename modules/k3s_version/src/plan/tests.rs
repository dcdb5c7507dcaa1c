use super::*;
use crate::bad_hops;
use crate::state::{Etcd, Evidence, ReadFrom, Target};
use serde_json::{Value, json};

fn version(text: &str) -> K3sVersion {
    text.parse().unwrap()
}

/// A node with these versions (`-`: none), and a target that is pinned, or that a channel named.
struct Case {
    installed: &'static str,
    running: &'static str,
    target: &'static str,
    pinned: bool,
    options: Value,
    node: Node,
}

impl Case {
    fn new(installed: &'static str, running: &'static str, target: &'static str) -> Self {
        Self {
            installed,
            running,
            target,
            pinned: true,
            options: json!({}),
            node: Node::default(),
        }
    }

    fn by_channel(self) -> Self {
        Self {
            pinned: false,
            ..self
        }
    }

    fn with(self, options: Value) -> Self {
        Self { options, ..self }
    }

    fn on(self, node: Node) -> Self {
        Self { node, ..self }
    }

    fn decide(self) -> Decision {
        let mut options = self.options;
        options[if self.pinned { "version" } else { "channel_version" }] = self.target.into();
        let given = Evidence {
            name: "stable".to_owned(),
            read_from: ReadFrom::Given,
            url: None,
            status: None,
            received: None,
        };
        let known = |text: &str| (text != "-").then(|| version(text));
        let state = State {
            place: "container 101 on pve1".to_owned(),
            target: Target {
                version: version(self.target),
                channel: (!self.pinned).then_some(given),
                warning: None,
            },
            node: Node {
                installed: known(self.installed),
                running: known(self.running),
                ..self.node
            },
            bad_hops: bad_hops::all().unwrap(),
        };
        decide(&serde_json::from_value(options).unwrap(), &state)
    }

    fn rules(self) -> Vec<String> {
        self.decide()
            .refusals
            .into_iter()
            .map(|refusal| refusal.rule)
            .collect()
    }
}

#[test]
fn hop_order_and_need_follow_from_the_versions() {
    use Order::{Either, ServersFirst, WorkersFirst};
    let old = "v1.31.4+k3s1";
    let table = [
        (old, old, old, false, Some(Hop::None), Either),
        (old, old, "v1.31.4+k3s2", true, Some(Hop::Build), WorkersFirst),
        (
            "v1.31.4-rc1+k3s1",
            "v1.31.4-rc1+k3s1",
            old,
            true,
            Some(Hop::Build),
            WorkersFirst,
        ),
        (old, old, "v1.31.5+k3s1", true, Some(Hop::Patch), WorkersFirst),
        (old, old, "v1.32.0+k3s1", true, Some(Hop::Minor), ServersFirst),
        (
            old,
            old,
            "v1.33.0+k3s1",
            true,
            Some(Hop::MultiMinor),
            ServersFirst,
        ),
        (old, old, "v2.0.0+k3s1", true, Some(Hop::Major), ServersFirst),
        (old, old, "v1.31.3+k3s1", true, Some(Hop::Downgrade), WorkersFirst),
        ("-", "-", old, true, None, Either),
        // Stopped between the swap of the binary and the restart: the running one counts.
        (
            "v1.32.0+k3s1",
            old,
            "v1.32.0+k3s1",
            true,
            Some(Hop::Minor),
            ServersFirst,
        ),
        // What runs is not known: it cannot be shown to be the target.
        (old, "-", old, true, Some(Hop::None), Either),
        (
            "v1.31.5+k3s1",
            old,
            "v1.31.4+k3s1",
            true,
            Some(Hop::Downgrade),
            WorkersFirst,
        ),
    ];
    for (installed, running, target, required, hop, order) in table {
        let decision = Case::new(installed, running, target).decide();
        let label = format!("{installed} {running} {target}");
        assert_eq!(
            (decision.upgrade_required, decision.hop, decision.order),
            (required, hop, order),
            "{label}"
        );
    }
}

#[test]
fn a_skipped_minor_is_refused_and_the_next_channel_named() {
    let decision = Case::new("v1.31.4+k3s1", "v1.31.4+k3s1", "v1.34.1+k3s1").decide();
    let refusal = &decision.refusals[0];
    assert_eq!(refusal.rule, "skip_minor");
    assert_eq!(refusal.next, "-e k3s_channel=v1.32");
    assert!(
        refusal.evidence.contains("leaves out v1.32, v1.33"),
        "{}",
        refusal.evidence
    );
    assert!(
        Case::new("v1.31.4+k3s1", "v1.31.4+k3s1", "v1.33.1+k3s1")
            .with(json!({"allow_skip_minor": true}))
            .rules()
            .is_empty()
    );
}

#[test]
fn only_a_pinned_downgrade_is_a_refusal() {
    let newer = || Case::new("v1.32.1+k3s1", "v1.32.1+k3s1", "v1.31.9+k3s1");
    assert_eq!(newer().rules(), ["downgrade"]);
    assert!(newer().with(json!({"allow_downgrade": true})).rules().is_empty());
    let left = newer().by_channel().decide();
    assert!(!left.upgrade_required && left.refusals.is_empty());
    assert!(
        left.warnings[0].contains("v1.32.1+k3s1 is newer than the channel's v1.31.9+k3s1"),
        "{:?}",
        left.warnings
    );
}

#[test]
fn another_major_version_is_refused() {
    assert_eq!(
        Case::new("v1.40.1+k3s1", "v1.40.1+k3s1", "v2.0.0+k3s1").rules()[0],
        "major"
    );
}

#[test]
fn a_known_bad_hop_is_refused_unless_that_rule_is_lifted() {
    let server = Node {
        etcd: Etcd {
            member: true,
            version: Some("3.5.25".to_owned()),
        },
        ..Node::default()
    };
    let case = || Case::new("v1.33.7+k3s1", "v1.33.7+k3s1", "v1.34.3+k3s1").on(server.clone());
    let decision = case().decide();
    let refusal = &decision.refusals[0];
    assert_eq!(refusal.rule, "etcd_before_3_6");
    assert!(
        refusal.evidence.starts_with("etcd 3.5.25 runs here"),
        "{}",
        refusal.evidence
    );
    assert_eq!(refusal.lifted_by, "allow_known_bad: [etcd_before_3_6]");
    assert!(
        case()
            .with(json!({"allow_known_bad": ["etcd_before_3_6"]}))
            .rules()
            .is_empty()
    );
    assert_eq!(
        case().with(json!({"allow_known_bad": ["cgroup_v1"]})).rules(),
        ["etcd_before_3_6"]
    );
}

#[test]
fn a_new_node_is_held_against_its_surroundings() {
    let node = Node {
        cgroup_v1: true,
        in_lxc: true,
        ..Node::default()
    };
    assert_eq!(
        Case::new("-", "-", "v1.36.1+k3s1").on(node).rules(),
        ["cgroup_v1", "conntrack_in_lxc"]
    );
}

#[test]
fn all_that_speaks_against_a_hop_is_said_at_once() {
    let node = Node {
        cgroup_v1: true,
        in_lxc: true,
        ..Node::default()
    };
    let rules = Case::new("v1.34.1+k3s1", "v1.34.1+k3s1", "v1.36.1+k3s1")
        .on(node)
        .rules();
    assert_eq!(rules, ["skip_minor", "cgroup_v1", "conntrack_in_lxc"]);
}

#[test]
fn a_node_at_its_target_is_refused_nothing() {
    let node = Node {
        cgroup_v1: true,
        in_lxc: true,
        ..Node::default()
    };
    assert!(
        Case::new("v1.36.1+k3s1", "v1.36.1+k3s1", "v1.36.1+k3s1")
            .on(node)
            .rules()
            .is_empty()
    );
}

#[test]
fn an_upgrade_that_stopped_half_way_is_said() {
    let decision = Case::new("v1.31.5+k3s1", "v1.31.4+k3s1", "v1.31.5+k3s1").decide();
    assert!(decision.warnings[0].contains("was not restarted"));
}
