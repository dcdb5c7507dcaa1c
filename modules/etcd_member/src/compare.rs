//! Which member is which node's, and who is missing where: members, Nodes and the inventory compared with each
//! other. Pure.

use crate::state::{Cluster, Member, Node, Nodes};
use answers::etcd::Stale;
use std::net::IpAddr;

/// Each difference as a sentence's piece.
pub(crate) fn words(stale: &Stale) -> Vec<String> {
    let differences = [
        (&stale.members_without_node, "has no Node"),
        (&stale.nodes_without_member, "is a Node without a member"),
        (&stale.unexpected_members, "is a member that is not expected"),
        (&stale.expected_without_member, "is expected and has no member"),
    ];
    differences
        .iter()
        .flat_map(|(names, what)| names.iter().flatten().map(move |name| format!("{name} {what}")))
        .collect()
}

pub(crate) fn stale(cluster: &Cluster, nodes: &Nodes, expected: &[String]) -> Stale {
    let members = |is_odd: &dyn Fn(&Member) -> bool| {
        let odd = cluster.members.iter().filter(|member| is_odd(member));
        odd.map(Member::title).collect::<Vec<_>>()
    };
    let known = nodes.known();
    let has_member = |name: &str| {
        cluster
            .members
            .iter()
            .any(|member| node_of(member, nodes).is_some_and(|node| node == name))
    };
    let is_expected = |member: &Member| node_of(member, nodes).is_some_and(|node| expected.contains(&node));
    let names_given = !expected.is_empty();
    Stale {
        nodes_behind: known.map(|nodes| nodes_behind(cluster, nodes)),
        members_without_node: known
            .map(|nodes| members(&|member| !nodes.iter().any(|node| owns(node, member)))),
        nodes_without_member: known.map(|nodes| {
            let lacking = |node: &&Node| {
                let claims = node.etcd || !node.member.is_empty();
                claims && !cluster.members.iter().any(|member| owns(node, member))
            };
            nodes
                .iter()
                .filter(lacking)
                .map(|node| node.name.clone())
                .collect()
        }),
        unexpected_members: names_given.then(|| members(&|member| !is_expected(member))),
        expected_without_member: names_given.then(|| {
            expected
                .iter()
                .filter(|name| !has_member(name))
                .cloned()
                .collect()
        }),
    }
}

/// Nodes that say of a healthy voter that it does not vote, or of a learner that it does. Of one that is not healthy the
/// condition may be the older or the newer answer.
pub(crate) fn nodes_behind(cluster: &Cluster, nodes: &[Node]) -> Vec<String> {
    let all = Nodes::Known(nodes.to_vec());
    let differs = |node: &&Node| {
        let mut members = cluster.members.iter();
        let its = members.find(|member| node_of(member, &all).is_some_and(|name| name == node.name));
        match (its, &node.says) {
            (Some(member), Some(says)) => says.votes == member.learner && cluster.is_healthy(member),
            _ => false,
        }
    };
    nodes
        .iter()
        .filter(differs)
        .map(|node| node.name.clone())
        .collect()
}

/// The name of a member's node: whose annotation names it, else the node that its name was made of, else the one
/// at its address.
pub(crate) fn node_of(member: &Member, nodes: &Nodes) -> Option<String> {
    let known = nodes.known().unwrap_or_default();
    let annotated = known
        .iter()
        .find(|node| member.started() && node.member == member.name);
    annotated
        .map(|node| node.name.clone())
        .or_else(|| node_in_name(&member.name).map(str::to_lowercase))
        .or_else(|| {
            let there = known.iter().find(|node| is_at(node, member));
            there.map(|node| node.name.clone())
        })
}

/// Whether the Node would call this member its own. A rebuilt server's Node names the new member, so the old one
/// has no Node, though its name has the node's.
fn owns(node: &Node, member: &Member) -> bool {
    if member.started() && !node.member.is_empty() {
        return node.member == member.name;
    }
    node_in_name(&member.name).is_some_and(|name| name.eq_ignore_ascii_case(&node.name))
        || is_at(node, member)
}

fn is_at(node: &Node, member: &Member) -> bool {
    node.addresses.iter().any(|address| listens_at(member, address))
}

/// Whether a member's peers reach it at this address.
pub(crate) fn listens_at(member: &Member, address: &str) -> bool {
    let wanted = plain(address);
    member
        .peer_urls
        .iter()
        .filter_map(|url| host_in(url))
        .any(|host| plain(host) == wanted)
}

/// k3s calls a member `<node name>-<8 hexadecimal digits>`.
pub(crate) fn node_in_name(member: &str) -> Option<&str> {
    let (node, digits) = member.rsplit_once('-')?;
    let made_by_k3s = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    (made_by_k3s && !node.is_empty()).then_some(node)
}

fn host_in(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').map(|(host, _)| host),
        None => authority.split(':').next(),
    }
}

