use crate::samples::{VERSION, bare, controller, node, with};
use serde_json::{Value, json};

#[test]
fn a_vanished_node_is_seen_where_it_is_expected() {
    let expected = json!({"expect_nodes": ["n1", "n2"]});
    let mut seen = bare().node(node("n1"));
    assert_eq!(seen.verdicts(expected.clone()), ["error Node n2: Missing"]);
    assert!(seen.verdicts(json!({"expect_nodes": ["n1"]})).is_empty());
    seen.unread.insert("nodes".to_owned(), "refused".to_owned());
    assert_eq!(seen.verdicts(expected), ["error Api nodes: CannotBeRead"]);
}

#[test]
fn a_cluster_without_nodes_is_not_well() {
    assert_eq!(bare().verdicts(json!({})), ["error Cluster nodes: Missing"]);
}

fn runs(node: Value, version: &str) -> Value {
    with(node, json!({"status": {"nodeInfo": {"kubeletVersion": version}}}))
}

#[test]
fn versions_are_one_and_not_too_far_apart() {
    const MIXED: &str = "warning Cluster versions: MixedVersions";
    let table: Vec<(&str, &str, &str, &[&str])> = vec![
        ("one", VERSION, VERSION, &[]),
        ("workers first, inside a minor", VERSION, "v1.31.5+k3s1", &[MIXED]),
        ("servers first", "v1.32.1+k3s1", VERSION, &[MIXED]),
        ("three minors", "v1.36.2+k3s1", "v1.33.9+k3s1", &[MIXED]),
        (
            "four minors",
            "v1.36.2+k3s1",
            "v1.32.9+k3s1",
            &["error Node n2: TooOld", MIXED],
        ),
        (
            "a kubelet before its server",
            VERSION,
            "v1.32.1+k3s1",
            &["error Node n2: KubeletTooNew", MIXED],
        ),
        ("unreadable", VERSION, "built-by-hand", &[MIXED]),
    ];
    for (case, server, agent, expected) in table {
        let mut seen = bare()
            .node(runs(controller("n1"), server))
            .node(runs(node("n2"), agent));
        seen.api.version = Some(server.to_owned());
        assert_eq!(seen.verdicts(json!({})), expected, "{case}");
    }
    let seen = bare()
        .node(controller("n1"))
        .node(runs(node("n2"), "v1.31.5+k3s1"));
    assert_eq!(
        seen.verdicts(json!({"same_version": true})),
        ["error Cluster versions: MixedVersions"]
    );
    assert_eq!(
        seen.judged(json!({})).verdicts[0].message,
        "the nodes do not run one version: v1.31.4+k3s1: n1; v1.31.5+k3s1: n2"
    );
    assert_eq!(
        seen.verdicts(json!({"expect_version": VERSION})),
        ["error Node n2: WrongVersion", MIXED]
    );
}

/// Asked through a server that is not upgraded yet, the kubelet of one that is must not seem too new.
#[test]
fn passes_controllers_in_the_midst_of_an_upgrade() {
    let mixed = "warning Cluster versions: MixedVersions";
    let seen = bare()
        .node(runs(controller("n1"), "v1.32.1+k3s1"))
        .node(controller("n2"));
    assert_eq!(seen.verdicts(json!({})), [mixed]);
    let seen = seen.node(runs(node("n3"), "v1.32.1+k3s1"));
    assert_eq!(seen.verdicts(json!({})), ["error Node n3: KubeletTooNew", mixed]);
    let apart = bare()
        .node(runs(controller("n1"), "v1.33.1+k3s1"))
        .node(controller("n2"));
    assert_eq!(apart.verdicts(json!({})), ["error Node n2: TooOld", mixed]);
}
