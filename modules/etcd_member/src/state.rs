//! What was seen next to etcd, and what follows from it alone: who leads, who is healthy, what a quorum is.
//!
//! The program that was carried inside answers this as JSON. It comes from a container, so it is bounded and
//! nothing in it is taken for granted.

use serde::{Deserialize, Serialize};

pub use answers::etcd::Datastore;

/// The host, and what was seen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub location: String,
    pub seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub datastore: Datastore,
    pub etcd: Etcd,
    pub nodes: Nodes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Etcd {
    /// There is no member here.
    None,
    /// There is one, and it says nothing.
    Silent {
        /// As k3s keeps it beside the database.
        name: String,
        why: String,
        /// Whether anybody listens there: a member that hangs still counts, one that is stopped does not.
        listening: bool,
    },
    /// There is one that is not promoted yet: etcd lets it answer nothing about the others.
    Learner {
        name: String,
    },
    Cluster(Cluster),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The member that was asked.
    pub own: u64,
    /// Why a quorum did not consent; the members are then those in the view of this one.
    pub no_quorum: Option<String>,
    pub members: Vec<Member>,
    /// Kept by the quorum, and unknown without one.
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: u64,
    /// Empty until it has started for the first time.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub learner: bool,
    pub status: Option<Status>,
    /// What it failed at when it was asked: the status, or a read with the quorum's consent.
    pub fault: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who answered; somebody else where an address was taken over.
    pub id: u64,
    pub version: String,
    pub db_size: u64,
    pub db_size_in_use: u64,
    /// 0: it has none.
    pub leader: u64,
    pub raft_term: u64,
    pub raft_index: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub member: u64,
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nodes {
    Known(Vec<Node>),
    Unknown(String),
}

/// Of a Node, what names its member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    /// Whether it bears the label of nodes with a member.
    pub etcd: bool,
    /// The member's name in the Node's annotation; empty where there is none.
    pub member: String,
    pub addresses: Vec<String>,
    /// Whether the Node says that its member votes, and why. k3s on etcd's leader writes it, every 15 s: what etcd itself
    /// answers is newer, and is what counts.
    #[serde(default)]
    pub says: Option<Says>,
}

/// A Node's condition `EtcdIsVoter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Says {
    pub votes: bool,
    pub reason: String,
}

/// What came of an attempt to remove a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Removal {
    /// The quorum does not know it any more.
    Gone,
    /// Nobody said no: it is worth another attempt.
    Again(String),
    Refused(String),
}

impl Nodes {
    pub fn known(&self) -> Option<&[Node]> {
        match self {
            Self::Known(nodes) => Some(nodes),
            Self::Unknown(_) => None,
        }
    }
}

impl Seen {
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.etcd {
            Etcd::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }
}

impl Cluster {
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.learner)
    }

    pub fn learners(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.learner)
    }

    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// As those see it that follow one, the furthest on first: a member that the others do not reach counts terms up alone.
    pub fn leader(&self) -> Option<u64> {
        self.members
            .iter()
            .filter_map(|member| member.status.as_ref())
            .filter(|status| status.leader != 0)
            .max_by_key(|status| (status.raft_term, status.leader))
            .map(|status| status.leader)
    }

    /// Why a member is not healthy; `None`: it is.
    pub fn trouble(&self, member: &Member) -> Option<String> {
        if !member.started() {
            return Some("it has never started".to_owned());
        }
        if let (None, Some(fault)) = (&member.status, &member.fault) {
            return Some(fault.clone());
        }
        let Some(status) = &member.status else {
            return Some("it publishes no client URL".to_owned());
        };
        if status.id != member.id {
            return Some(format!("another member, {:x}, answers at its address", status.id));
        }
        if status.leader == 0 {
            return Some("it has no leader".to_owned());
        }
        if self.leader() != Some(status.leader) {
            return Some(format!(
                "it still follows {:x}, which leads no more",
                status.leader
            ));
        }
        if let Some(alarm) = self.alarms.iter().find(|alarm| alarm.member == member.id) {
            return Some(format!("it has raised the alarm {}", alarm.kind));
        }
        member.fault.clone()
    }

    pub fn is_healthy(&self, member: &Member) -> bool {
        self.trouble(member).is_none()
    }

    pub fn healthy_voters(&self) -> usize {
        self.voters().filter(|member| self.is_healthy(member)).count()
    }

    /// How many voters must be there for the cluster to work.
    pub fn quorum(&self) -> usize {
        quorum_of(self.voters().count())
    }
}

