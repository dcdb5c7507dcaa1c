//! Troubles that the stand-in k3s makes itself, as its `/etc/lab/faults.json` sets them.

use super::network::controllers;
use super::unless_none;
use crate::container::exec;
use crate::layout::Node;
use crate::state::State;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

/// What a kubelet reports of its node.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Condition {
    MemoryPressure,
    DiskPressure,
    #[value(name = "PIDPressure")]
    PidPressure,
    NetworkUnavailable,
    Ready,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Status {
    True,
    False,
}

#[derive(Debug, clap::Args)]
pub struct Report {
    container: String,
    #[arg(value_enum)]
    condition: Condition,
    #[arg(value_enum)]
    status: Status,
}

#[derive(Debug, clap::Args)]
pub struct Migration {
    container: String,
    /// A number of objects; `none`: it goes well
    after: String,
    #[arg(long)]
    hang: bool,
}

fn change(node: &Node, change: impl FnOnce(&mut Value)) -> Result<()> {
    let found = exec(node, ["cat", "/etc/lab/faults.json"]).output()?.stdout;
    let mut faults: Value = serde_json::from_str(&found).unwrap_or_else(|_| json!({}));
    change(&mut faults);
    let write = "cat > /etc/lab/faults.new && mv /etc/lab/faults.new /etc/lab/faults.json";
    exec(node, ["sh", "-c", write])
        .stdin(faults.to_string())
        .run()
        .map(drop)
}

fn push(faults: &mut Value, list: &str, item: Value) {
    match faults[list].as_array_mut() {
        Some(items) => items.push(item),
        None => faults[list] = json!([item]),
    }
}

/// One more rule for requests, on every controller.
pub(super) fn requests(state: &State, rule: &Value) -> Result<()> {
    let given = rule
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, v)| !v.is_null());
    let rule: Value = given.map(|(k, v)| (k.clone(), v.clone())).collect();
    for node in controllers(state, "all")? {
        change(&node, |faults| push(faults, "requests", rule.clone()))?;
    }
    Ok(())
}

/// One more check of `/readyz` that fails; `none`: all pass again.
pub(super) fn check(state: &State, container: &str, check: Option<&str>) -> Result<()> {
    for node in controllers(state, container)? {
        change(&node, |faults| match check {
            Some(check) => push(faults, "checks", json!(check)),
            None => faults["checks"] = json!([]),
        })?;
    }
    Ok(())
}

pub(super) fn condition(state: &State, report: &Report) -> Result<()> {
    let node = state.node(&report.container)?;
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let (condition, status) = (
        name(report.condition.to_possible_value()),
        name(report.status.to_possible_value()),
    );
    if condition.is_empty() || status.is_empty() {
        bail!("setting a condition of {}: a value without a name", node.name);
    }
    change(&node, |faults| faults["conditions"][condition] = json!(status))
}

pub(super) fn migration(state: &State, trouble: &Migration) -> Result<()> {
    let node = state.node(&trouble.container)?;
    let after = match unless_none(&trouble.after) {
        Some(after) => Some(after.parse::<u64>().context("reading a number of objects")?),
        None => None,
    };
    change(&node, |faults| {
        faults["migration"] =
            after.map_or(Value::Null, |after| json!({"after": after, "hang": trouble.hang}));
    })
}
