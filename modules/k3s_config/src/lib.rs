//! `k3s_config`: write the configuration of k3s before it is installed.
//!
//! It is written before k3s is installed. On a node where it is, another file would count from the next start on, which
//! may come at night and by itself; so that is reported, and done only where it is asked for.

mod flags;
mod next;
mod params;
mod plan;
mod state;

pub use next::Becomes;
pub use params::{OnInstalled, Params};
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result};
use host::{Command, Host, pct};
use k3s_node::changes::parent;
use k3s_node::settings::DEFAULT_CONFIG;
use k3s_node::{Changes, FOLDER, Facts, Probe};
use serde::Serialize;
use state::{CONFIG, REGISTRIES};

pub struct K3sConfig;

const BINARY: &str = "/usr/local/bin/k3s";

#[derive(Serialize)]
pub struct Returned {
    installed: bool,
    different: Vec<&'static str>,
    becomes: Option<Becomes>,
    next: String,
}

impl Module for K3sConfig {
    const NAME: &'static str = "k3s_config";
    const DOC: &'static str = include_str!("../k3s_config.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = ();
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        if let Some(vmid) = params.vmid {
            pct::is_free(host.outside(), vmid)?;
        }
        let look = Probe::new()
            .units(DEFAULT_CONFIG)
            .file("config", CONFIG)
            .file("registries", REGISTRIES)
            .command(BINARY);
        let doing = "checking the configuration of k3s";
        let output = host.run(&look)?.succeed(&host.location(), doing)?;
        Facts::parse(&output.stdout)
            .and_then(|facts| State::read(&facts, host.location()))
            .with_context(|| format!("{}: {doing}", host.location()))
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        Ok(plan::plan(params, state))
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        let command = changes(step).command(params.lock_timeout, Command::USUAL_LIMIT);
        host.run(&command)?
            .succeed(&host.location(), &step.to_string())
            .map(|_| ())
    }

    fn report(params: &Params, before: &State, _: &State, (): &()) -> Returned {
        Returned {
            installed: before.installed,
            different: plan::different(params, before),
            becomes: Becomes::of(params),
            next: next::line(params, before),
        }
    }
}

/// What somebody else wrote is kept.
fn changes(step: &Step) -> Changes {
    match step {
        Step::Write { file, content, keep } => {
            let changes = Changes::new().folder_of(file);
            let name = file.rsplit('/').next().unwrap_or_default();
            let changes = if *keep {
                let before = format!("{FOLDER}/{name}.before");
                changes.own_folder().copy(file, &before)
            } else {
                changes
            };
            changes.write(file, 0o600, content)
        }
        Step::Remove { file } => Changes::new().remove(&[file]).settle(parent(file)),
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sConfig);
}
