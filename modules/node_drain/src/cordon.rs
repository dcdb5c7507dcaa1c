//! The cordon and whose it is.
//!
//! A cordon of ours carries a record in an annotation, written and removed in the same patch as the cordon
//! itself, so that no moment exists in which one is there without the other. What has no record is an
//! operator's, and is never touched. So is what a cutover has left for good: from then on it is an operator's affair.

use cluster::{Node, Purpose};
use serde_json::{Value, json};
use std::fmt;

pub use answers::drain::CordonedBy;
pub use cluster::CordonRecord as Record;

/// Whose cordon a node has. What a cutover has left for good is an operator's.
pub fn cordoned_by(node: &Node) -> CordonedBy {
    match (node.unschedulable, &node.record) {
        (false, _) => CordonedBy::None,
        (true, Some(record)) if record.purpose != Purpose::Retire => CordonedBy::Ours,
        (true, _) => CordonedBy::Operator,
    }
}

/// What is wanted of the cordon, decided anew at each look at the node: between two looks an operator may
/// have come along.
#[derive(Clone, Debug, PartialEq)]
pub enum DesiredCordon {
    /// Cordoned, by us unless an operator has done it; an earlier run's cordon becomes this run's.
    Cordoned(Record),
    /// Not cordoned by us; not at all, where `force`.
    Uncordoned { force: bool },
}

/// What a patch will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Cordon,
    TakeOver,
    Uncordon,
    RemoveStaleRecord,
}

impl DesiredCordon {
    pub fn change(&self, node: &Node) -> Option<Change> {
        match (self, cordoned_by(node)) {
            (Self::Cordoned(_), CordonedBy::None) => Some(Change::Cordon),
            (Self::Cordoned(wanted), CordonedBy::Ours) => {
                let differs = |found: &Record| found.run != wanted.run || found.purpose != wanted.purpose;
                node.record
                    .as_ref()
                    .is_some_and(differs)
                    .then_some(Change::TakeOver)
            }
            (Self::Uncordoned { .. }, CordonedBy::Ours)
            | (Self::Uncordoned { force: true }, CordonedBy::Operator) => Some(Change::Uncordon),
            (Self::Uncordoned { .. }, CordonedBy::None) if node.record.is_some() => {
                Some(Change::RemoveStaleRecord)
            }
            (_, CordonedBy::Operator) | (Self::Uncordoned { .. }, CordonedBy::None) => None,
        }
    }

    /// The one patch that brings the change about, and only if the node has not changed since it was read.
    pub fn patch(&self, node: &Node) -> Value {
        let (record, unschedulable) = match self {
            Self::Cordoned(record) => (Value::String(json!(record).to_string()), Value::Bool(true)),
            Self::Uncordoned { .. } => (Value::Null, Value::Null),
        };
        json!({
            "metadata": {
                "resourceVersion": node.resource_version,
                "annotations": { Record::ANNOTATION: record },
            },
            "spec": { "unschedulable": unschedulable },
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cordon => "cordon",
            Self::TakeOver => "take over the cordon that an earlier run left on",
            Self::Uncordon => "uncordon",
            Self::RemoveStaleRecord => "remove our old annotation from",
        })
    }
}

/// The cordon in two lines, for `--diff`.
pub(crate) fn describe(unschedulable: bool, record: Option<&Record>) -> String {
    let annotation = record.map_or_else(
        || "absent".to_owned(),
        |record| match record.purpose {
            Purpose::Turn => format!("run {}", record.run),
            Purpose::Steer => format!("run {}, to steer pods elsewhere", record.run),
            Purpose::Retire => format!("run {}, to stay", record.run),
        },
    );
    format!(
        "unschedulable: {unschedulable}\n{}: {annotation}\n",
        Record::ANNOTATION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(unschedulable: bool, run: Option<&str>) -> Node {
        let record = run.map(|run| Record {
            run: run.to_owned(),
            ..Record::default()
        });
        Node {
            name: "n1".to_owned(),
            resource_version: "7".to_owned(),
            unschedulable,
            record,
            ..Node::default()
        }
    }

    fn cordoned(run: &str) -> DesiredCordon {
        DesiredCordon::Cordoned(Record {
            run: run.to_owned(),
            ..Record::default()
        })
    }

    #[test]
    fn what_is_done_to_each_cordon() {
        let off = DesiredCordon::Uncordoned { force: false };
        let forced = DesiredCordon::Uncordoned { force: true };
        let table = [
            (cordoned("b"), node(false, None), Some(Change::Cordon)),
            (cordoned("b"), node(false, Some("a")), Some(Change::Cordon)),
            (cordoned("b"), node(true, None), None),
            (cordoned("b"), node(true, Some("a")), Some(Change::TakeOver)),
            (cordoned("b"), node(true, Some("b")), None),
            (off.clone(), node(false, None), None),
            (
                off.clone(),
                node(false, Some("a")),
                Some(Change::RemoveStaleRecord),
            ),
            (off.clone(), node(true, None), None),
            (off.clone(), node(true, Some("a")), Some(Change::Uncordon)),
            (forced.clone(), node(true, None), Some(Change::Uncordon)),
            (forced.clone(), node(false, None), None),
        ];
        for (desired, node, expected) in table {
            assert_eq!(desired.change(&node), expected, "{desired:?} of {node:?}");
        }
    }

    #[test]
    fn a_cordon_gets_another_purpose_and_one_that_is_to_stay_is_an_operator_s() {
        let with = |purpose| Record {
            run: "a".to_owned(),
            purpose,
            ..Record::default()
        };
        let found = |purpose| Node {
            record: Some(with(purpose)),
            ..node(true, None)
        };
        let table = [
            (Purpose::Steer, Purpose::Turn, Some(Change::TakeOver)),
            (Purpose::Turn, Purpose::Retire, Some(Change::TakeOver)),
            (Purpose::Retire, Purpose::Retire, None),
            (Purpose::Retire, Purpose::Turn, None),
        ];
        for (is, wanted, expected) in table {
            let cordoned = DesiredCordon::Cordoned(with(wanted));
            assert_eq!(cordoned.change(&found(is)), expected, "{is:?} to {wanted:?}");
        }
        let off = DesiredCordon::Uncordoned { force: false };
        assert_eq!(off.change(&found(Purpose::Retire)), None);
        assert_eq!(off.change(&found(Purpose::Steer)), Some(Change::Uncordon));
    }

    #[test]
    fn a_patch_holds_cordon_record_and_guard() {
        let patch = cordoned("r1").patch(&node(false, None));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["spec"]["unschedulable"], true);
        let text = patch["metadata"]["annotations"][Record::ANNOTATION]
            .as_str()
            .unwrap();
        assert_eq!(Record::parse(text).run, "r1");
        let patch = DesiredCordon::Uncordoned { force: false }.patch(&node(true, Some("r1")));
        assert_eq!(patch["spec"]["unschedulable"], Value::Null);
        assert_eq!(patch["metadata"]["annotations"][Record::ANNOTATION], Value::Null);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_still_ours() {
        assert_eq!(
            cordoned_by(&Node {
                record: Some(Record::parse("")),
                unschedulable: true,
                ..Node::default()
            }),
            CordonedBy::Ours
        );
    }
}
