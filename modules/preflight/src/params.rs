//! What the user asks for, and what was found out about each node before.

use ansible_module::defaults::yes;
use per_node::Task;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The options; see `preflight.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub run: String,
    pub nodes: Vec<Node>,
    #[serde(default = "usual_prefix")]
    pub variables: String,
    #[serde(default = "yes")]
    pub fail_on_refusal: bool,
    /// The node that would begin a cluster; none where there is one.
    pub first_server: Option<String>,
}

fn usual_prefix() -> String {
    "k3s_".to_owned()
}

impl Params {
    /// The nodes on which a check has found k3s.
    pub(crate) fn installed(&self) -> Vec<String> {
        let nodes = self.nodes.iter().filter(|node| node.has_k3s());
        nodes.map(|node| node.host.clone()).collect()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Node {
    /// Its name in the inventory.
    pub host: String,
    /// Registered answers, by what was looked at.
    pub answers: BTreeMap<String, Answer>,
}

impl Node {
    fn has_k3s(&self) -> bool {
        let mut answers = self.answers.values();
        answers.any(|answer| answer.installed == Value::Bool(true))
    }
}

/// Answers have many more keys; only what stops a run is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Answer {
    #[serde(flatten)]
    pub task: Task,
    pub refusals: Vec<Refused>,
    /// Of a check that looks for k3s; elsewhere a version has this name.
    pub installed: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Refused {
    pub rule: String,
    pub evidence: String,
    #[serde(default)]
    pub r#override: Option<String>,
    #[serde(default, alias = "advice")]
    pub next: Option<String>,
    /// What the module says besides, such as the line of a container's configuration.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}
