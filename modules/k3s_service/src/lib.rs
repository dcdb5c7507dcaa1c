//! `k3s_service`: stop k3s on a node and end its pods.
//!
//! systemd stops k3s alone; its pods go on, which an upgrade wants and a node that is given up does not.

pub mod params;
mod plan;
pub mod state;

pub use params::Params;
pub use plan::Step;
pub use state::{Service, State};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result};
use host::{Host, wait_until};
use k3s_node::facts::Facts;
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{NodeSettings, Program, Show};
use serde::Serialize;
use std::time::Duration;

pub struct K3sService;

/// A k3s that is asked to stop is gone within seconds.
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

    fn observe(_: &Params, host: &dyn Host) -> Result<State> {
        let node = NodeSettings::look(host)?;
        let facts = look(host, &node.binary)?;
        Ok(State::read(&node, &facts, &node.settings().data_dir()))
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        match step {
            Step::Disable(unit) => systemctl(host, "disable", unit),
            Step::Stop(unit) => stop(params, host, unit),
            Step::EndPods { script, data_dir } => end_pods(params, host, script, data_dir),
        }
    }

    fn report(params: &Params, _: &State, after: &State, (): &()) -> Returned {
        let service = plan::service(params, after).ok().flatten();
        Returned {
            unit: service.map(|service| service.short().to_owned()),
            active: service.is_some_and(Service::runs),
            enabled: service.is_some_and(|service| service.show.is_enabled()),
            pods: after.shims.len(),
        }
    }
}

fn look(host: &dyn Host, binary: &str) -> Result<Facts> {
    let output = host
        .run(&state::questions(binary).command(binary))?
        .succeed(&host.location(), "looking for the pods of k3s")?;
    Facts::parse(&output.stdout).with_context(|| host.location())
}

fn systemctl(host: &dyn Host, verb: &str, unit: &str) -> Result<()> {
    let program = Program::new(DEFAULT_BINARY).with("unit", unit);
    let doing = format!("systemctl {verb} {unit}");
    let output = host.run(&program.end(&format!("systemctl {verb} \"$unit\"\n")))?;
    output.succeed(&host.location(), &doing).map(|_| ())
}

/// Not waited for by systemctl: a unit that does not end must not hang us.
fn stop(params: &Params, host: &dyn Host, unit: &str) -> Result<()> {
    systemctl(host, "stop --no-block", unit)?;
    wait_until(host, params.timeout, LOOK_EVERY, || {
        let show = Show::look(host, unit)?;
        let at_rest = show.is_at_rest().then_some(());
        Ok(at_rest.ok_or_else(|| format!("it is {}", show.active)))
    })?
    .or_fail(
        host,
        &format!("{unit} to stop (see there `systemctl status {unit}`)"),
    )
}

fn end_pods(params: &Params, host: &dyn Host, script: &str, data_dir: &str) -> Result<()> {
    let command = Program::new(DEFAULT_BINARY)
        .with("script", script)
        .export("K3S_DATA_DIR", data_dir)
        .end("\"$script\" </dev/null\n")
        .within(params.timeout);
    // Its status is that of its last command, whatever that was: what runs afterwards counts.
    let said = host
        .run(&command)
        .with_context(|| format!("{script} may hang at a mount whose server is gone"))?;
    wait_until(host, SETTLE, LOOK_EVERY, || {
        let left = state::shims(&look(host, DEFAULT_BINARY)?, data_dir).len();
        let ended = (left == 0).then_some(());
        Ok(ended.ok_or_else(|| format!("{left} of them run")))
    })?
    .or_fail(host, "the pods to end")
    .with_context(|| {
        format!(
            "{script} ended with status {}; it ends the pods below {data_dir}",
            said.status
        )
    })
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sService);
}
