//! The documented return values.

use crate::Journal;
use crate::compare::{self, node_of};
use crate::params::Params;
use crate::state::{Cluster, Member, Nodes, State};
use answers::etcd::Etcd;

pub(crate) fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Etcd {
    let nodes = &after.seen.nodes;
    let cluster = after.seen.cluster();
    let members = cluster.map_or(&[][..], |cluster| &cluster.members);
    let healthy_voters = cluster.map_or(0, Cluster::healthy_voters);
    let quorum = cluster.map_or(0, Cluster::quorum);
    let leader = cluster.and_then(|cluster| cluster.member(cluster.leader()?));
    let removed = before.seen.cluster().zip(journal.removed).and_then(|(was, id)| {
        let member = was.member(id)?;
        Some(describe(was, &before.seen.nodes, member))
    });
    Etcd {
        datastore: Some(after.seen.datastore),
        members: cluster.map_or_else(Vec::new, |cluster| sorted(cluster, nodes)),
        leader: leader.map(Member::title),
        voters: cluster.map_or(0, |cluster| cluster.voters().count()),
        healthy_voters,
        learners: cluster.map_or(0, |cluster| cluster.learners().count()),
        quorum,
        has_quorum: cluster.is_some_and(|cluster| cluster.no_quorum.is_none()),
        failures_tolerated: healthy_voters.saturating_sub(quorum),
        alarms: cluster.map_or_else(Vec::new, alarms),
        oldest_version: oldest(members),
        stale: cluster.map(|cluster| compare::stale(cluster, nodes, &params.expected)),
        nodes_unknown: match nodes {
            Nodes::Unknown(why) => Some(why.clone()),
            Nodes::Known(_) => None,
        },
        removed,
    }
}

/// By name, those without one last.
fn sorted(cluster: &Cluster, nodes: &Nodes) -> Vec<answers::etcd::Member> {
    let mut members: Vec<&Member> = cluster.members.iter().collect();
    members.sort_by_key(|member| (!member.started(), &member.name, member.id));
    members
        .into_iter()
        .map(|member| describe(cluster, nodes, member))
        .collect()
}

fn describe(cluster: &Cluster, nodes: &Nodes, member: &Member) -> answers::etcd::Member {
    let status = member.status.as_ref();
    let ahead = cluster
        .leader()
        .and_then(|leader| Some(cluster.member(leader)?.status.as_ref()?.raft_index));
    let trouble = cluster.trouble(member);
    let own_alarms = cluster.alarms.iter().filter(|alarm| alarm.member == member.id);
    answers::etcd::Member {
        id: format!("{:x}", member.id),
        id_decimal: member.id.to_string(),
        name: member.started().then(|| member.name.clone()),
        node: node_of(member, nodes),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        learner: member.learner,
        started: member.started(),
        healthy: trouble.is_none(),
        trouble,
        leader: cluster.leader() == Some(member.id),
        version: status.map(|status| status.version.clone()),
        db_size: status.map(|status| status.db_size),
        db_size_in_use: status.map(|status| status.db_size_in_use),
        raft_index: status.map(|status| status.raft_index),
        raft_lag: status
            .zip(ahead)
            .map(|(status, ahead)| ahead.saturating_sub(status.raft_index)),
        alarms: own_alarms.map(|alarm| alarm.kind.clone()).collect(),
    }
}

fn alarms(cluster: &Cluster) -> Vec<answers::etcd::Alarm> {
    let describe = cluster.alarms.iter().map(|alarm| answers::etcd::Alarm {
        id: format!("{:x}", alarm.member),
        member: cluster.member(alarm.member).map(Member::title),
        kind: alarm.kind.clone(),
    });
    describe.collect()
}

/// The lowest version that answers; `None` where a voter does not report its own.
fn oldest(members: &[Member]) -> Option<String> {
    let numbers = |version: &str| -> Vec<u32> {
        let parts = version.split(['.', '-', '+']);
        parts.map_while(|part| part.parse().ok()).collect()
    };
    let versions: Option<Vec<&str>> = members
        .iter()
        .map(|member| Some(member.status.as_ref()?.version.as_str()))
        .collect();
    versions?
        .into_iter()
        .min_by_key(|version| numbers(version))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cluster, nodes, state, stop};
    use crate::state::Alarm;
    use serde_json::{Value, json};

    fn returned(seen: Cluster) -> Value {
        let params = serde_json::from_value(json!({})).unwrap();
        let state = state(seen, nodes(3));
        serde_json::to_value(report(&params, &state, &state, &Journal::default())).unwrap()
    }

    #[test]
    fn returns_ids_in_both_spellings_as_text() {
        let mut seen = cluster(1);
        seen.members[0].id = 0xc5f7_fb2c_c451_2cfc;
        let describe = &returned(seen)["members"][0];
        assert_eq!(describe["id"], "c5f7fb2cc4512cfc");
        assert_eq!(describe["id_decimal"], "14265146514410122492");
    }

    #[test]
    fn the_lag_is_behind_the_leader() {
        let mut seen = cluster(3);
        seen.members[1].status.as_mut().unwrap().raft_index = 93;
        seen.members[2].status.as_mut().unwrap().raft_index = 101;
        let members = &returned(seen)["members"];
        let lags = [0, 1, 2].map(|number| members[number]["raft_lag"].clone());
        assert_eq!(lags, [json!(0), json!(7), json!(0)]);
    }

    #[test]
    fn tolerance_counts_those_who_are_healthy() {
        let mut seen = cluster(3);
        assert_eq!(returned(seen.clone())["failures_tolerated"], 1);
        stop(&mut seen.members[2]);
        let describe = returned(seen);
        assert_eq!(describe["failures_tolerated"], 0);
        assert_eq!(describe["members"][2]["healthy"], false);
        assert_eq!(describe["members"][2]["version"], Value::Null);
    }

    #[test]
    fn returns_the_oldest_version_only_when_all_are_known() {
        let mut seen = cluster(3);
        seen.members[1].status.as_mut().unwrap().version = "3.5.9".to_owned();
        assert_eq!(returned(seen.clone())["oldest_version"], "3.5.9");
        stop(&mut seen.members[2]);
        assert_eq!(returned(seen)["oldest_version"], Value::Null);
    }

    #[test]
    fn members_come_by_name_and_alarms_by_member() {
        let mut seen = cluster(3);
        seen.members.reverse();
        seen.members[0].name.clear();
        let kind = "NOSPACE".to_owned();
        seen.alarms.push(Alarm { member: 2, kind });
        let describe = returned(seen);
        let names: Vec<&Value> = (0..3)
            .map(|number| &describe["members"][number]["name"])
            .collect();
        assert_eq!(
            names,
            [&json!("n1-00000001"), &json!("n2-00000002"), &Value::Null]
        );
        assert_eq!(
            describe["alarms"],
            json!([{"id": "2", "member": "n2-00000002", "alarm": "NOSPACE"}])
        );
        assert_eq!(describe["members"][1]["alarms"], json!(["NOSPACE"]));
    }
}
