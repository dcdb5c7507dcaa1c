//! The plan and the summary as lines for a person.

use crate::node::Node;
use crate::params::Params;
use crate::plan::{Batch, Planned, Turn};
use answers::Answered;
use answers::drain::{Budget, CordonedBy, Drain, Judged, Verdict};
use cluster::Pdb;
use cluster::PodId;
use per_node::Refusal;
use std::collections::BTreeMap;

/// Longer lists of pods help nobody.
const NAMED: usize = 8;

pub(crate) fn plan(params: &Params, planned: &Planned) -> Vec<String> {
    let (todo, done) = (planned.turns.len(), planned.skipped.len());
    let mut lines = vec![format!(
        "k3s {}: {todo} of {} nodes to work on",
        params.target,
        todo + done
    )];
    if !planned.turns.is_empty() {
        lines.push(format!(
            "order: {}, since {}",
            planned.order_in_words(),
            planned.reason
        ));
    }
    for (index, turn) in planned.turns.iter().enumerate() {
        let node = params.nodes.iter().find(|node| node.host == turn.host);
        lines.extend(
            node.into_iter()
                .flat_map(|node| turn_lines(params, index + 1, turn, node)),
        );
    }
    for skipped in &planned.skipped {
        lines.push(format!("{}: skipped: {}", skipped.host, skipped.reason));
    }
    lines.extend(batches(planned));
    lines.extend(planned.notices.iter().map(|notice| format!("note: {notice}")));
    let refused = per_node::lines(&planned.refusals);
    lines.extend(refused.iter().map(|line| format!("refused: {line}")));
    lines
}

/// The batches, where several workers have their turns at once.
fn batches(planned: &Planned) -> Vec<String> {
    let of = planned.batches.len();
    if planned
        .batches
        .iter()
        .all(|batch| batch.hosts.len() == 1 && batch.reason.is_none())
    {
        return Vec::new();
    }
    let line = |(number, batch): (usize, &Batch)| {
        let why = batch
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!("; {why}"));
        format!("batch {number} of {of}: {}{why}", batch.hosts.join(", "))
    };
    let mut lines: Vec<String> = (1..).zip(&planned.batches).map(line).collect();
    lines.push(format!(
        "up to {} workers at once; each batch is checked again when it begins, since pods have moved by then",
        planned.workers_at_once
    ));
    lines
}

/// The refusals as the message of a failed task; none where there are none.
pub(crate) fn refused(params: &Params, refusals: &[Refusal]) -> Option<String> {
    let lines = per_node::lines(refusals);
    let target = &params.target;
    (!lines.is_empty()).then(|| format!("the upgrade to k3s {target} is refused: {}", lines.join("; ")))
}

fn turn_lines(params: &Params, number: usize, turn: &Turn, node: &Node) -> Vec<String> {
    let from = node
        .version
        .oldest()
        .map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let mut way = if turn.install {
        format!("{from} -> {}", params.target)
    } else {
        "uncordon".to_owned()
    };
    // That the old version runs is said already.
    let plain =
        node.version.installed == node.version.running && node.version.oldest() != Some(&params.target);
    if !plain || !turn.install {
        way = format!("{way}; {}", turn.reason);
    }
    let mut lines = vec![format!("{number}. {} ({}): {way}", turn.host, node.location())];
    let mut add = |text: String| lines.push(format!("   {text}"));
    if turn.backup {
        add("first: a backup of the datastore".to_owned());
    }
    if turn.snapshot {
        add("first: a snapshot of the container".to_owned());
    }
    if turn.drain {
        drain_lines(params, &node.drain).into_iter().for_each(add);
    } else if turn.install {
        add("not drained: its pods keep running while k3s restarts".to_owned());
    }
    if node.drain.cordoned_by.before == CordonedBy::Operator {
        lines.push("   cordoned by an operator: it stays cordoned".to_owned());
    }
    lines
}