pub(crate) fn quorum_of(voters: usize) -> usize {
    voters / 2 + 1
}

impl Member {
    pub fn started(&self) -> bool {
        !self.name.is_empty()
    }

    /// For messages: its name, else the address by which it is to come.
    pub fn title(&self) -> String {
        if self.started() {
            return self.name.clone();
        }
        let address = self.peer_urls.first().map_or("no address", String::as_str);
        format!("{:x} (never started, {address})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cluster, member};

    #[test]
    fn the_leader_is_the_one_of_the_newest_term() {
        let mut seen = cluster(3);
        assert_eq!(seen.leader(), Some(1));
        let status = seen.members[2].status.as_mut().unwrap();
        (status.raft_term, status.leader) = (3, 2);
        assert_eq!(seen.leader(), Some(2));
        assert_eq!(
            seen.trouble(&seen.members[1]).unwrap(),
            "it still follows 1, which leads no more"
        );
        for member in &mut seen.members {
            member.status.as_mut().unwrap().leader = 0;
        }
        assert_eq!(seen.leader(), None);
        assert_eq!(seen.trouble(&seen.members[0]).unwrap(), "it has no leader");
    }

    #[test]
    fn a_partitioned_member_with_a_higher_term_replaces_no_leader() {
        let mut seen = cluster(3);
        let status = seen.members[2].status.as_mut().unwrap();
        (status.raft_term, status.leader) = (50, 0);
        assert_eq!(seen.leader(), Some(1));
        let healthy: Vec<bool> = seen
            .members
            .iter()
            .map(|member| seen.is_healthy(member))
            .collect();
        assert_eq!(healthy, [true, true, false]);
    }

    #[test]
    fn what_is_not_healthy_says_why() {
        let trouble = |change: fn(&mut Cluster)| {
            let mut seen = cluster(3);
            change(&mut seen);
            seen.trouble(&seen.members[1])
        };
        assert_eq!(trouble(|_| ()), None);
        let said = [
            trouble(|seen| seen.members[1].name.clear()),
            trouble(|seen| {
                seen.members[1].status = None;
                seen.members[1].fault = Some("asking for its status: refused".to_owned());
            }),
            trouble(|seen| seen.members[1].status = None),
            trouble(|seen| seen.members[1].status.as_mut().unwrap().id = 255),
            trouble(|seen| {
                let kind = "NOSPACE".to_owned();
                seen.alarms.push(Alarm { member: 2, kind });
            }),
            trouble(|seen| seen.members[1].fault = Some("reading through it: timed out".to_owned())),
        ];
        assert_eq!(
            said.map(Option::unwrap_or_default),
            [
                "it has never started",
                "asking for its status: refused",
                "it publishes no client URL",
                "another member, ff, answers at its address",
                "it has raised the alarm NOSPACE",
                "reading through it: timed out",
            ]
        );
    }

    #[test]
    fn a_quorum_is_more_than_half_of_the_voters() {
        for (voters, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            assert_eq!(cluster(voters).quorum(), quorum, "{voters}");
        }
        let mut seen = cluster(3);
        seen.members.push(Member {
            learner: true,
            ..member(4, "n4")
        });
        assert_eq!((seen.quorum(), seen.learners().count()), (2, 1));
    }
}
