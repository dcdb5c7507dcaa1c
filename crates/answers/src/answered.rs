//! A registered answer: what the module says, and what comes with every answer.

use per_node::Task;
use serde::Deserialize;
use std::ops::Deref;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    default,
    expecting = "the answer of a module",
    bound = "T: Deserialize<'de> + Default"
)]
pub struct Answered<T> {
    #[serde(flatten)]
    pub task: Task,
    /// What it would do, or did.
    pub actions: Vec<String>,
    pub warnings: Vec<String>,
    #[serde(flatten)]
    pub answer: T,
}

impl<T> Deref for Answered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::{Install, Version, drain::Drain, etcd::Etcd};
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned + Default>(answer: Value) -> Result<Answered<T>, String> {
        serde_json::from_value(answer).map_err(|error| error.to_string())
    }

    #[test]
    fn a_task_that_failed_or_was_skipped_has_no_answer() {
        for nothing in [
            json!({}),
            json!({"skipped": true}),
            json!({"failed": true, "msg": "no route"}),
        ] {
            assert_eq!(
                read::<Version>(nothing.clone()).unwrap().answer,
                Version::default()
            );
            assert_eq!(
                read::<Install>(nothing.clone()).unwrap().answer,
                Install::default()
            );
            assert_eq!(read::<Drain>(nothing.clone()).unwrap().answer, Drain::default());
            assert_eq!(read::<Etcd>(nothing).unwrap().answer, Etcd::default());
        }
    }

    #[test]
    fn what_comes_with_every_answer_is_read_beside_it() {
        let read = read::<Version>(json!({"changed": false, "actions": ["a"], "warnings": ["w"],
            "installed": "v1.36.3+k3s1", "order": "upgrade", "msg": "late"}))
        .unwrap();
        assert_eq!((read.actions.len(), read.warnings.len()), (1, 1));
        assert_eq!(read.task.fault().as_deref(), Some("late"));
        assert_eq!(read.installed.as_ref().unwrap().to_string(), "v1.36.3+k3s1");
    }

    #[test]
    fn a_wrong_type_is_refused() {
        assert!(read::<Version>(json!({"installed": ["v1.36.3+k3s1"]})).is_err());
        assert!(read::<Drain>(json!({"pods": "none"})).is_err());
        assert!(read::<Etcd>(json!({"quorum": "two"})).is_err());
    }
}
