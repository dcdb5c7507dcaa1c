use super::*;
use crate::arguments::Arguments;
use crate::bad_hops::Knowledge;
use crate::node::{Etcd, Proxy};
use crate::state::{Evidence, ReadFrom, Target};
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
            location: "container 101 on pve1".to_owned(),
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
            known: Knowledge::all().unwrap(),
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
fn a_skipped_minor_is_refused_and_the_way_named() {
    let decision = Case::new("v1.31.4+k3s1", "v1.31.4+k3s1", "v1.34.1+k3s1").decide();
    let refusal = &decision.refusals[0];
    assert_eq!(refusal.rule, "skip_minor");
    assert_eq!(
        refusal.next,
        "-e k3s_target_version=v1.32.13+k3s1, then v1.33.13+k3s2, then v1.34.1+k3s1"
    );
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

fn versions(decision: &Decision) -> Vec<String> {
    let stops = decision.stops.iter();
    stops.map(|stop| stop.version.to_string()).collect()
}

#[test]
fn every_stop_is_named_with_what_is_to_be_done_before_it() {
    let node = Node {
        cgroup_v1: true,
        arguments: Arguments::read("kubelet-arg register-schedulable"),
        found: [(
            "traefik_containo_us".to_owned(),
            vec!["IngressRoute demo/web".to_owned()],
        )]
        .into(),
        ..server(None)
    };
    let decision = Case::new("v1.31.4+k3s1", "v1.31.4+k3s1", "v1.36.5+k3s1")
        .on(node)
        .decide();
    assert_eq!(
        versions(&decision),
        [
            "v1.32.13+k3s1",
            "v1.33.13+k3s2",
            "v1.34.11+k3s1",
            "v1.35.8+k3s1",
            "v1.36.5+k3s1"
        ]
    );
    let before =
        |stop: &Stop| -> Vec<String> { stop.before.iter().map(|before| before.rule.clone()).collect() };
    assert_eq!(
        decision.stops.iter().map(before).collect::<Vec<_>>(),
        [
            vec!["traefik_containo_us"],
            vec![],
            vec!["removed_arguments"],
            vec!["cgroup_v1"],
            vec![]
        ]
    );
    assert_eq!(decision.stops[3].command, "-e k3s_target_version=v1.35.8+k3s1");
    assert!(decision.stops[3].before[0].next.contains("fail-cgroupv1=false"));
    assert_eq!(
        decision.refusals[0].next,
        "-e k3s_target_version=v1.32.13+k3s1 (first see to traefik_containo_us), then v1.33.13+k3s2, \
         then v1.34.11+k3s1 (first see to removed_arguments), then v1.35.8+k3s1 (first see to cgroup_v1), then v1.36.5+k3s1"
    );
}

#[test]
fn a_hop_that_is_allowed_has_no_stops() {
    let decision = Case::new("v1.36.2+k3s1", "v1.36.2+k3s1", "v1.37.0+k3s1")
        .on(server(Some("3.6.12")))
        .decide();
    assert!(decision.refusals.is_empty() && decision.stops.is_empty() && decision.warnings.is_empty());
}

#[test]
fn a_hop_that_etcd_forbids_names_a_build_to_stop_at() {
    let decision = Case::new("v1.36.1+k3s1", "v1.36.1+k3s1", "v1.37.0+k3s1")
        .on(server(Some("3.6.7")))
        .decide();
    let refusal = &decision.refusals[0];
    assert_eq!(refusal.rule, "etcd_before_3_7");
    assert_eq!(
        refusal.next,
        "-e k3s_target_version=v1.36.5+k3s1, then v1.37.0+k3s1"
    );
    assert_eq!(versions(&decision), ["v1.36.5+k3s1", "v1.37.0+k3s1"]);
}

#[test]
fn what_etcd_says_of_itself_decides_on_the_way_too() {
    let decision = Case::new("v1.33.10+k3s1", "v1.33.10+k3s1", "v1.35.1+k3s1")
        .on(server(Some("3.5.21")))
        .decide();
    assert_eq!(
        decision
            .refusals
            .iter()
            .map(|refusal| refusal.rule.as_str())
            .collect::<Vec<_>>(),
        ["skip_minor", "etcd_before_3_6"]
    );
    assert!(decision.stops.is_empty(), "no 1.33 after 1.33.10 has 3.5.26");
    let next = &decision.refusals[1].next;
    assert!(next.contains("etcd 3.5.26 or later and not yet 3.6"), "{next}");
    assert_eq!(decision.refusals[0].next, "-e k3s_channel=v1.34");
}

#[test]
fn passes_a_lifted_rule() {
    let lifted = json!({"allow_known_bad": ["etcd_before_3_6"]});
    let decision = Case::new("v1.33.6+k3s1", "v1.33.6+k3s1", "v1.35.1+k3s1")
        .on(server(Some("3.5.21")))
        .with(lifted)
        .decide();
    assert_eq!(versions(&decision), ["v1.34.11+k3s1", "v1.35.1+k3s1"]);
}

#[test]
fn a_build_that_is_not_in_the_table_is_judged_by_its_neighbour_and_that_is_said() {
    let newer = Case::new("v1.36.1+k3s1", "v1.36.1+k3s1", "v1.36.9+k3s1")
        .on(server(Some("3.6.7")))
        .decide();
    assert!(newer.refusals.is_empty());
    assert_eq!(
        newer.warnings,
        [
            "k3s v1.36.9+k3s1 is not in the table of builds: it is judged by what v1.36.5+k3s1 carries, the nearest build there"
        ]
    );
    let minor = Case::new("v1.36.1+k3s1", "v1.36.1+k3s1", "v1.38.0+k3s1")
        .on(server(Some("3.6.7")))
        .decide();
    assert_eq!(minor.refusals[1].rule, "etcd_before_3_7", "by v1.37.1+k3s1");
    assert_eq!(versions(&minor), ["v1.36.5+k3s1", "v1.37.1+k3s1", "v1.38.0+k3s1"]);
    let there = Case::new("v1.36.9+k3s1", "v1.36.9+k3s1", "v1.36.9+k3s1").decide();
    assert!(there.warnings.is_empty(), "nothing is to be done");
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

fn server(etcd: Option<&str>) -> Node {
    Node {
        etcd: Etcd {
            member: true,
            version: etcd.map(str::to_owned),
        },
        ..Node::default()
    }
}

#[test]
fn a_known_bad_hop_is_refused_unless_that_rule_is_lifted() {
    let case = || Case::new("v1.33.7+k3s1", "v1.33.7+k3s1", "v1.34.3+k3s1").on(server(Some("3.5.25")));
    let decision = case().decide();
    let refusal = &decision.refusals[0];
    assert_eq!(refusal.rule, "etcd_before_3_6");
    assert!(
        refusal.evidence.starts_with("etcd 3.5.25 runs here"),
        "{}",
        refusal.evidence
    );
    assert_eq!(refusal.lifted_by, "allow_known_bad: [etcd_before_3_6]");
    assert_eq!(
        refusal.next,
        "-e k3s_target_version=v1.33.10+k3s1, then v1.34.3+k3s1"
    );
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

/// On cgroup v1, with a limit of connections that its container may not set.
fn in_a_bad_container() -> Node {
    Node {
        cgroup_v1: true,
        arguments: Arguments::read("kube-proxy-arg conntrack-max-per-core=65536"),
        proxy: Proxy {
            conntrack_max: Some(2_097_152),
            ..Proxy::default()
        },
        ..Node::default()
    }
}

#[test]
fn a_new_node_is_judged_by_its_container() {
    let decision = Case::new("-", "-", "v1.36.1+k3s1")
        .on(in_a_bad_container())
        .decide();
    let rules: Vec<&str> = decision
        .refusals
        .iter()
        .map(|refusal| refusal.rule.as_str())
        .collect();
    assert_eq!(rules, ["cgroup_v1", "conntrack_in_lxc"]);
    let with_data = Case::new("-", "-", "v1.37.0+k3s1").on(server(None)).decide();
    assert!(
        with_data.refusals[0]
            .next
            .starts_with("install the version of k3s that ran here last")
    );
}

#[test]
fn all_refusals_are_said_at_once() {
    let rules = Case::new("v1.34.1+k3s1", "v1.34.1+k3s1", "v1.36.1+k3s1")
        .on(in_a_bad_container())
        .rules();
    assert_eq!(rules, ["skip_minor", "cgroup_v1", "conntrack_in_lxc"]);
}

#[test]
fn a_node_at_its_target_is_refused_nothing() {
    assert!(
        Case::new("v1.36.1+k3s1", "v1.36.1+k3s1", "v1.36.1+k3s1")
            .on(in_a_bad_container())
            .rules()
            .is_empty()
    );
}

#[test]
fn an_upgrade_that_stopped_half_way_is_said() {
    let decision = Case::new("v1.31.5+k3s1", "v1.31.4+k3s1", "v1.31.5+k3s1").decide();
    assert!(decision.warnings[0].contains("was not restarted"));
}

#[test]
fn refuses_another_minor_where_only_patches_are_allowed() {
    let hop = |to| Case::new("v1.35.5+k3s1", "v1.35.5+k3s1", to).with(json!({"allow_minor": false}));
    assert_eq!(hop("v1.36.3+k3s1").rules(), ["minor"]);
    assert!(hop("v1.35.6+k3s1").rules().is_empty());
    // What an earlier task has decided is not judged again: a worker may be a minor behind its servers.
    assert!(hop("v1.36.3+k3s1").by_channel().rules().is_empty());
    let allowed = Case::new("v1.35.5+k3s1", "v1.35.5+k3s1", "v1.36.3+k3s1");
    assert!(allowed.rules().is_empty());
}
