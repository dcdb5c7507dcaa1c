//! How a task ended, as Ansible registers it.

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Every task that Ansible came by has it. Its value says nothing: a check reports no change.
    changed: Option<bool>,
    pub skipped: bool,
    pub failed: bool,
    pub unreachable: bool,
    pub msg: Option<String>,
}

impl Task {
    /// Why the task failed. `failed_when: false` hides the failure from Ansible, not the message: our modules
    /// have one only where they fail.
    pub fn fault(&self) -> Option<String> {
        let silent = (self.failed || self.unreachable).then(|| "it ended without a reason".to_owned());
        self.msg.clone().or(silent).filter(|_| !self.skipped)
    }

    pub fn was_run(&self) -> bool {
        self.changed.is_some() && !self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fault(answer: Value) -> Option<String> {
        serde_json::from_value::<Task>(answer).unwrap().fault()
    }

    #[test]
    fn a_message_is_a_fault_although_the_task_was_let_pass() {
        let table = [
            (json!({"changed": false}), None),
            (
                json!({"changed": false, "failed": false, "msg": "container 111 is stopped"}),
                Some("container 111 is stopped"),
            ),
            (json!({"failed": true}), Some("it ended without a reason")),
            (json!({"unreachable": true, "msg": "no route"}), Some("no route")),
            (json!({"skipped": true, "msg": "a condition was false"}), None),
        ];
        for (answer, expected) in table {
            assert_eq!(fault(answer.clone()).as_deref(), expected, "{answer}");
        }
    }
}
