//! What is left on a node and in its cluster from before: data of another cluster, members of etcd that it was. Pure.

use crate::node::Node;
use crate::params::{Joining, Member};
use k3s_node::Role;

/// Members that this node had before its disk was made anew: they have its name or its address, and its database is
/// not theirs.
pub(crate) fn stale<'m>(role: Role, joining: &'m Joining, node: &Node) -> Vec<&'m Member> {
    if role == Role::Agent {
        return Vec::new();
    }
    let own = node.member(&joining.members).map(|member| &member.id);
    let fits = |member: &&Member| {
        let named = member.node.as_deref() == Some(joining.node_name.as_str());
        (named || node.owns(member)) && Some(&member.id) != own
    };
    joining.members.iter().filter(fits).collect()
}

/// Whether the data on it is of another cluster, one of its own included.
pub(crate) fn is_foreign(joining: &Joining, node: &Node) -> bool {
    let other = |ca: &Option<String>| ca.as_deref().is_some_and(|ca| ca != joining.server.ca.trim());
    node.sqlite || other(&node.ca) || other(&node.agent_ca)
}
