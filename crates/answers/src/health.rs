//! Of the answer of `cluster_health`: what is wrong.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    pub verdicts: Vec<Verdict>,
}

/// What a verdict turns on; it has more for people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub identity: Identity,
    pub severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know: a cordon of ours, or what is young enough to come right by itself.
    Info,
    Warning,
    Error,
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Api,
    Etcd,
    Certificate,
    Node,
    Cluster,
    Addon,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    Pod,
}

/// Why. Where Kubernetes goes back and forth between two words for one trouble, there is one word here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    // The API server
    Unreachable,
    CheckFailed,
    Unanswered,
    CannotBeRead,
    // Certificates
    Expired,
    ExpiresSoon,
    NotYetValid,
    // etcd
    NotVoter,
    Unhealthy,
    NoQuorum,
    NoLeader,
    Alarm,
    Disagreement,
    WithoutNode,
    WithoutMember,
    NotInInventory,
    NotEmbeddedEtcd,
    NumberOfVoters,
    ConditionBehind,
    Lagging,
    NearlyFull,
    SnapshotFailed,
    // Nodes
    NotReady,
    StaleHeartbeat,
    MemoryPressure,
    DiskPressure,
    PIDPressure,
    NetworkUnavailable,
    Cordoned,
    Missing,
    WrongVersion,
    KubeletTooNew,
    TooOld,
    // The cluster
    MixedVersions,
    DifferentSettings,
    // Pods
    CrashLoopBackOff,
    OOMKilled,
    ImagePullBackOff,
    CreateContainerConfigError,
    RunContainerError,
    Restarted,
    Pending,
    Unschedulable,
    SchedulingGated,
    Terminating,
    OnLostNode,
    Evicted,
    Failed,
    Unknown,
    // Workloads and what brings them
    Unavailable,
    RolloutStuck,
    NotInstalled,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What stays the same when a pod is replaced by another one with the same trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    pub kind: Kind,
    pub namespace: String,
    pub object: String,
    pub reason: Reason,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            object,
            reason,
        } = self;
        write!(f, "{kind} ")?;
        if !namespace.is_empty() {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{object}: {reason}")
    }
}
