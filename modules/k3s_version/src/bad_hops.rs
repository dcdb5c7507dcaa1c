//! Hops that are known to end badly. They are data (`known_bad_hops.json`); what a condition means is here.

use crate::state::Node;
use anyhow::{Context, Result};
use k3s_types::K3sVersion;
use serde::Deserialize;
use std::collections::BTreeMap;

const HOPS: &str = include_str!("../known_bad_hops.json");

/// Objects that a refusal names: enough to find the others by.
const SHOWN: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadHop {
    /// The name by which a user lifts it.
    pub rule: String,
    /// What is bad to arrive at from below: a minor (`1.34`), or one of its patches (`1.32.2`).
    reaching: String,
    condition: Condition,
    pub why: String,
    pub next: String,
    /// Where this is known from.
    pub source: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// Bad on members of etcd that run an older one. Where etcd does not tell, the version of k3s that first
    /// brought this one decides.
    EtcdOlderThan { etcd: String, k3s: K3sVersion },
    /// Bad on cgroup v1 unless one of these settings is among the node's.
    CgroupV1Unless(Vec<String>),
    /// Bad in an LXC container unless one of these settings is among the node's.
    LxcUnless(Vec<String>),
    /// Bad where the cluster has objects of these.
    ObjectsOf(Definitions),
}

/// Definitions of custom resources, where they are those of a release of Helm in `kube-system`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Definitions {
    pub release: String,
    /// A release whose own objects of them are no loss: it makes them anew.
    pub beside: String,
    /// The names of the definitions.
    pub kinds: Vec<String>,
}

/// What has to be asked of a node to judge a hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    pub settings: Vec<String>,
    pub etcd: bool,
}

pub(crate) fn all() -> Result<Vec<BadHop>> {
    serde_json::from_str(HOPS).context("reading the list of known bad hops")
}

/// A rule that nobody knows is a typing error, which would otherwise lift nothing without a word.
pub(crate) fn check_names(names: &[String]) -> Result<(), String> {
    let hops = all().map_err(|error| format!("{error:#}"))?;
    let known: Vec<&str> = hops.iter().map(|hop| hop.rule.as_str()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!(
            "allow_known_bad: there is no rule {name}; there are {}",
            known.join(", ")
        )),
    }
}

/// The questions that hops to `target` pose, from wherever.
pub(crate) fn questions(hops: &[BadHop], target: &K3sVersion) -> Questions {
    let mut questions = Questions::default();
    for hop in hops.iter().filter(|hop| hop.reached_by(target)) {
        match &hop.condition {
            Condition::EtcdOlderThan { .. } => questions.etcd = true,
            Condition::CgroupV1Unless(settings) | Condition::LxcUnless(settings) => {
                questions.settings.extend(settings.iter().cloned());
            }
            Condition::ObjectsOf(_) => {}
        }
    }
    questions
}

/// What a hop takes away with all its objects. To ask for them costs a visit more.
pub(crate) fn taken_away<'h>(
    hops: &'h [BadHop],
    lifted: &[String],
    from: &K3sVersion,
    target: &K3sVersion,
) -> Vec<&'h Definitions> {
    let crossed = |hop: &&BadHop| hop.is_crossed(Some(from), target) && !lifted.contains(&hop.rule);
    let definitions = hops.iter().filter(crossed).map(|hop| match &hop.condition {
        Condition::ObjectsOf(definitions) => Some(definitions),
        _ => None,
    });
    definitions.flatten().collect()
}

impl BadHop {
    /// What makes this node's hop `from` → `to` a bad one; `None`: nothing does.
    pub fn evidence(&self, from: Option<&K3sVersion>, to: &K3sVersion, node: &Node) -> Option<String> {
        if !self.is_crossed(from, to) {
            return None;
        }
        match &self.condition {
            Condition::EtcdOlderThan { etcd, k3s } => old_etcd(etcd, k3s, from, node),
            Condition::CgroupV1Unless(settings) => (node.cgroup_v1 && !node.has_one(settings)).then(|| {
                format!(
                    "the node is on cgroup v1, and {} is not among its settings",
                    settings[0]
                )
            }),
            Condition::LxcUnless(settings) => (node.in_lxc && !node.has_one(settings)).then(|| {
                format!(
                    "the node is an LXC container, and {} is not among its settings",
                    settings[0]
                )
            }),
            Condition::ObjectsOf(definitions) => definitions.evidence(&node.objects),
        }
    }

