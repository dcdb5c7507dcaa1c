//! `k3s_uninstall`: uninstall k3s from a node with its own script.
//!
//! The cluster's part (drain, the member of etcd, the Node) is other modules'.

mod params;
mod plan;
mod state;

pub use params::Params;
pub use plan::{Leftover, Step};
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use host::{Command, Host, pct};
use k3s_node::{Changes, FOLDER, Facts};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

pub struct K3sUninstall;

const BIN: &str = "/usr/local/bin";
/// The name of the script's answer.
const SCRIPT: &str = "script";
const BINARY: &str = "/usr/local/bin/k3s";

#[derive(Serialize)]
pub struct Returned {
    installed: bool,
    leftovers: Vec<Leftover>,
}

impl Module for K3sUninstall {
    const NAME: &'static str = "k3s_uninstall";
    const DOC: &'static str = include_str!("../k3s_uninstall.yml");

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
        look(host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        match step {
            Step::Run { script } => run(params, host, script),
            Step::Forget => forget(params, host),
        }
    }

    fn report(_: &Params, before: &State, after: &State, (): &()) -> Returned {
        Returned {
            installed: !before.units.is_empty() || before.binary,
            leftovers: plan::leftovers(after),
        }
    }
}

fn look(host: &dyn Host) -> Result<State> {
    let doing = "looking for k3s";
    let visit = |bin: &str| {
        let command = state::questions(bin).command(BINARY);
        let output = host.run(&command)?.succeed(&host.location(), doing)?;
        Facts::parse(&output.stdout)
            .and_then(|facts| State::read(&facts, host.location()))
            .with_context(|| format!("{}: {doing}", host.location()))
    };
    let state = visit(BIN)?;
    if state.bin == BIN {
        Ok(state)
    } else {
        visit(&state.bin)
    }
}

/// Where the script is has to be known to a run that comes after an interrupted one.
fn run_command(params: &Params, script: &str) -> Command {
    let record = format!("{FOLDER}/uninstall-record.json");
    Changes::new()
        .own_folder()
        .write(&record, 0o600, &json!({"script": script}).to_string())
        .run_to_end(SCRIPT, &["/bin/sh", script], &BTreeMap::new())
        .end_answers()
        .command(params.lock_timeout, Duration::from_secs(params.timeout))
}

fn run(params: &Params, host: &dyn Host, script: &str) -> Result<()> {
    let doing = format!("running {script}");
    let output = host
        .run(&run_command(params, script))?
        .succeed(&host.location(), &doing)?;
    let answer = Facts::parse(&output.stdout).with_context(|| format!("{}: {doing}", host.location()))?;
    let status = answer.status(SCRIPT);
    if status != 0 {
        let said = answer.lossy(SCRIPT).unwrap_or_default();
        bail!("{}: {doing} ended with status {status}: {said}", host.location());
    }
    // The script ends well whatever it could not remove.
    let state = look(host)?;
    if !state.units.is_empty() || state.binary {
        bail!(
            "{}: {script} succeeded, but k3s is still there ({}); run it by hand and read what it says",
            host.location(),
            if state.binary {
                format!("{}/k3s", state.bin)
            } else {
                "its service".to_owned()
            }
        );
    }
    forget(params, host)
}

/// An install that comes later must not be taken for the rest of an earlier one. Also the record of where the script was, which is of use until nothing is left.
fn forget(params: &Params, host: &dyn Host) -> Result<()> {
    let changes = Changes::new().remove_matching(FOLDER, "*-record.json");
    let command = changes.command(params.lock_timeout, Command::USUAL_LIMIT);
    host.run(&command)?
        .succeed(&host.location(), "forgetting earlier runs")
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_gets_its_time_and_that_of_an_earlier_run() {
        let options = json!({"role": "agent", "timeout": 30, "lock_timeout": 11});
        let command = run_command(&serde_json::from_value(options).unwrap(), "/x");
        assert_eq!(command.limit, Duration::from_secs(41));
        assert!(
            String::from_utf8(command.stdin)
                .unwrap()
                .contains("patience='11'")
        );
        let refused = serde_json::from_value::<Params>(json!({"role": "agent", "timeout": 0})).unwrap_err();
        assert!(refused.to_string().contains("timeout: must be at least 1 second"));
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sUninstall);
}
