//! `pct_exec`: run a command in an LXC container of a Proxmox VE host.
//!
//! The one imperative module: its plan is "run", or nothing where `creates` or `removes` say so.

mod params;
mod plan;
mod state;

pub use params::{Params, What};
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::{Command, Failure, Host, Kind, Output, pct};
use serde::Serialize;
use std::time::Duration;

pub struct PctExec;

/// What became of the command.
#[derive(Default)]
pub struct Journal {
    output: Option<Output>,
    cut_short: bool,
    /// By us; somebody else may have been quicker.
    started: bool,
    was_stopped: bool,
    needless: Option<String>,
}

#[derive(Serialize)]
pub struct Returned {
    status_before: &'static str,
    started: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<String>,
    #[serde(flatten)]
    command: Option<Ran>,
}

#[derive(Serialize)]
struct Ran {
    /// None for a command that did not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    rc: Option<i32>,
    stdout: String,
    stderr: String,
    stdout_lines: Vec<String>,
    stderr_lines: Vec<String>,
    truncated: bool,
    delta: f64,
}

impl Module for PctExec {
    const NAME: &'static str = "pct_exec";
    const DOC: &'static str = include_str!("../pct_exec.yml");
    /// A command leaves no state to look at.
    const OBSERVE_AGAIN: bool = false;

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    /// No lock: commands run side by side in a container, as they do with `pct exec` itself.
    fn target(params: &Params) -> Target {
        Target {
            vmid: Some(params.vmid),
            lock_timeout: None,
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let outside = host.outside();
        let mut state = State::running(host.location());
        if params.refuse_locked || !pct::seen_running(outside, params.vmid) {
            state.status = pct::status(outside, params.vmid)?;
        }
        if state.status.running {
            state.needless = needless(params, host)?;
        }
        Ok(state)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        match step {
            Step::Start { vmid } => {
                let limit = Duration::from_secs(params.start_timeout);
                let outside = host.outside();
                let started = pct::start(outside, *vmid, limit);
                // One that timed out may go on.
                journal.started = started.as_ref().map_or_else(timed_out, |ours| *ours);
                started?;
                journal.was_stopped = true;
                pct::wait_booted(outside, host, *vmid, limit)
            }
            Step::Run { .. } => run(params, host, journal),
        }
    }

    fn report(_: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        Returned {
            status_before: before.status_word(),
            started: journal.started,
            msg: before.needless.clone().or_else(|| journal.needless.clone()),
            command: journal
                .output
                .as_ref()
                .map(|output| ran(output, journal.cut_short)),
        }
    }

    fn would_change(params: &Params, steps: &[Step]) -> bool {
        let may_change = params
            .changed_rc
            .as_ref()
            .map_or(params.changed, |changed_rc| !changed_rc.is_empty());
        let starts = |step: &Step| matches!(step, Step::Start { .. });
        may_change || steps.iter().any(starts)
    }

    fn changed(params: &Params, journal: &Journal) -> bool {
        match (&journal.output, &params.changed_rc) {
            _ if journal.started => true,
            _ if journal.needless.is_some() => false,
            // Nothing was begun.
            (None, _) => false,
            (Some(output), Some(changed_rc)) => changed_rc.contains(&output.status),
            (Some(_), None) => params.changed,
        }
    }
}

fn timed_out(error: &anyhow::Error) -> bool {
    Failure::of(error).is_some_and(|failure| failure.kind == Kind::TimedOut)
}

fn run(params: &Params, host: &dyn Host, journal: &mut Journal) -> Result<()> {
    // A container that was stopped could not be asked before.
    if journal.was_stopped {
        journal.needless = needless(params, host)?;
        if journal.needless.is_some() {
            return Ok(());
        }
    }
    let output = match host.run(&command(params)) {
        Ok(output) => output,
        Err(error) => {
            journal.output = Failure::of(&error).and_then(|failure| failure.output.clone());
            journal.cut_short = true;
            return Err(error);
        }
    };
    let status = output.status;
    journal.output = Some(output.clone());
    if params.success_rc.contains(&status) {
        return Ok(());
    }
    if status == 0 {
        let detail = format!(
            "the command ended with status 0, which is not in success_rc {:?}",
            params.success_rc
        );
        return Err(Failure::new(Kind::CommandFailed, host.location(), detail).into());
    }
    output.succeed(&host.location(), "the command").map(|_| ())
}

fn command(params: &Params) -> Command {
    let command = match &params.what {
        What::Program { argv, stdin } => Command::new(argv.iter().cloned()).stdin(stdin.clone()),
        What::Script(text) => Command::script(text.clone()),
    };
    let environment = params
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Command {
        environment,
        chdir: params.chdir.clone(),
        ..command
    }
    .within(Duration::from_secs(params.timeout))
}

/// The sentence that says why the command need not run; `None`: it must.
fn needless(params: &Params, host: &dyn Host) -> Result<Option<String>> {
    if let Some(path) = &params.creates
        && exists(host, path)?
    {
        return Ok(Some(format!("nothing to do: {path} exists")));
    }
    if let Some(path) = &params.removes
        && !exists(host, path)?
    {
        return Ok(Some(format!("nothing to do: there is no {path}")));
    }
    Ok(None)
}

fn exists(host: &dyn Host, path: &str) -> Result<bool> {
    let output = host.run(&Command::new(["test", "-e", path]))?;
    match output.status {
        0 => Ok(true),
        1 => Ok(false),
        _ => output
            .succeed(&host.location(), &format!("looking for {path}"))
            .map(|_| false),
    }
}

fn ran(output: &Output, cut_short: bool) -> Ran {
    let (stdout, stderr) = (output.text(), output.error_text());
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    Ran {
        rc: (!cut_short).then_some(output.status),
        stdout_lines: lines(&stdout),
        stderr_lines: lines(&stderr),
        stdout,
        stderr,
        truncated: output.truncated,
        delta: (output.took.as_secs_f64() * 1000.0).round() / 1000.0,
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::PctExec);
}
