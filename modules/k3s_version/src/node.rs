//! A node, and what is judged by it.

use crate::arguments::Arguments;
use k3s_types::K3sVersion;
use std::collections::BTreeMap;

/// The limit per core that kube-proxy takes where its file names none.
const MAX_PER_CORE: u64 = 32768;

/// One node of the cluster, or a container that may become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// Where a server has its own kubeconfig.
    pub kubeconfig: String,
    pub installed: Option<K3sVersion>,
    pub running: Option<K3sVersion>,
    /// Why the running version is not known.
    pub silence: Option<String>,
    /// A server without a kubelet, which has no Node.
    pub agentless: bool,
    /// What the operator hands on to components.
    pub arguments: Arguments,
    pub cgroup_v1: bool,
    /// What the kubelet's own files say (`failCgroupV1`).
    pub kubelet_fails_on_cgroup_v1: Option<bool>,
    pub proxy: Proxy,
    pub etcd: Etcd,
    /// The folder of k3s's data; `None` where k3s is not installed.
    pub data_dir: Option<String>,
    /// What the cluster has that a rule is about, by rule.
    pub found: BTreeMap<String, Vec<String>>,
}

/// What decides how kube-proxy fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Switched off (`disable-kube-proxy`), which only servers have in their files.
    pub off: bool,
    /// What a file that the operator hands on says of the limit per core.
    pub max_per_core_in_file: Option<u64>,
    /// `net.netfilter.nf_conntrack_max`, which is the host's.
    pub conntrack_max: Option<u64>,
    pub may_set_conntrack_max: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Whether the node holds a member's data.
    pub member: bool,
    pub version: Option<String>,
}

impl Node {
    /// An argument goes before what the kubelet's files say.
    pub(crate) fn kubelet_starts_on_cgroup_v1(&self) -> bool {
        match self.arguments.value("kubelet", "fail-cgroupv1") {
            Some(value) => value == "false",
            None => self.kubelet_fails_on_cgroup_v1 == Some(false),
        }
    }

    /// What the operator has kube-proxy ask for, where that is a limit. With a file its arguments do not count.
    fn asked_limit(&self) -> Option<String> {
        let (words, per_core) = if let Some(file) = self.arguments.value("kube-proxy", "config") {
            let per_core = self.proxy.max_per_core_in_file.unwrap_or(MAX_PER_CORE);
            (
                format!("kube-proxy-arg config={file}, whose conntrack.maxPerCore is {per_core},"),
                per_core,
            )
        } else {
            let value = self.arguments.value("kube-proxy", "conntrack-max-per-core")?;
            let words = format!("kube-proxy-arg conntrack-max-per-core={value}");
            (words, value.parse().ok()?)
        };
        (per_core != 0).then_some(words)
    }

    /// Why kube-proxy cannot have the limit that it is to ask for, once it asks for no more than `most`.
    pub(crate) fn conntrack_limit_above(&self, most: u64) -> Option<String> {
        let proxy = &self.proxy;
        if proxy.off || proxy.may_set_conntrack_max {
            return None;
        }
        let limit = match proxy.conntrack_max {
            Some(limit) if limit <= most => return None,
            Some(limit) => format!("is {limit}, above {most}"),
            None => "could not be read".to_owned(),
        };
        let asked = self.asked_limit()?;
        Some(format!(
            "{asked} asks for a limit of connections that may not be set here, and net.netfilter.nf_conntrack_max {limit}"
        ))
    }

    /// The oldest k3s that is at work or about to be: a hop begins there.
    pub fn oldest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).min()
    }

    pub fn newest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).max()
    }
}
