use super::*;
use crate::arguments::Arguments;
use crate::node::{Etcd, Proxy};
use std::collections::BTreeMap;

fn version(text: &str) -> K3sVersion {
    text.parse().unwrap()
}

fn refused(from: &str, to: &str, node: &Node) -> Vec<String> {
    let known = Knowledge::all().unwrap();
    let bad = known.rules.iter().filter(|rule| {
        rule.evidence(Some(&version(from)), &version(to), node, &known)
            .is_some()
    });
    bad.map(|rule| rule.rule.clone()).collect()
}

fn evidence(from: &str, to: &str, node: &Node) -> String {
    let known = Knowledge::all().unwrap();
    let found = known
        .rules
        .iter()
        .find_map(|rule| rule.evidence(Some(&version(from)), &version(to), node, &known));
    found.unwrap()
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

fn with_arguments(lines: &str) -> Node {
    Node {
        arguments: Arguments::read(lines),
        ..Node::default()
    }
}

#[test]
fn every_rule_has_a_reason_a_source_and_a_way_on() {
    for rule in Knowledge::all().unwrap().rules {
        assert!(!rule.source.is_empty() && !rule.why.is_empty(), "{}", rule.rule);
        assert_eq!(rule.next.is_none(), rule.is_about_etcd(), "{}", rule.rule);
    }
}

#[test]
fn etcd_3_6_wants_3_5_26_first() {
    for to in ["v1.34.3+k3s1", "v1.33.12+k3s1"] {
        assert_eq!(
            refused("v1.33.7+k3s1", to, &member(Some("3.5.25"))),
            ["etcd_before_3_6"],
            "{to}: what it carries counts, not its minor"
        );
        assert!(refused("v1.33.7+k3s3", to, &member(Some("3.5.26"))).is_empty());
        assert!(refused("v1.33.11+k3s1", to, &member(Some("3.6.7"))).is_empty());
        assert!(
            refused("v1.33.7+k3s1", to, &Node::default()).is_empty(),
            "SQLite and agents have no member"
        );
    }
    assert!(
        refused("v1.35.6+k3s1", "v1.36.5+k3s1", &member(Some("3.5.25"))).is_empty(),
        "etcd 3.6 has run already"
    );
    assert!(
        refused("v1.33.7+k3s1", "v1.33.8+k3s1", &member(Some("3.5.25"))).is_empty(),
        "it carries 3.5.26"
    );
    assert_eq!(
        evidence("v1.33.7+k3s1", "v1.33.12+k3s1", &member(Some("3.5.25"))),
        "etcd 3.5.25 runs here, older than 3.5.26; k3s v1.33.12+k3s1 carries etcd 3.6.7-k3s1"
    );
}

#[test]
fn etcd_3_7_wants_3_6_11_first() {
    let to = "v1.37.0+k3s1";
    assert_eq!(
        refused("v1.36.1+k3s1", to, &member(Some("3.6.7"))),
        ["etcd_before_3_7"]
    );
    assert!(refused("v1.36.2+k3s1", to, &member(Some("3.6.12"))).is_empty());
    assert!(refused("v1.37.0+k3s1", "v1.37.1+k3s1", &member(Some("3.7.1"))).is_empty());
    assert!(refused("v1.35.5+k3s1", "v1.36.0+k3s1", &member(Some("3.6.7"))).is_empty());
}

#[test]
fn what_runs_counts_and_not_what_is_installed() {
    assert_eq!(
        refused("v1.36.2+k3s1", "v1.37.0+k3s1", &member(Some("3.6.7"))),
        ["etcd_before_3_7"],
        "a member that was not restarted"
    );
}

#[test]
fn uses_the_table_of_builds_when_etcd_is_silent() {
    assert_eq!(
        refused("v1.33.7+k3s1", "v1.34.3+k3s1", &member(None)),
        ["etcd_before_3_6"]
    );
    assert!(refused("v1.33.7+k3s3", "v1.34.3+k3s1", &member(None)).is_empty());
    assert_eq!(
        evidence("v1.36.1+k3s1", "v1.37.0+k3s1", &member(None)),
        "etcd does not answer, and k3s v1.36.1+k3s1 carries etcd 3.6.7-k3s1, older than 3.6.11; \
         k3s v1.37.0+k3s1 carries etcd 3.7.1-k3s1"
    );
}

#[test]
fn data_of_a_member_without_k3s_are_of_an_unknown_etcd() {
    let known = Knowledge::all().unwrap();
    let rule = known
        .rules
        .iter()
        .find(|rule| rule.rule == "etcd_before_3_7")
        .unwrap();
    let found = rule.evidence(None, &version("v1.37.0+k3s1"), &member(None), &known);
    assert!(
        found
            .unwrap()
            .starts_with("there is a member of etcd here whose version is not known")
    );
}

#[test]
fn cgroup_v1_ends_at_1_35() {
    let node = |arguments: &str, file: Option<bool>| Node {
        cgroup_v1: true,
        kubelet_fails_on_cgroup_v1: file,
        ..with_arguments(arguments)
    };
    let (from, to) = ("v1.34.9+k3s1", "v1.35.1+k3s1");
    assert_eq!(refused(from, to, &node("", None)), ["cgroup_v1"]);
    assert_eq!(refused(from, to, &node("", Some(true))), ["cgroup_v1"]);
    assert!(
        refused(from, to, &node("", Some(false))).is_empty(),
        "a file of the kubelet's"
    );
    assert!(refused(from, to, &node("kubelet-arg fail-cgroupv1=false", None)).is_empty());
    assert_eq!(
        refused(from, to, &node("kubelet-arg fail-cgroupv1=true", Some(false))),
        ["cgroup_v1"],
        "an argument goes before a file"
    );
    assert_eq!(
        refused(from, to, &node("kube-apiserver-arg fail-cgroupv1=false", None)),
        ["cgroup_v1"],
        "it is the kubelet's"
    );
    assert!(refused("v1.33.9+k3s1", "v1.34.1+k3s1", &node("", None)).is_empty());
    assert!(refused(from, to, &Node::default()).is_empty(), "cgroup v2");
}

/// A container on a host with this limit, which kube-proxy is to change.
fn limited(arguments: &str, limit: u64) -> Node {
    Node {
        proxy: Proxy {
            conntrack_max: Some(limit),
            ..Proxy::default()
        },
        ..with_arguments(arguments)
    }
}

#[test]
fn a_limit_of_connections_is_only_trouble_where_the_operator_asks_for_one() {
    let (from, to, high) = ("v1.35.4+k3s1", "v1.36.0+k3s1", 2_097_152);
    assert!(
        refused(from, to, &limited("", high)).is_empty(),
        "k3s asks for none"
    );
    let asked = "kube-proxy-arg conntrack-max-per-core=65536";
    assert_eq!(refused(from, to, &limited(asked, high)), ["conntrack_in_lxc"]);
    let words = evidence(from, to, &limited(asked, high));
    assert!(
        words.contains("conntrack-max-per-core=65536") && words.contains("2097152"),
        "{words}"
    );
    for fine in [
        limited("kube-proxy-arg conntrack-max-per-core=0", high),
        limited("kube-proxy-arg conntrack-min=2000000", high),
        limited("kubelet-arg conntrack-max-per-core=65536", high),
        limited(asked, 1_048_576),
    ] {
        assert!(refused(from, to, &fine).is_empty(), "{fine:?}");
    }
    assert!(refused("v1.34.4+k3s1", "v1.35.4+k3s1", &limited(asked, high)).is_empty());
}

#[test]
fn passes_a_limit_that_may_be_set_or_that_nobody_sets() {
    let (from, to) = ("v1.35.4+k3s1", "v1.36.0+k3s1");
    let mut node = limited("kube-proxy-arg conntrack-max-per-core=65536", 2_097_152);
    node.proxy.may_set_conntrack_max = true;
    assert!(refused(from, to, &node).is_empty());
    node.proxy.may_set_conntrack_max = false;
    node.proxy.off = true;
    assert!(refused(from, to, &node).is_empty());
    node.proxy = Proxy::default();
    assert_eq!(
        refused(from, to, &node),
        ["conntrack_in_lxc"],
        "what cannot be read is not said to be fine"
    );
}

#[test]
fn a_file_of_kube_proxy_s_goes_before_its_arguments() {
    let (from, to) = ("v1.35.4+k3s1", "v1.36.0+k3s1");
    let arguments = "kube-proxy-arg conntrack-max-per-core=0\nkube-proxy-arg config=/etc/proxy.yaml";
    let mut node = limited(arguments, 2_097_152);
    assert_eq!(
        refused(from, to, &node),
        ["conntrack_in_lxc"],
        "its default is a limit"
    );
    node.proxy.max_per_core_in_file = Some(0);
    assert!(refused(from, to, &node).is_empty());
}

#[test]
fn what_components_no_longer_have_is_named() {
    let node = with_arguments(
        "kubelet-arg register-schedulable\nkube-apiserver-arg feature-gates=SidecarContainers=true",
    );
    assert_eq!(
        refused("v1.33.9+k3s1", "v1.34.1+k3s1", &node),
        ["removed_arguments"]
    );
    assert!(refused("v1.34.1+k3s1", "v1.35.1+k3s1", &node).is_empty());
    assert_eq!(
        evidence("v1.33.9+k3s1", "v1.37.1+k3s1", &node),
        "the node has kubelet-arg register-schedulable (gone in 1.34), \
         kube-apiserver-arg feature-gates=SidecarContainers (gone in 1.37)"
    );
}

fn found(rule: &str, objects: &[String]) -> Node {
    Node {
        found: BTreeMap::from([(rule.to_owned(), objects.to_vec())]),
        ..Node::default()
    }
}

#[test]
fn traefik_3_takes_the_old_routes_away() {
    let routes = |count: usize| {
        let routes: Vec<String> = (0..count)
            .map(|number| format!("IngressRoute demo/r{number}"))
            .collect();
        found("traefik_containo_us", &routes)
    };
    for (from, to) in [("v1.31.4+k3s1", "v1.32.9+k3s1"), ("v1.32.1+k3s1", "v1.32.2+k3s1")] {
        assert_eq!(refused(from, to, &routes(1)), ["traefik_containo_us"]);
        assert!(refused(from, to, &routes(0)).is_empty());
    }
    assert!(
        refused("v1.31.4+k3s1", "v1.32.1+k3s1", &routes(1)).is_empty(),
        "it carries Traefik 2"
    );
    assert!(refused("v1.32.2+k3s1", "v1.33.1+k3s1", &routes(1)).is_empty());
    let words = |count| evidence("v1.32.1+k3s1", "v1.32.2+k3s1", &routes(count));
    assert_eq!(words(1), "the cluster has 1 of them: IngressRoute demo/r0");
    assert!(words(6).starts_with("the cluster has 6 of them: ") && words(6).ends_with("demo/r4, ..."));
}

#[test]
fn traefik_3_7_no_longer_reads_the_old_name_of_a_provider() {
    let node = found(
        "traefik_ingress_nginx",
        &["HelmChartConfig kube-system/traefik".to_owned()],
    );
    for (from, to) in [
        ("v1.36.1+k3s1", "v1.36.2+k3s1"),
        ("v1.34.8+k3s1", "v1.34.12+k3s1"),
    ] {
        assert_eq!(refused(from, to, &node), ["traefik_ingress_nginx"], "{from}");
    }
    assert!(
        refused("v1.35.3+k3s1", "v1.36.1+k3s1", &node).is_empty(),
        "it carries Traefik 3.6"
    );
    assert_eq!(
        evidence("v1.36.1+k3s1", "v1.36.2+k3s1", &node),
        "HelmChartConfig kube-system/traefik has kubernetesIngressNginx and not kubernetesIngressNGINX"
    );
}

#[test]
fn the_cluster_is_asked_only_what_the_hop_turns_on() {
    let known = Knowledge::all().unwrap();
    let asked = |from, to, lifted: &[&str]| {
        let lifted: Vec<String> = lifted.iter().map(|rule| (*rule).to_owned()).collect();
        let questions = known.questions(&lifted, &version(from), &version(to));
        let rules = questions.iter().map(|question| match question {
            Question::Objects(rule, _) | Question::Value(rule, _) => (*rule).to_owned(),
        });
        rules.collect::<Vec<String>>()
    };
    assert_eq!(
        asked("v1.31.4+k3s1", "v1.32.2+k3s1", &[]),
        ["traefik_containo_us"]
    );
    assert!(asked("v1.31.4+k3s1", "v1.32.2+k3s1", &["traefik_containo_us"]).is_empty());
    assert!(asked("v1.31.4+k3s1", "v1.31.5+k3s1", &[]).is_empty());
    assert!(asked("v1.32.2+k3s1", "v1.33.1+k3s1", &[]).is_empty());
    assert_eq!(
        asked("v1.36.1+k3s1", "v1.37.0+k3s1", &[]),
        ["traefik_ingress_nginx"]
    );
}
