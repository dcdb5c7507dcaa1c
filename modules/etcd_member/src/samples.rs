//! Clusters for table tests: servers n1, n2 … at 10.0.0.1, 10.0.0.2 …, of which n1 was asked and leads.

use crate::state::{Cluster, Datastore, Etcd, Member, Node, Nodes, Says, Seen, State, Status};

pub(crate) fn member(number: u64, name: &str) -> Member {
    Member {
        id: number,
        name: name.to_owned(),
        peer_urls: vec![format!("https://10.0.0.{number}:2380")],
        client_urls: vec![format!("https://10.0.0.{number}:2379")],
        learner: false,
        status: Some(Status {
            id: number,
            version: "3.5.26".to_owned(),
            db_size: 4096,
            db_size_in_use: 2048,
            leader: 1,
            raft_term: 2,
            raft_index: 100,
        }),
        fault: None,
    }
}

pub(crate) fn cluster(size: u64) -> Cluster {
    Cluster {
        own: 1,
        no_quorum: None,
        members: (1..=size)
            .map(|number| member(number, &format!("n{number}-{number:08x}")))
            .collect(),
        alarms: Vec::new(),
    }
}

pub(crate) fn node(number: u64) -> Node {
    Node {
        name: format!("n{number}"),
        etcd: true,
        member: format!("n{number}-{number:08x}"),
        addresses: vec![format!("10.0.0.{number}")],
        says: Some(Says {
            votes: true,
            reason: "MemberNotLearner".to_owned(),
        }),
    }
}

pub(crate) fn nodes(size: u64) -> Nodes {
    Nodes::Known((1..=size).map(node).collect())
}

pub(crate) fn state(cluster: Cluster, nodes: Nodes) -> State {
    State {
        location: "container 101 on pve1".to_owned(),
        seen: Seen {
            datastore: Datastore::Etcd,
            etcd: Etcd::Cluster(cluster),
            nodes,
        },
    }
}

/// A member whose server is down.
pub(crate) fn stop(member: &mut Member) {
    member.status = None;
    member.fault = Some(format!(
        "asking for its status at {}: Connection refused",
        member.client_urls[0]
    ));
}

/// What the survivors say where too few are left.
pub(crate) fn lose_quorum(cluster: &mut Cluster) {
    cluster.no_quorum = Some("waiting for etcd: no answer within 5s".to_owned());
    for member in &mut cluster.members {
        if let Some(status) = &mut member.status {
            status.leader = 0;
        }
    }
}
