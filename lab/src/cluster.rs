//! The cluster that a lab starts with, installed as an operator does it: the install script, in each container.

use crate::container;
use crate::layout::{Node, Role};
use crate::paths::RELEASE_PORT;
use crate::process::{self, Program};
use crate::progress::step;
use crate::state::State;
use anyhow::{Context as _, Result};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// The start of an agent took up to 405 s: it says READY after a heartbeat that comes once in 5 minutes.
const INSTALL_LIMIT: Duration = Duration::from_mins(10);
const READY_LIMIT: Duration = Duration::from_mins(3);

pub fn install(state: &State) -> Result<()> {
    let nodes: Vec<Node> = state.nodes().into_iter().filter(|node| !node.empty).collect();
    let (controllers, workers): (Vec<_>, Vec<_>) =
        nodes.iter().partition(|node| node.role == Role::Controller);
    let Some((first, others)) = controllers.split_first() else {
        return Ok(());
    };
    // Those that are left empty are there to be joined, which only etcd allows.
    let nodes_to_come = state.nodes();
    let servers = nodes_to_come.iter().filter(|node| node.role == Role::Controller);
    let several = servers.count() > 1 && !state.options.sqlite;
    let init = if several { "--cluster-init " } else { "" };
    step(&format!("k3s server on {}", first.name), || {
        run_script(state, first, &format!("server {init}--node-label tier=ctl"), None)
    })?;
    // One at a time: etcd takes one learner at a time.
    for node in others {
        step(&format!("k3s server on {}", node.name), || {
            let flags = format!(
                "server --server https://{}:6443 --node-label tier=ctl",
                first.address
            );
            run_script(state, node, &flags, None)
        })?;
    }
    step("k3s agents", || {
        let url = format!("https://{}:6443", first.address);
        let flags = "agent --node-label tier=work --kubelet-arg=max-pods=50";
        in_parallel(&workers, |node| run_script(state, node, flags, Some(&url)))
    })?;
    step("nodes Ready", || wait_ready(state, first, &nodes))
}

/// The script and the token come by stdin: neither is to show in any argv.
fn run_script(state: &State, node: &Node, flags: &str, url: Option<&str>) -> Result<()> {
    let hosts = state.hosts();
    let server = hosts.first().map_or("", |host| host.address.as_str());
    let version = state.options.version.as_deref().unwrap_or_default();
    let url = url
        .map(|url| format!("export K3S_URL='{url}'\n"))
        .unwrap_or_default();
    let script = format!(
        "set -eu\ncurl -sfL http://{server}:{RELEASE_PORT}/install.sh -o /root/install.sh\n\
         export INSTALL_K3S_VERSION='{version}' K3S_TOKEN='{token}' INSTALL_K3S_EXEC='{flags}'\n{url}\
         sh /root/install.sh\nrm /root/install.sh\n",
        token = state.token,
    );
    let outcome = container::exec(node, ["sh", "-s"])
        .stdin(script)
        .limit(INSTALL_LIMIT)
        .run();
    outcome.map(drop).with_context(|| {
        let place = format!("installing k3s in container {} on {}", node.vmid, node.host.name);
        format!("{place}; the end of its log:\n{}", log(node))
    })
}

/// The lab may be gone before anybody can look.
fn log(node: &Node) -> String {
    let journal = [
        "journalctl",
        "--unit",
        "k3s*",
        "--lines",
        "15",
        "--no-pager",
        "--output",
        "cat",
    ];
    container::exec(node, journal)
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default()
}

fn in_parallel(nodes: &[&Node], work: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = nodes.iter().map(|node| scope.spawn(move || work(node))).collect();
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined
            .map(|outcome| outcome.unwrap_or_else(|_| anyhow::bail!("installing k3s: a thread panicked")))
            .collect()
    });
    outcomes.into_iter().collect()
}

fn wait_ready(state: &State, first: &Node, nodes: &[Node]) -> Result<()> {
    let version = state.options.version.as_deref().unwrap_or_default();
    let wanted: Vec<String> = nodes
        .iter()
        .map(|node| format!("{}=True={version}", node.name))
        .collect();
    let path = "{range .items[*]}{.metadata.name}={.status.conditions[?(@.type==\"Ready\")].status}=\
                {.status.nodeInfo.kubeletVersion}{\"\\n\"}{end}";
    let mut answer = String::new();
    let outcome = process::wait_until("all nodes are Ready", READY_LIMIT, || {
        let output = kubectl(first, ["get", "nodes", "-o", &format!("jsonpath={path}")]).output()?;
        answer = [output.stdout.trim(), output.stderr.trim()].join(" ");
        Ok(wanted
            .iter()
            .all(|line| output.stdout.lines().any(|found| found == line)))
    });
    outcome.with_context(|| {
        let log = log(first);
        format!(
            "asking {} for its nodes, which were:\n{answer}\nthe end of its log:\n{log}",
            first.name
        )
    })
}

/// For `kubectl get nodes -o`: the stand-in leaves tables to the client.
pub const NODE_COLUMNS: &str = "custom-columns=NAME:.metadata.name,READY:.status.conditions[?(@.type==\"Ready\")].status,\
                                UNSCHEDULABLE:.spec.unschedulable,VERSION:.status.nodeInfo.kubeletVersion";

pub fn kubectl<S: Into<String>>(node: &Node, arguments: impl IntoIterator<Item = S>) -> Program {
    let start = ["/usr/local/bin/k3s".to_owned(), "kubectl".to_owned()];
    container::exec(
        node,
        start.into_iter().chain(arguments.into_iter().map(Into::into)),
    )
}

/// The first controller whose container runs: with several, questions are answered while one is down. One that was left
/// empty may have been installed since, but is asked last.
pub fn controller(state: &State) -> Result<Node> {
    let mut controllers = state.nodes();
    controllers.retain(|node| node.role == Role::Controller);
    controllers.sort_by_key(|node| node.empty);
    let runs = |node: &&Node| {
        let status = container::pct(node, ["status", &node.vmid.to_string()]).output();
        status.is_ok_and(|output| output.stdout.trim() == "status: running")
    };
    let found = controllers.iter().find(runs).or(controllers.first()).cloned();
    found.context("looking for a controller: this lab has none")
}