    fn is_crossed(&self, from: Option<&K3sVersion>, to: &K3sVersion) -> bool {
        !from.is_some_and(|from| self.reached_by(from)) && self.reached_by(to)
    }

    fn reached_by(&self, version: &K3sVersion) -> bool {
        let K3sVersion {
            major, minor, patch, ..
        } = version;
        vec![*major, *minor, *patch] >= numbers(&self.reaching)
    }
}

impl Definitions {
    fn evidence(&self, objects: &BTreeMap<String, Vec<String>>) -> Option<String> {
        let found = objects.get(&self.release).filter(|found| !found.is_empty())?;
        let more = if found.len() > SHOWN { ", ..." } else { "" };
        let first = found[..found.len().min(SHOWN)].join(", ");
        Some(format!("the cluster has {} of them: {first}{more}", found.len()))
    }
}

fn old_etcd(wanted: &str, first: &K3sVersion, from: Option<&K3sVersion>, node: &Node) -> Option<String> {
    if !node.etcd.member {
        return None;
    }
    if let Some(running) = &node.etcd.version {
        return (numbers(running) < numbers(wanted))
            .then(|| format!("etcd {running} runs here, older than {wanted}"));
    }
    match from {
        Some(from) if from >= first => None,
        Some(from) => Some(format!(
            "etcd does not tell its version, and k3s {from} is older than {first}, which first brought etcd {wanted}"
        )),
        None => Some(format!(
            "there is a member of etcd here whose version is not known to be {wanted} or later"
        )),
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Etcd;

    fn version(text: &str) -> K3sVersion {
        text.parse().unwrap()
    }

    fn refused(from: &str, to: &str, node: &Node) -> Vec<String> {
        let hops = all().unwrap();
        let bad = hops
            .iter()
            .filter(|hop| hop.evidence(Some(&version(from)), &version(to), node).is_some());
        bad.map(|hop| hop.rule.clone()).collect()
    }

    fn member(etcd: Option<&str>) -> Node {
        Node {
            etcd: Etcd {
                member: true,
                version: etcd.map(str::to_owned),
            },
            ..Node::default()
        }
    }

    #[test]
    fn every_rule_reads_and_names_its_source() {
        for hop in all().unwrap() {
            assert!(
                hop.reached_by(&version("v1.99.0+k3s1")) && !hop.reached_by(&version("v1.32.1+k3s1")),
                "{}",
                hop.rule
            );
            assert!(!hop.source.is_empty() && !hop.why.is_empty() && !hop.next.is_empty());
        }
    }

    #[test]
    fn etcd_3_6_wants_3_5_26_first() {
        let to = "v1.34.3+k3s1";
        assert_eq!(
            refused("v1.33.7+k3s1", to, &member(Some("3.5.25"))),
            ["etcd_before_3_6"]
        );
        assert!(refused("v1.33.7+k3s3", to, &member(Some("3.5.26"))).is_empty());
        assert!(refused("v1.33.11+k3s1", to, &member(Some("3.6.7"))).is_empty());
        assert!(
            refused("v1.33.7+k3s1", "v1.33.8+k3s1", &member(Some("3.5.25"))).is_empty(),
            "not to 1.34"
        );
        assert!(
            refused("v1.34.1+k3s1", to, &member(Some("3.6.4"))).is_empty(),
            "already there"
        );
        assert!(
            refused("v1.33.7+k3s1", to, &Node::default()).is_empty(),
            "SQLite and agents have no member"
        );
    }

    #[test]
    fn where_etcd_is_silent_the_version_of_k3s_tells() {
        assert_eq!(
            refused("v1.33.7+k3s2", "v1.34.3+k3s1", &member(None)),
            ["etcd_before_3_6"]
        );
        assert!(refused("v1.33.7+k3s3", "v1.34.3+k3s1", &member(None)).is_empty());
    }

    #[test]
    fn cgroup_v1_ends_at_1_35() {
        let mut node = Node {
            cgroup_v1: true,
            ..Node::default()
        };
        assert_eq!(refused("v1.34.9+k3s1", "v1.35.1+k3s1", &node), ["cgroup_v1"]);
        assert!(refused("v1.33.9+k3s1", "v1.34.1+k3s1", &node).is_empty());
        node.settings = vec!["fail-cgroupv1=false".to_owned()];
        assert!(refused("v1.34.9+k3s1", "v1.35.1+k3s1", &node).is_empty());
    }

    #[test]
    fn kube_proxy_in_lxc_ends_at_1_36_unless_told() {
        let mut node = Node {
            in_lxc: true,
            ..Node::default()
        };
        assert_eq!(
            refused("v1.35.4+k3s1", "v1.36.0+k3s1", &node),
            ["conntrack_in_lxc"]
        );
        for setting in ["conntrack-max-per-core=0", "disable-kube-proxy"] {
            node.settings = vec![setting.to_owned()];
            assert!(refused("v1.35.4+k3s1", "v1.36.0+k3s1", &node).is_empty());
        }
    }

    #[test]
    fn traefik_3_takes_the_old_routes_away() {
        let objects = |count: usize| Node {
            objects: BTreeMap::from([(
                "traefik-crd".to_owned(),
                (0..count)
                    .map(|number| format!("IngressRoute demo/r{number}"))
                    .collect(),
            )]),
            ..Node::default()
        };
        for (from, to) in [("v1.31.4+k3s1", "v1.32.9+k3s1"), ("v1.32.1+k3s1", "v1.32.2+k3s1")] {
            assert_eq!(refused(from, to, &objects(1)), ["traefik_containo_us"]);
            assert!(refused(from, to, &objects(0)).is_empty());
        }
        assert!(refused("v1.31.4+k3s1", "v1.32.1+k3s1", &objects(1)).is_empty());
        assert!(refused("v1.32.2+k3s1", "v1.33.1+k3s1", &objects(1)).is_empty());
        let hops = all().unwrap();
        let told = |count| {
            hops[0]
                .evidence(None, &version("v1.32.2+k3s1"), &objects(count))
                .unwrap()
        };
        assert_eq!(told(1), "the cluster has 1 of them: IngressRoute demo/r0");
        assert!(told(6).starts_with("the cluster has 6 of them: ") && told(6).ends_with("demo/r4, ..."));
    }

    #[test]
    fn objects_are_asked_for_only_where_the_hop_takes_them() {
        let hops = all().unwrap();
        let asked = |from, to, lifted: &[&str]| {
            let lifted: Vec<String> = lifted.iter().map(|rule| (*rule).to_owned()).collect();
            taken_away(&hops, &lifted, &version(from), &version(to)).len()
        };
        assert_eq!(asked("v1.31.4+k3s1", "v1.32.2+k3s1", &[]), 1);
        assert_eq!(asked("v1.31.4+k3s1", "v1.32.2+k3s1", &["traefik_containo_us"]), 0);
        assert_eq!(asked("v1.31.4+k3s1", "v1.31.5+k3s1", &[]), 0);
        assert_eq!(asked("v1.32.2+k3s1", "v1.33.1+k3s1", &[]), 0);
    }

    #[test]
    fn only_what_the_target_poses_is_asked() {
        let hops = all().unwrap();
        assert_eq!(questions(&hops, &version("v1.33.9+k3s1")), Questions::default());
        let far = questions(&hops, &version("v1.36.0+k3s1"));
        assert!(far.etcd && far.settings.len() == 3);
    }
}