fn drain_lines(params: &Params, drain: &Answered<Drain>) -> Vec<String> {
    if !drain.task.was_run() {
        return vec!["drained: its pods could not be read".to_owned()];
    }
    let moved: Vec<&PodId> = drain
        .pods
        .iter()
        .filter(|pod| pod.verdict == Verdict::Evict)
        .map(|pod| &pod.pod)
        .collect();
    if moved.is_empty() {
        return vec!["drained: no pod has to move".to_owned()];
    }
    let mut lines = vec![format!(
        "drained: {} to move: {}",
        count(moved.len()),
        names(&moved)
    )];
    let gone: Vec<&PodId> = drain
        .pods
        .iter()
        .filter(|pod| pod.verdict == Verdict::Evict && pod.owner.is_none())
        .map(|pod| &pod.pod)
        .collect();
    if !gone.is_empty() {
        lines.push(format!(
            "deleted for good, since no controller starts them again: {}",
            names(&gone)
        ));
    }
    let waiting: Vec<&PodId> = drain.waiting.iter().collect();
    if !waiting.is_empty() {
        lines.push(format!(
            "Pending until the uncordon, since no other node has their volumes or suits them: {}",
            names(&waiting)
        ));
    }
    lines.extend(tight(drain).into_iter().map(|(budget, pods)| {
        let Budget { name, current_healthy, desired_healthy, .. } = budget;
        let what = match params.pdb {
            Pdb::Respect => "it may block the drain",
            Pdb::Bypass => "it is bypassed",
            Pdb::RespectThenBypass => "it is respected for a while, then bypassed",
        };
        format!(
            "budget {name} allows no disruption ({current_healthy} healthy, {desired_healthy} wanted) of {}: {what}",
            names(&pods)
        )
    }));
    if let Some(pods) = several(drain) {
        let what = match params.pdb {
            Pdb::Respect => "they block the drain",
            Pdb::Bypass => "the budgets are bypassed",
            Pdb::RespectThenBypass => "the budgets are respected for a while, then bypassed",
        };
        lines.push(format!(
            "several budgets select {pods}, and no API server evicts such a pod: {what}"
        ));
    }
    lines
}

/// The pods that more than one budget selects.
fn several(drain: &Drain) -> Option<String> {
    let several = |pod: &&Judged| pod.verdict == Verdict::Evict && pod.budgets.len() > 1;
    let pods: Vec<&PodId> = drain.pods.iter().filter(several).map(|pod| &pod.pod).collect();
    (!pods.is_empty()).then(|| names(&pods))
}

/// The budgets without headroom, with the pods that they hold.
fn tight(drain: &Drain) -> BTreeMap<&Budget, Vec<&PodId>> {
    let mut tight: BTreeMap<&Budget, Vec<&PodId>> = BTreeMap::new();
    for pod in drain.pods.iter().filter(|pod| pod.verdict == Verdict::Evict) {
        for budget in pod.budgets.iter().filter(|budget| budget.disruptions_allowed < 1) {
            tight.entry(budget).or_default().push(&pod.pod);
        }
    }
    tight
}

/// One line a node, for the end of a run.
pub(crate) fn summary(params: &Params) -> Vec<String> {
    let mut lines = vec![format!("k3s {}:", params.target)];
    lines.extend(params.nodes.iter().map(|node| {
        let version = |version: Option<&k3s_types::K3sVersion>| {
            version.map_or_else(|| "unknown".to_owned(), ToString::to_string)
        };
        let (before, after) = (
            version(node.version.oldest()),
            version(node.after.running.as_ref().or(node.version.running.as_ref())),
        );
        format!("{}: {before} -> {after}{}", node.host, drained(node))
    }));
    let skipped = params.skip.iter();
    lines.extend(skipped.map(|(host, reason)| format!("{host}: k3s_skip leaves it out: {reason}")));
    lines.extend(stopped(params));
    lines
}

/// A run that was asked to stop, and did so between two nodes.
fn stopped(params: &Params) -> Option<String> {
    let file = params.stopped_by.as_ref()?;
    let is_left = |node: &&Node| node.after.running.as_ref() != Some(&params.target);
    let left: Vec<&str> = params
        .nodes
        .iter()
        .filter(is_left)
        .map(|node| node.host.as_str())
        .collect();
    (!left.is_empty()).then(|| {
        format!(
            "the run stopped since {file} is there. Left for the next run: {}. Remove the file and run the same command again",
            left.join(", ")
        )
    })
}

fn drained(node: &Node) -> String {
    let mut parts = Vec::new();
    if let Some(seconds) = node.drained_for().filter(|_| node.drain.task.was_run()) {
        parts.push(format!(
            ", drained for {}, {} evicted",
            format_duration(seconds),
            count(node.drain.evicted.len())
        ));
        match node.drain.retries {
            0 => {}
            1 => parts.push(", 1 eviction retried".to_owned()),
            retries => parts.push(format!(", {retries} evictions retried")),
        }
    }
    if !node.drain.bypassed.is_empty() {
        let bypassed: Vec<&PodId> = node.drain.bypassed.iter().map(|bypassed| &bypassed.pod).collect();
        parts.push(format!(", budgets bypassed for {}", names(&bypassed)));
    }
    parts.concat()
}

fn format_duration(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0 | 1, _) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

fn count(pods: usize) -> String {
    if pods == 1 {
        "1 pod".to_owned()
    } else {
        format!("{pods} pods")
    }
}

fn names(pods: &[&PodId]) -> String {
    let mut named: Vec<String> = pods.iter().take(NAMED).map(ToString::to_string).collect();
    if pods.len() > NAMED {
        named.push(format!("{} more", pods.len() - NAMED));
    }
    named.join(", ")
}
