//! The answer of `node_drain`.

use cluster::PodId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drain {
    pub cordoned_by: BeforeAndAfter,
    pub pods: Vec<Judged>,
    pub evicted: Vec<PodId>,
    pub bypassed: Vec<Budgeted>,
    pub blocked: Vec<Budgeted>,
    pub waiting: Vec<PodId>,
    pub terminating: Vec<PodId>,
    /// How often a pod was asked to go again.
    pub retries: usize,
    /// When the first step began and the last one ended, in seconds since 1970; none without steps.
    pub began_at: Option<u64>,
    pub ended_at: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BeforeAndAfter {
    pub before: CordonedBy,
    pub after: CordonedBy,
}

/// Whose cordon a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CordonedBy {
    #[default]
    None,
    Ours,
    Operator,
}

/// A pod, and whether it is evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judged {
    #[serde(flatten)]
    pub pod: PodId,
    pub owner: Option<String>,
    pub verdict: Verdict,
    pub reason: String,
    pub budgets: Vec<Budget>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Evict,
    #[default]
    Leave,
    Refuse,
}

/// A pod with the budgets that were in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budgeted {
    #[serde(flatten)]
    pub pod: PodId,
    pub budgets: Vec<Budget>,
    pub said: String,
}

/// A budget over a pod, with its headroom.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    pub name: String,
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
}
