//! Which member is removed, for every cluster of up to five members: whatever is planned leaves a quorum, is the one that
//! was named, and is not removed a second time. The rules are written down here once more, in numbers only.

use crate::Params;
use crate::plan::{Step, plan};
use crate::samples::{cluster, lose_quorum, nodes, state, stop};
use crate::state::Cluster;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Voter,
    DeadVoter,
    Learner,
    DeadLearner,
    NeverStarted,
}

const KINDS: [Kind; 5] = [
    Kind::Voter,
    Kind::DeadVoter,
    Kind::Learner,
    Kind::DeadLearner,
    Kind::NeverStarted,
];

impl Kind {
    fn votes(self) -> bool {
        matches!(self, Self::Voter | Self::DeadVoter)
    }

    fn lives(self) -> bool {
        matches!(self, Self::Voter | Self::Learner)
    }
}

/// Every cluster in which the member that was asked, the first, is a healthy voter.
fn clusters() -> Vec<Vec<Kind>> {
    let mut all = vec![vec![Kind::Voter]];
    let mut longest = all.clone();
    for _ in 1..5 {
        let longer = longest
            .iter()
            .flat_map(|kinds| KINDS.map(|kind| [kinds.as_slice(), &[kind]].concat()));
        longest = longer.collect();
        all.extend(longest.clone());
    }
    all
}

fn has_quorum(kinds: impl Iterator<Item = Kind> + Clone) -> bool {
    let voters = kinds.clone().filter(|kind| kind.votes()).count();
    kinds.filter(|kind| *kind == Kind::Voter).count() * 2 > voters
}

fn seen(kinds: &[Kind]) -> Cluster {
    let mut seen = cluster(kinds.len() as u64);
    for (member, kind) in seen.members.iter_mut().zip(kinds) {
        member.learner = !kind.votes();
        if !kind.lives() {
            stop(member);
        }
        if *kind == Kind::NeverStarted {
            member.name.clear();
        }
    }
    if !has_quorum(kinds.iter().copied()) {
        lose_quorum(&mut seen);
    }
    seen
}

fn names(number: usize) -> [Value; 4] {
    [
        json!({"name": format!("n{number}-{number:08x}")}),
        json!({"node": format!("n{number}")}),
        json!({"peer_url": format!("https://10.0.0.{number}:2380")}),
        json!({"id": number.to_string()}),
    ]
}

fn check(kinds: &[Kind], number: usize, which: &Value, force: bool) {
    let mut options = which.clone();
    options["state"] = "absent".into();
    options["force"] = force.into();
    let params: Params = serde_json::from_value(options).unwrap();
    let planned = plan(&params, &state(seen(kinds), nodes(kinds.len() as u64)));
    let case = format!("{kinds:?}, {which}, force {force}");
    let kind = kinds[number - 1];
    let left = || {
        let others = kinds.iter().enumerate().filter(move |(at, _)| *at != number - 1);
        others.map(|(_, kind)| *kind)
    };
    let safe = has_quorum(kinds.iter().copied()) && has_quorum(left()) && number != 1;
    let harmless = !kind.lives() && left().all(Kind::votes);
    match planned {
        Err(why) => assert!(!safe || !(harmless || force), "{case}: {why:#}"),
        Ok(plan) if plan.steps.is_empty() => {
            // It has no name yet.
            assert!(
                kind == Kind::NeverStarted && which.get("name").is_some(),
                "{case}"
            );
        }
        Ok(plan) => {
            assert!(safe && (harmless || force), "{case}: {:?}", plan.steps);
            let removed: Vec<u64> = plan
                .steps
                .iter()
                .filter_map(|step| match step {
                    Step::Remove { id, .. } => Some(*id),
                    Step::AwaitLeader { .. } => None,
                })
                .collect();
            assert_eq!(removed, [number as u64], "{case}");
            assert_eq!(planned_after(&params, kinds, number), [], "{case}: a second run");
        }
    }
}

/// What the same options plan once this member is gone. Its Node is still there: that is another module's to remove.
fn planned_after(params: &Params, kinds: &[Kind], number: usize) -> Vec<Step> {
    let mut left = seen(kinds);
    left.members.retain(|member| member.id != number as u64);
    plan(params, &state(left, nodes(kinds.len() as u64)))
        .unwrap()
        .steps
}

#[test]
fn removes_only_the_named_member_and_only_where_a_quorum_stays() {
    for kinds in clusters() {
        for number in 1..=kinds.len() {
            for which in names(number) {
                check(&kinds, number, &which, false);
                check(&kinds, number, &which, true);
            }
        }
    }
}
