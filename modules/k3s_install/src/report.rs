//! The documented return values.

use crate::params::Params;
use crate::plan;
use crate::readiness::Ready;
use crate::record::Record;
use crate::script;
use crate::state::State;
use ansible_module::Refusal;
use k3s_node::Role;
use k3s_types::mask;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far it went: it decides what can and must be put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Untouched,
    /// The record is written, the node unchanged.
    Saved,
    /// From the first change until the proof of the files.
    Changing,
    Proven,
    /// Its readiness has been seen.
    Ready,
}

/// What `apply` learns on its way.
#[derive(Default)]
pub struct Journal {
    pub(crate) phase: Phase,
    pub(crate) record: Option<Record>,
    pub(crate) dropped: bool,
    pub(crate) staged: Option<String>,
    pub(crate) script_output: Vec<String>,
    pub(crate) proven: bool,
    pub(crate) restored: bool,
    pub(crate) restarted_at: Option<u64>,
    pub(crate) ready: Option<Ready>,
    /// The unit that was waited for, and what must not show in its journal's lines.
    pub(crate) unit: Option<String>,
    pub(crate) secrets: Vec<String>,
}

#[derive(Serialize)]
pub struct Returned {
    role: Option<Role>,
    node_name: String,
    unit: Option<String>,
    enabled: Option<bool>,
    active: Option<String>,
    installed: Option<String>,
    sha256: Option<String>,
    running: Option<String>,
    version_before: Option<String>,
    version_after: Option<String>,
    args: Vec<String>,
    env_keys: Vec<String>,
    config_hashes: BTreeMap<String, String>,
    drop_ins: Vec<String>,
    internal_ips: Vec<String>,
    staged: bool,
    #[serde(flatten)]
    install: answers::Install,
    refusals: Vec<Refusal>,
    proof: Proven,
    script_output: Vec<String>,
}

#[derive(Serialize)]
struct Proven {
    /// Role, arguments, environment and configuration were compared and are the same.
    files: bool,
    /// They were put back after a failed comparison.
    restored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    restarted_at: Option<u64>,
    #[serde(flatten)]
    ready: Option<Ready>,
}

pub(crate) fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
    let setup = after.before().ok().flatten();
    let files = setup.as_ref().map(|setup| &after.units[&setup.role]);
    let version = |state: &State| {
        state
            .running()
            .or(state.binary.version.as_ref())
            .map(ToString::to_string)
    };
    Returned {
        role: setup.as_ref().map(|setup| setup.role),
        node_name: after.paths.node.clone(),
        unit: setup.as_ref().map(|setup| setup.name.clone()),
        enabled: setup.as_ref().map(|setup| setup.enabled),
        active: files.map(|files| files.show.active.clone()),
        installed: after.binary.version.as_ref().map(ToString::to_string),
        sha256: after.binary.sha256.clone(),
        running: after.running().map(ToString::to_string),
        version_before: version(before),
        version_after: version(after),
        args: setup
            .as_ref()
            .map(|setup| mask::arguments(&setup.args))
            .unwrap_or_default(),
        env_keys: setup
            .as_ref()
            .map(|setup| setup.variables().into_keys().collect())
            .unwrap_or_default(),
        config_hashes: after.config_hashes.clone(),
        drop_ins: files
            .map(|files| files.drop_ins.iter().map(|(path, _)| path.clone()).collect())
            .unwrap_or_default(),
        internal_ips: after
            .node
            .iter()
            .flat_map(|node| &node.internal_ips)
            .map(ToString::to_string)
            .collect(),
        staged: script::staged_for(&params.version, &after.binary.staged).is_some(),
        // After a failure the node was not looked at again.
        install: answers::Install {
            record: journal
                .record
                .as_ref()
                .filter(|_| !journal.dropped)
                .or(after.record())
                .map(seen),
        },
        refusals: plan::decide(params, before).1,
        proof: Proven {
            files: journal.proven,
            restored: journal.restored,
            restarted_at: journal.restarted_at,
            ready: journal.ready.clone(),
        },
        script_output: journal.script_output.clone(),
    }
}

fn seen(record: &Record) -> answers::Record {
    answers::Record {
        version: record.version.clone(),
        run_id: record.run_id.clone(),
        saved_at: record.saved_at,
        proven: record.proven_at.is_some(),
    }
}
