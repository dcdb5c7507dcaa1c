//! `k3s_install`: install or upgrade k3s through the standard script, with nothing lost.
//!
//! The script deletes unit and environment file and writes them anew from what it is told this time. So all of it is
//! read first and kept in the container (the install record), told again, and compared afterwards (the proof). The
//! restart does not block; what counts is what node and Lease say then.

mod arrival;
mod env_file;
mod facts;
mod mask;
mod node;
mod params;
mod plan;
mod record;
mod refusals;
mod report;
mod script;
mod settings;
mod setup;
mod state;
mod unit;
mod words;

pub use params::{Params, Script, Wanted};
pub use plan::Step;
pub use refusals::Refusal;
pub use report::{Journal, Returned};
pub use setup::Role;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, anyhow, bail};
use facts::Facts;
use host::{Command, Failure, Host, Kind, pct};
use plan::{Act, Arrival, Proof};
use record::Record;
use report::Phase;
use script::Fetch;
use setup::Setup;
use state::{Asked, Places};
use std::time::{Duration, SystemTime};

pub struct K3sInstall;

/// Where things are follows from what is read there; twice is enough unless somebody changes it meanwhile.
const LOOKS: usize = 3;

impl Module for K3sInstall {
    const NAME: &'static str = "k3s_install";
    const DOC: &'static str = include_str!("../k3s_install.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        if let Some(vmid) = params.vmid {
            check_container(host.outside(), vmid)?;
        }
        let mut at = Places::usual(params.node_name.as_deref());
        let mut state = gather(params, host, &at, true)?;
        for _ in 1..LOOKS {
            let hostname_sufficed = at.node.is_empty() && state.asked == state.places.node;
            if state.places == at
                || (hostname_sufficed
                    && state.places
                        == (Places {
                            node: state.asked.clone(),
                            ..at.clone()
                        }))
            {
                break;
            }
            at = state.places.clone();
            state = gather(params, host, &at, true)?;
        }
        Ok(state)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        match &step.0 {
            Act::Fetch { fetch: wanted, .. } => fetch(params, host, wanted, journal),
            Act::SaveRecord(record) => save(params, host, record, journal),
            Act::Swap { binary, staged, .. } => {
                let staged = staged
                    .as_ref()
                    .or(journal.staged.as_ref())
                    .context("the fetch left no binary")?
                    .clone();
                done(
                    host,
                    &script::swap(params, binary, &staged),
                    "putting the new binary in place",
                )?;
                journal.phase = Phase::Changing;
                Ok(())
            }
            Act::RunScript { setup, have_binary } => run_script(params, host, setup, *have_binary, journal),
            Act::Prove(proof) => prove(params, host, proof, journal),
            Act::Restart { setup } => restart(params, host, setup, journal),
            Act::Wait(arrival) => wait(params, host, arrival, journal),
            Act::DropRecord { binary } => done(
                host,
                &script::drop_record(params, binary),
                "removing the install record",
            )
            .map(|_| ()),
        }
    }

    fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        report::report(params, before, after, journal)
    }

    fn recover(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> Option<String> {
        match journal.phase {
            Phase::Untouched => None,
            Phase::Saved => Some(forget(params, host, before, journal)),
            Phase::Changing => Some(put_back(params, host, before, journal)),
            Phase::Proven => Some(left(host, journal)),
        }
    }
}

/// The container must run, and no task of Proxmox may hold it: a snapshot would freeze us half-way.
fn check_container(outside: &dyn Host, vmid: u32) -> Result<()> {
    let status = pct::status(outside, vmid)?;
    if let Some(lock) = &status.lock {
        return Err(pct::locked(outside, vmid, lock).into());
    }
    if !status.running {
        let detail = format!("container {vmid} is stopped: start it with `pct start {vmid}`");
        return Err(Failure::new(Kind::ContainerStopped, outside.place(), detail).into());
    }
    Ok(())
}

