//! `k3s_backup`: the deprecated name of `k3s_archive` with `state: copied`, or with `state: snapshot` (`in_place`). What it
//! does is there; here are its options, and the part of the answer that it had.

use ansible_module::defaults::number;
use ansible_module::{Module, Plan, Target};
use answers::Snapshot;
use anyhow::Result;
use host::Host;
use k3s_archive::{Backup, Journal, K3sArchive, State, Step, Wanted};
use serde::{Deserialize, Serialize};
use server_archive::Datastore;
use std::process::ExitCode;

pub struct K3sBackup;

/// The options; see `k3s_backup.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params(k3s_archive::Params);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "backups")]
    dest: String,
    #[serde(default = "pre_upgrade")]
    name: String,
    #[serde(default = "number::<5, _>")]
    keep: usize,
    #[serde(default)]
    in_place: bool,
    data_dir: Option<String>,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

fn backups() -> String {
    "/var/lib/homelab-k3s/backups".to_owned()
}

fn pre_upgrade() -> String {
    "pre-upgrade".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let backup = if options.in_place {
            Backup::snapshot(&options.name, options.keep, options.data_dir)
        } else {
            Backup::copy(options.dest, &options.name, options.keep, options.data_dir)
        };
        Ok(Self(k3s_archive::Params {
            vmid: options.vmid,
            wanted: Wanted::Made(backup?),
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
        }))
    }
}

#[derive(Serialize)]
pub struct Returned {
    datastore: Option<Datastore>,
    #[serde(flatten)]
    snapshot: Snapshot,
    removed: Vec<String>,
}

impl Module for K3sBackup {
    const NAME: &'static str = "k3s_backup";
    const DOC: &'static str = include_str!("../k3s_backup.yml");
    const OBSERVE_AGAIN: bool = K3sArchive::OBSERVE_AGAIN;

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        K3sArchive::target(&params.0)
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        K3sArchive::observe(&params.0, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        K3sArchive::plan(&params.0, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        K3sArchive::apply(&params.0, host, step, journal)
    }

    fn report(_: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        Returned {
            datastore: before.datastore(),
            snapshot: journal.snapshot(),
            removed: journal.removed().to_vec(),
        }
    }

    fn recover(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> Option<String> {
        K3sArchive::recover(&params.0, host, before, journal)
    }

    fn inside(arguments: &[String]) -> Option<ExitCode> {
        K3sArchive::inside(arguments)
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sBackup);
}
