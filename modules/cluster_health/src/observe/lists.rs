//! The lists, page by page: of a big cluster only a page of each is in memory at a time, and of its pods only those
//! that may be in trouble are kept.

use crate::state::{RELEASES, Seen, WorkloadKind, WorkloadObject, releases};
use anyhow::Result;
use cluster::{Answer, Chart, Job, Kubectl, Lease, Node, Object, PAGES, Pod, Questions, next_page, pages};
use serde::de::DeserializeOwned;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Nodes,
    Leases,
    Pods,
    Workloads(WorkloadKind),
    Jobs,
    Addons,
    Charts,
    /// Of Helm, which has no objects of its own.
    Releases,
}

impl List {
    pub(super) const ALWAYS: [Self; 7] = [
        Self::Nodes,
        Self::Leases,
        Self::Pods,
        Self::Workloads(WorkloadKind::Deployment),
        Self::Workloads(WorkloadKind::StatefulSet),
        Self::Workloads(WorkloadKind::DaemonSet),
        Self::Jobs,
    ];
    /// Kinds that k3s brings along, unless it is configured not to.
    pub(super) const WHERE_SERVED: [Self; 3] = [Self::Addons, Self::Charts, Self::Releases];

    pub(super) fn group(self) -> &'static str {
        match self {
            Self::Addons => "k3s.cattle.io",
            Self::Charts | Self::Releases => "helm.cattle.io",
            Self::Jobs => "batch",
            Self::Workloads(_) => "apps",
            Self::Leases => "coordination.k8s.io",
            Self::Nodes | Self::Pods => "",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Nodes => "/api/v1/nodes",
            Self::Leases => "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
            Self::Pods => "/api/v1/pods",
            Self::Workloads(kind) => kind.path(),
            Self::Jobs => "/apis/batch/v1/jobs",
            Self::Addons => "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons",
            Self::Charts => "/apis/helm.cattle.io/v1/helmcharts",
            Self::Releases => "releases",
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    fn question<'k, 'a>(self, questions: Questions<'k, 'a>, path: &str) -> Questions<'k, 'a> {
        match self {
            Self::Releases => questions.command(self.name(), RELEASES),
            _ => questions.path(path),
        }
    }

    /// Adds a page to what was seen; returns the token of the next one, which is empty after the last.
    fn add(self, page: &Answer, restart_window: Duration, seen: &mut Seen) -> Result<String> {
        fn items<T: DeserializeOwned>(page: &Answer, add: impl FnOnce(Vec<T>)) -> Result<String> {
            let list: cluster::List<T> = page.parse()?;
            add(list.items);
            Ok(list.metadata.next)
        }
        match self {
            Self::Nodes => items(page, |nodes: Vec<Node>| seen.nodes.extend(nodes)),
            Self::Leases => items(page, |leases: Vec<Lease>| {
                seen.leases
                    .extend(leases.into_iter().map(|lease| (lease.node.clone(), lease)));
            }),
            Self::Pods => items(page, |pods: Vec<Pod>| {
                seen.pods.add(pods, seen.now - restart_window);
            }),
            Self::Workloads(kind) => items(page, |workloads: Vec<WorkloadObject>| {
                seen.workloads
                    .extend(workloads.into_iter().map(|workload| workload.of_kind(kind)));
            }),
            Self::Jobs => items(page, |jobs: Vec<Job>| seen.jobs.extend(jobs)),
            Self::Addons => items(page, |addons: Vec<Object>| seen.addons.extend(addons)),
            Self::Charts => items(page, |charts: Vec<Chart>| seen.charts.extend(charts)),
            Self::Releases => {
                anyhow::ensure!(page.ok(), "asking for the releases of Helm: {}", page.said);
                seen.releases = releases(&page.text())?;
                Ok(String::new())
            }
        }
    }
}

/// Reads complete lists. One that fails is noted; the others are read on.
pub(super) fn read(kubectl: &Kubectl, lists: Vec<List>, restart_window: Duration, seen: &mut Seen) {
    let mut open: Vec<(List, String)> = lists.into_iter().map(|list| (list, pages(list.path()))).collect();
    for turn in 1.. {
        if open.is_empty() {
            return;
        }
        let questions = open
            .iter()
            .fold(Questions::new(kubectl), |questions, (list, path)| {
                list.question(questions, path)
            });
        let answers = match questions.ask("reading from the API server") {
            Ok(answers) => answers,
            Err(error) => {
                let unread = open
                    .iter()
                    .map(|(list, _)| (list.name().to_owned(), format!("{error:#}")));
                seen.unread.extend(unread);
                return;
            }
        };
        let mut more = Vec::new();
        for (number, (list, _)) in open.into_iter().enumerate() {
            let page = answers.get(number).map_or_else(
                || Err(anyhow::anyhow!("it was not answered")),
                |page| list.add(&page, restart_window, seen),
            );
            match page {
                Ok(next) if next.is_empty() => {}
                Ok(_) if turn == PAGES => {
                    let unread = format!("it goes on after {PAGES} pages");
                    seen.unread.insert(list.name().to_owned(), unread);
                }
                Ok(next) => more.push((list, next_page(&pages(list.path()), &next))),
                Err(error) => {
                    seen.unread.insert(list.name().to_owned(), format!("{error:#}"));
                }
            }
        }
        open = more;
    }
}