fn gather(params: &Params, host: &dyn Host, at: &Places, ask: bool) -> Result<State> {
    let output = host
        .run(&script::gather(at, ask))?
        .succeed(&host.place(), "looking at k3s")?;
    let facts = Facts::parse(&output.stdout).with_context(|| format!("{}: looking at k3s", host.place()))?;
    let asked = Asked {
        place: host.place(),
        now: seconds(host),
        at: at.clone(),
    };
    State::read(&facts, &asked, params.fresh()).with_context(|| format!("{}: looking at k3s", host.place()))
}

fn seconds(host: &dyn Host) -> u64 {
    host.now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Runs a program that must succeed, and returns what it printed.
fn done(host: &dyn Host, command: &Command, doing: &str) -> Result<String> {
    Ok(host
        .run(command)?
        .succeed(&host.place(), doing)?
        .text()
        .trim()
        .to_owned())
}

fn fetch(params: &Params, host: &dyn Host, wanted: &Fetch, journal: &mut Journal) -> Result<()> {
    let text = match &params.script {
        Script::Path(path) if wanted.script => Some(local_script(host.outside(), path)?),
        _ => None,
    };
    let staged = done(
        host,
        &script::fetch(params, wanted, text.as_deref()),
        "fetching ahead",
    )?;
    journal.staged = (!staged.is_empty()).then_some(staged);
    Ok(())
}

fn local_script(outside: &dyn Host, path: &str) -> Result<String> {
    let content = outside.read(path)?.with_context(|| {
        format!(
            "{}: reading the install script {path}: there is no such file",
            outside.place()
        )
    })?;
    String::from_utf8(content).map_err(|_| {
        anyhow!(
            "{}: reading the install script {path}: it is no text",
            outside.place()
        )
    })
}

fn save(params: &Params, host: &dyn Host, record: &Record, journal: &mut Journal) -> Result<()> {
    let command = script::save(params, &record.setup.binary, &record.to_text());
    done(host, &command, "saving the install record")?;
    journal.record = Some(record.clone());
    journal.phase = Phase::Saved;
    Ok(())
}

fn run_script(
    params: &Params,
    host: &dyn Host,
    setup: &Setup,
    have_binary: bool,
    journal: &mut Journal,
) -> Result<()> {
    journal.phase = Phase::Changing;
    let output = host.run(&script::install(params, setup, have_binary))?;
    let said = mask::scrub(
        &format!("{}{}", output.text(), output.error_text()),
        &secrets(setup),
    );
    journal.script_output = said.lines().map(str::to_owned).collect();
    if !output.ok() {
        let end = said
            .lines()
            .rev()
            .take(8)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n");
        let detail = format!("the install script ended with status {}: {end}", output.status);
        return Err(Failure::new(Kind::CommandFailed, host.place(), detail).into());
    }
    Ok(())
}

fn secrets(setup: &Setup) -> Vec<String> {
    let variables = setup.variables();
    mask::values(&setup.args, variables.iter())
}

fn prove(params: &Params, host: &dyn Host, proof: &Proof, journal: &mut Journal) -> Result<()> {
    let found = gather(params, host, &proof.places, false)?;
    let differences = differences(params, proof, &found);
    if !differences.is_empty() {
        bail!(
            "{}: the install script did not keep what was there: {}",
            host.place(),
            differences.join("; ")
        );
    }
    journal.phase = Phase::Proven;
    journal.proven = true;
    Ok(())
}

fn differences(params: &Params, proof: &Proof, found: &State) -> Vec<String> {
    let mut differences = match found.on_disk_of(proof.setup.role) {
        Err(why) => vec![format!("{} cannot be read: {why}", proof.setup.unit_path())],
        Ok(None) => vec![format!("there is no {}", proof.setup.unit_path())],
        Ok(Some(setup)) => proof.setup.differences(&setup),
    };
    let other = proof.setup.role.other();
    if found.units[&other].text.is_some() {
        differences.push(format!("a unit {} has appeared", other.unit()));
    }
    if found.config_hashes != proof.config_hashes {
        differences.push("the configuration files have changed meanwhile".to_owned());
    }
    if found.binary.version.as_ref() != Some(&params.version) {
        let is = found
            .binary
            .version
            .as_ref()
            .map_or("none".to_owned(), ToString::to_string);
        differences.push(format!("the binary's version is {is}"));
    }
    differences
}

fn restart(params: &Params, host: &dyn Host, setup: &Setup, journal: &mut Journal) -> Result<()> {
    let now = seconds(host);
    if let Some(record) = &mut journal.record {
        record.proven_at = Some(now);
    }
    let record = journal.record.as_ref().map(Record::to_text);
    journal.phase = Phase::Proven;
    done(
        host,
        &script::restart(params, setup, record.as_deref()),
        &format!("restarting {}", setup.role.unit()),
    )?;
    journal.restarted_at = Some(now);
    Ok(())
}

fn wait(params: &Params, host: &dyn Host, arrival: &Arrival, journal: &mut Journal) -> Result<()> {
    journal.phase = Phase::Proven;
    journal.secrets = secrets(&arrival.setup);
    journal.unit = Some(arrival.setup.role.unit());
    let since = arrival.since.or(journal.restarted_at).unwrap_or(0);
    let (limit, settle) = (
        Duration::from_secs(params.timeout),
        Duration::from_secs(params.settle),
    );
    journal.arrived = Some(arrival::wait(host, arrival, since, limit, settle)?);
    Ok(())
}

/// A record that we began and that nothing followed would only be in the way.
fn forget(params: &Params, host: &dyn Host, before: &State, journal: &Journal) -> String {
    let binary = journal
        .record
        .as_ref()
        .map_or(setup::DEFAULT_BINARY, |record| &record.setup.binary);
    if before.record().is_some() {
        return "nothing more was changed; the install record of the interrupted run is kept, and the same command takes it up".to_owned();
    }
    match done(
        host,
        &script::drop_record(params, binary),
        "removing the install record",
    ) {
        Ok(_) => "nothing was changed".to_owned(),
        Err(error) => format!("nothing was changed, but the install record stays ({error:#})"),
    }
}

/// Unit and environment as they were; the restart is left to whoever has seen what happened.
fn put_back(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> String {
    let Some((setup, unit)) = journal
        .record
        .as_ref()
        .and_then(|record| Some((&record.setup, record.setup.unit.as_ref()?)))
    else {
        return format!(
            "the fresh install stopped half-way; its record is {} and the same command takes it up",
            record::PATH
        );
    };
    let other = setup.role.other();
    let intruder = before.units[&other].text.is_none().then(|| other.unit());
    let what = format!("{} and its environment file", setup.unit_path());
    let command = script::restore(params, setup, unit, intruder);
    let put_back = match done(host, &command, "putting back unit and environment") {
        Ok(_) => {
            journal.restored = true;
            format!("{what} were put back as they were, and k3s was not restarted")
        }
        Err(error) => format!(
            "{what} could not be put back ({error:#}); they are safe in {}",
            record::PATH
        ),
    };
    format!("{put_back}; the binary may be the new one already, and the same command takes it up")
}

/// After the proof nothing is taken back: what runs then is for the operator to see.
fn left(host: &dyn Host, journal: &Journal) -> String {
    let Some(unit) = journal.unit else {
        return format!(
            "unit and environment are proven; the install record stays in {} and the same command takes it up",
            record::PATH
        );
    };
    let output = host
        .run(&script::journal(unit))
        .map(|output| output.text())
        .unwrap_or_default();
    let lines = mask::scrub(&output, &journal.secrets);
    let lines: Vec<&str> = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    format!(
        "role, arguments and environment are in order and the new version is installed, but it has not been seen to run; look with `journalctl -u {unit}` and, once the cause is gone, run the same command again (last lines of the journal: {})",
        if lines.is_empty() {
            "none".to_owned()
        } else {
            lines.join(" | ")
        }
    )
}
