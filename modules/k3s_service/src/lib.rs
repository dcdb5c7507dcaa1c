//! `k3s_service`: stop k3s on a node and end its pods.
//!
//! systemd stops k3s alone; its pods go on, which an upgrade wants and a node that is given up does not.

pub mod params;
mod plan;
pub mod state;

pub use params::Params;
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result};
use host::{Command, Host, wait_until};
use k3s_node::NodeSettings;
use params::Unit;
use serde::Serialize;
use std::time::Duration;

pub struct K3sService;

const LOOK: &str = include_str!("programs/look.sh");
/// A k3s that is told to stop is gone within seconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What was killed is gone a moment later.
const SETTLE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
pub struct Returned {
    unit: Option<String>,
    active: bool,
    enabled: bool,
    pods: usize,
}

impl Module for K3sService {
    const NAME: &'static str = "k3s_service";
    const DOC: &'static str = include_str!("../k3s_service.yml");

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
        let node = NodeSettings::look(host)?;
        let state = look(params, host)?;
        let other = node.unit().filter(|(name, show)| {
            let in_service = show.is_alive() || show.enabled.starts_with("enabled");
            in_service && Unit::ALL.into_iter().all(|unit| service(unit) != *name)
        });
        Ok(State {
            other_name: other.map(|(name, _)| name.to_owned()),
            ..state
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        match step {
            Step::Disable(unit) => systemctl(host, &["disable", &service(*unit)]),
            Step::Stop(unit) => stop(params, host, *unit),
            Step::EndPods { script } => end_pods(params, host, script),
        }
    }

    fn report(params: &Params, _: &State, after: &State, (): &()) -> Returned {
        let unit = plan::unit(params, after).ok().flatten();
        let seen = unit.and_then(|unit| after.service(unit));
        Returned {
            unit: unit.filter(|_| seen.is_some()).map(|unit| unit.to_string()),
            active: seen.is_some_and(state::Service::runs),
            enabled: seen.is_some_and(state::Service::is_enabled),
            pods: after.shims.len(),
        }
    }
}

fn look(params: &Params, host: &dyn Host) -> Result<State> {
    let data = params.data_dir.replace('\'', "'\\''");
    let output = host.run(&Command::script(format!("data='{data}'\n{LOOK}")))?;
    let output = output.succeed(&host.place(), "looking at the k3s services")?;
    Ok(State::parse(&output.text()))
}

fn service(unit: Unit) -> String {
    format!("{unit}.service")
}

fn systemctl(host: &dyn Host, arguments: &[&str]) -> Result<()> {
    let output = host.run(&Command::new(["systemctl"].iter().chain(arguments).copied()))?;
    output.succeed(&host.place(), &format!("systemctl {}", arguments.join(" ")))?;
    Ok(())
}

/// Not waited for by systemctl: a unit that does not end must not hang us.
fn stop(params: &Params, host: &dyn Host, unit: Unit) -> Result<()> {
    systemctl(host, &["stop", "--no-block", &service(unit)])?;
    wait_until(host, params.timeout, LOOK_EVERY, || {
        let state = look(params, host)?;
        let runs = state.service(unit).filter(|service| service.runs());
        Ok(runs.map_or(Ok(()), |service| Err(format!("it is {}", service.active))))
    })?
    .or_fail(
        host,
        &format!("{unit} to stop (see there `systemctl status {unit}`)"),
    )
}

fn end_pods(params: &Params, host: &dyn Host, script: &str) -> Result<()> {
    let command = Command::new([script])
        .env("K3S_DATA_DIR", &params.data_dir)
        .within(params.timeout);
    // Its status is that of its last command, whatever that was: what runs afterwards counts.
    let said = host
        .run(&command)
        .with_context(|| format!("{script} may hang at a mount whose server is gone"))?;
    wait_until(host, SETTLE, LOOK_EVERY, || {
        let left = look(params, host)?.shims;
        Ok(if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{} of them run", left.len()))
        })
    })?
    .or_fail(host, "the pods to end")
    .with_context(|| {
        format!(
            "{script} ended with status {}; it knows the pods below {} (data_dir)",
            said.status, params.data_dir
        )
    })
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sService);
}
