//! Taking the steps.

use super::wait::wait;
use super::{Act, MARK, Service, Step, Way};
use anyhow::Result;
use host::{Failure, Host, Kind};
use k3s_node::Changes;
use serde::Serialize;
use std::time::Duration;

/// How many seconds another program of ours gets to end there.
const PATIENCE: u64 = 60;
/// The stop and the command each have a minute or two; the start does not block.
const ROTATE_LIMIT: Duration = Duration::from_mins(5);
const START_LIMIT: Duration = Duration::from_mins(2);
const STOP_SECONDS: &str = "120";
/// What `timeout` ends with.
const STOPPED_LATE: i32 = 124;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// None: nothing was renewed.
    pub way: Option<Way>,
    /// Seconds until k3s was seen to run again.
    pub seconds: Option<u64>,
}

/// Takes one step. `limit` is what a started k3s gets to come back. Where it fails, k3s has been started again, and
/// the error says whether it runs.
pub fn apply(host: &dyn Host, step: &Step, limit: Duration, done: &mut Done) -> Result<()> {
    let service = &step.service;
    match step.act {
        Act::Renew => {
            renew(host, service).map_err(|error| started_all_the_same(host, service, limit, error))?;
            done.way = Some(service.way());
        }
        Act::Start => start(host, service)?,
        Act::Wait { renewed } => {
            let began = host.elapsed();
            wait(host, service, renewed, limit)?;
            done.seconds = Some(host.elapsed().saturating_sub(began).as_secs());
            host.remove(MARK)?;
        }
    }
    Ok(())
}

fn renew(host: &dyn Host, service: &Service) -> Result<()> {
    let unit = &service.unit;
    let marked = Changes::new()
        .own_folder()
        .write(MARK, 0o600, &format!("{unit}\n"));
    match service.way() {
        Way::Command => rotate(host, service, marked),
        Way::Restart => run(
            host,
            &marked.restart(unit),
            START_LIMIT,
            &format!("restarting k3s of {unit}"),
        ),
    }
}

fn rotate(host: &dyn Host, service: &Service, marked: Changes) -> Result<()> {
    let unit = &service.unit;
    let stop = ["timeout", STOP_SECONDS, "systemctl", "stop", unit];
    let rotate = [
        &service.binary,
        "certificate",
        "rotate",
        "--data-dir",
        &service.data_dir,
    ];
    let changes = marked
        .start_at_the_end(unit)
        .run_or_end(&stop, &format!("stopping {unit}"))
        .run_or_end(&rotate, "`k3s certificate rotate`");
    let output = host.run(&changes.command(PATIENCE, ROTATE_LIMIT))?;
    if output.status == STOPPED_LATE {
        let detail = format!("{unit} did not stop within {STOP_SECONDS} s");
        return Err(Failure::new(Kind::CommandFailed, host.location(), detail).into());
    }
    let doing = format!("renewing the certificates of {unit}");
    output.succeed(&host.location(), &doing).map(|_| ())
}

fn start(host: &dyn Host, service: &Service) -> Result<()> {
    let unit = &service.unit;
    run(
        host,
        &Changes::new().start(unit),
        START_LIMIT,
        &format!("starting {unit}"),
    )
}

fn run(host: &dyn Host, changes: &Changes, limit: Duration, doing: &str) -> Result<()> {
    host.run(&changes.command(PATIENCE, limit))
        .and_then(|output| output.succeed(&host.location(), doing))
        .map(|_| ())
}

/// The changes start k3s when they end. Those that were killed did not, and starting twice does no harm.
fn started_all_the_same(
    host: &dyn Host,
    service: &Service,
    limit: Duration,
    error: anyhow::Error,
) -> anyhow::Error {
    let unit = &service.unit;
    let outcome = start(host, service)
        .and_then(|()| wait(host, service, false, limit))
        .and_then(|()| host.remove(MARK));
    let left = match outcome {
        Ok(()) => {
            format!("{unit} was started again and runs, with the certificates that it had or has recreated")
        }
        Err(failed) => format!(
            "{unit} may be stopped, since starting it failed too ({failed:#}): run `systemctl start {unit}` there, or this again, which starts it"
        ),
    };
    match Failure::of(&error) {
        Some(failure) => {
            let mut failure = failure.clone();
            failure.detail = format!("{}. {left}", failure.detail);
            failure.into()
        }
        None => error.context(left),
    }
}
