//! The cluster's Nodes, as far as they name members.

use crate::state::{Node, Nodes, Says};
use cluster::{Kubectl, pages};
use host::LocalHost;
use std::time::Duration;

/// Where the API server is away the comparison has to do without it, and must not be kept waiting.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const ADDRESS: &str = "etcd.k3s.cattle.io/node-address";
const VOTER: &str = "EtcdIsVoter";
/// Enough of a fault to act on.
const SAID: usize = 300;

pub(super) fn read(program: &[String]) -> Nodes {
    let kubectl = Kubectl {
        host: &LocalHost::new(),
        program,
        request_timeout: REQUEST_TIMEOUT,
    };
    match kubectl.list(pages("/api/v1/nodes")) {
        Ok(nodes) => Nodes::Known(nodes.into_iter().map(node_of).collect()),
        Err(error) => Nodes::Unknown(format!("{error:#}").chars().take(SAID).collect()),
    }
}

fn node_of(node: cluster::Node) -> Node {
    let voter = node.condition(VOTER);
    let internal = node.internal_ips().map(str::to_owned);
    Node {
        says: voter.map(|voter| Says {
            votes: voter.is_true(),
            reason: voter.reason.clone(),
        }),
        etcd: node.has_etcd(),
        member: node.etcd_member().unwrap_or_default().to_owned(),
        addresses: internal.chain(node.annotations.get(ADDRESS).cloned()).collect(),
        name: node.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_by(words: &[&str]) -> Nodes {
        let program: Vec<String> = words.iter().map(ToString::to_string).collect();
        read(&program)
    }

    fn known(list: &str) -> Vec<Node> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let file = host::FileToWrite::private(path.to_string_lossy(), list);
        host::Host::write(&LocalHost::new(), &file).unwrap();
        let script = format!("cat {}", path.display());
        match read_by(&["sh", "-c", &script]) {
            Nodes::Known(nodes) => nodes,
            Nodes::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn reads_member_addresses_and_vote_of_a_node() {
        let node_of = |list: &str| -> Vec<String> {
            let nodes = known(&testbed::recorded(list));
            let node_of = |node: &Node| {
                let says = node.says.as_ref().map_or("nothing", |says| &says.reason);
                format!(
                    "{} {} {:?} at {}: {says}",
                    node.name,
                    node.etcd,
                    node.member,
                    node.addresses.join(" ")
                )
            };
            nodes.iter().map(node_of).collect()
        };
        assert_eq!(
            node_of("k3s-v1.36.3-nodes.json"),
            [
                r#"k3s-controller-1 true "k3s-controller-1-a010bcec" at 10.99.0.101 10.99.0.101: MemberNotLearner"#,
                r#"k3s-controller-2 true "k3s-controller-2-2c679fcb" at 10.99.0.102 10.99.0.102: MemberNotLearner"#,
                r#"k3s-controller-3 true "k3s-controller-3-51d75a9c" at 10.99.0.103 10.99.0.103: MemberNotLearner"#,
                r#"k3s-worker-1 false "" at 10.99.0.111: nothing"#,
            ]
        );
        assert_eq!(
            node_of("by-hand-k3s-v1.36-nodes.json"),
            [
                r#"n1 true "n1-00000001" at 10.0.0.1 fd00::1 10.0.0.1: MemberNotLearner"#,
                r#"n2 true "n2-00000002" at 10.0.0.2 fd00::2 10.0.0.2: MemberIsLearner"#,
                r#"n3 true "n3-00000003" at 10.0.0.3 fd00::3 10.0.0.3: Unhealthy"#,
                r#"n4 false "" at 10.0.0.4 fd00::4: nothing"#,
            ]
        );
    }

    #[test]
    fn reads_a_node_without_etcd_annotations() {
        let nodes = known(r#"{"items":[{"metadata":{"name":"n1"}}]}"#);
        assert_eq!((nodes[0].etcd, nodes[0].addresses.len()), (false, 0));
    }

    #[test]
    fn nodes_that_cannot_be_read_are_unknown_and_say_why() {
        let why = |words: &[&str]| match read_by(words) {
            Nodes::Unknown(why) => why,
            Nodes::Known(nodes) => panic!("{nodes:?}"),
        };
        assert!(why(&["no-such-program"]).contains("no-such-program"));
        let refused = why(&["sh", "-c", "echo connection refused >&2; exit 1"]);
        assert!(refused.contains("connection refused"), "{refused}");
        assert!(why(&["true"]).contains("ended too early"), "{}", why(&["true"]));
        assert!(why(&["sh", "-c", "printf '%1000s' x >&2; exit 1"]).len() <= SAID);
    }
}