/// One form of an address that has several.
fn plain(address: &str) -> String {
    address
        .parse::<IpAddr>()
        .map_or_else(|_| address.to_lowercase(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cluster, member, node, nodes};
    use crate::state::Says;

    fn titles(list: Option<&Vec<String>>) -> String {
        list.map_or_else(|| "unknown".to_owned(), |list| list.join(" "))
    }

    fn differences(cluster: &Cluster, nodes: &Nodes, expected: &[&str]) -> [String; 4] {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let stale = stale(cluster, nodes, &expected);
        [
            titles(stale.members_without_node.as_ref()),
            titles(stale.nodes_without_member.as_ref()),
            titles(stale.unexpected_members.as_ref()),
            titles(stale.expected_without_member.as_ref()),
        ]
    }

    #[test]
    fn finds_no_differences_in_a_healthy_cluster() {
        let found = differences(&cluster(3), &nodes(3), &["n1", "n2", "n3"]);
        assert_eq!(found, ["", "", "", ""]);
    }

    fn not_a_member(node: &mut Node) {
        node.says = Some(Says {
            votes: false,
            reason: "NotAMember".to_owned(),
        });
    }

    #[test]
    fn a_node_may_be_behind_what_etcd_says() {
        let behind = |change: fn(&mut Cluster, &mut [Node])| {
            let (mut seen, mut list) = (cluster(3), (1..=3).map(node).collect::<Vec<_>>());
            change(&mut seen, &mut list);
            stale(&seen, &Nodes::Known(list), &[]).nodes_behind.unwrap()
        };
        assert!(behind(|_, _| ()).is_empty());
        // Also where its annotation still names the member of before a restore.
        assert_eq!(
            behind(|_, list| {
                list[2].member = "n3-0000dead".to_owned();
                not_a_member(&mut list[2]);
            }),
            ["n3"]
        );
        assert_eq!(behind(|seen, _| seen.members[1].learner = true), ["n2"]);
        assert!(behind(|_, list| list[0].says = None).is_empty());
        assert!(
            behind(|seen, list| {
                crate::samples::stop(&mut seen.members[2]);
                not_a_member(&mut list[2]);
            })
            .is_empty()
        );
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let unknown = Nodes::Unknown("refused".to_owned());
        assert_eq!(
            differences(&cluster(3), &unknown, &[]),
            ["unknown", "unknown", "unknown", "unknown"]
        );
        assert_eq!(
            differences(&cluster(2), &unknown, &["n1", "n3"])[2..],
            ["n2-00000002", "n3"]
        );
    }

    #[test]
    fn a_server_that_is_gone_leaves_its_member() {
        let found = differences(&cluster(3), &nodes(2), &["n1", "n2"]);
        assert_eq!(found, ["n3-00000003", "", "n3-00000003", ""]);
    }

    #[test]
    fn reports_a_node_that_lost_its_member() {
        let found = differences(&cluster(2), &nodes(3), &["n1", "n2", "n3"]);
        assert_eq!(found, ["", "n3", "", "n3"]);
        // A node that only runs workloads needs none.
        let Nodes::Known(mut all) = nodes(2) else { panic!() };
        all.push(Node {
            etcd: false,
            member: String::new(),
            ..node(4)
        });
        assert_eq!(
            differences(&cluster(2), &Nodes::Known(all), &["n1", "n2"]),
            ["", "", "", ""]
        );
    }

    #[test]
    fn a_rebuilt_server_has_one_member_and_its_former_self_none() {
        let mut seen = cluster(3);
        let mut again = member(9, "n3-99999999");
        again.peer_urls = vec!["https://10.0.0.9:2380".to_owned()];
        seen.members.push(again);
        let Nodes::Known(mut all) = nodes(3) else { panic!() };
        all[2].member = "n3-99999999".to_owned();
        let all = Nodes::Known(all);
        assert_eq!(node_of(&seen.members[2], &all).unwrap(), "n3");
        assert_eq!(
            differences(&seen, &all, &["n1", "n2", "n3"]),
            ["n3-00000003", "", "", ""]
        );
    }

    #[test]
    fn a_member_that_never_started_is_known_by_its_address() {
        let mut seen = cluster(3);
        seen.members[2].name.clear();
        assert_eq!(node_of(&seen.members[2], &nodes(3)).unwrap(), "n3");
        assert_eq!(node_of(&seen.members[2], &nodes(2)), None);
        assert_eq!(
            differences(&seen, &nodes(2), &["n1", "n2", "n3"]),
            [
                "3 (never started, https://10.0.0.3:2380)",
                "",
                "3 (never started, https://10.0.0.3:2380)",
                "n3"
            ]
        );
    }

    #[test]
    fn names_are_the_nodes_with_eight_digits() {
        for (name, node) in [
            ("n1-2f39e6eb", Some("n1")),
            ("k3s-controller-1-00000001", Some("k3s-controller-1")),
            ("n1.example.org-00000001", Some("n1.example.org")),
            ("n1", None),
            ("n1-2f39e6e", None),
            ("n1-2f39e6eg", None),
            ("-2f39e6eb", None),
            ("", None),
        ] {
            assert_eq!(node_in_name(name), node, "{name}");
        }
    }

    #[test]
    fn addresses_are_compared_and_not_their_spelling() {
        let mut here = member(1, "n1-00000001");
        here.peer_urls = vec!["https://[fd00:0::0a]:2380".to_owned()];
        assert!(listens_at(&here, "fd00::a"));
        assert!(!listens_at(&here, "fd00::b"));
        here.peer_urls = vec!["https://N1.example.org:2380/".to_owned(), "nonsense".to_owned()];
        assert!(listens_at(&here, "n1.example.org"));
        assert!(!listens_at(&here, "nonsense"));
    }
}
