//! The steps: each hands a program to the node and notes what came of it.

use crate::aim::{Proof, Readiness};
use crate::params::Params;
use crate::questions;
use crate::readiness;
use crate::record::Record;
use crate::report::{Journal, Phase};
use crate::run::done;
use crate::script;
use crate::state::{Asked, Paths, State};
use anyhow::{Context, Result, bail};
use host::{Failure, Host, Kind};
use k3s_node::{Facts, Setup};
use k3s_types::mask;
use std::time::{Duration, SystemTime};

pub(crate) fn gather(params: &Params, host: &dyn Host, at: &Paths, ask: bool) -> Result<State> {
    let output = host
        .run(&questions::all(at, ask).command(&at.binary))?
        .succeed(&host.location(), "checking k3s")?;
    let facts = Facts::parse(&output.stdout).with_context(|| format!("{}: checking k3s", host.location()))?;
    let asked = Asked {
        location: host.location(),
        now: seconds(host),
        at: at.clone(),
    };
    State::read(&facts, &asked, params.fresh()).with_context(|| format!("{}: checking k3s", host.location()))
}

fn seconds(host: &dyn Host) -> u64 {
    host.now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

pub(crate) fn save(params: &Params, host: &dyn Host, record: &Record, journal: &mut Journal) -> Result<()> {
    let command = script::save(params, &record.setup.binary, &record.to_text());
    done(host, &command, "saving the install record")?;
    journal.record = Some(record.clone());
    journal.phase = Phase::Saved;
    Ok(())
}

pub(crate) fn swap(
    params: &Params,
    host: &dyn Host,
    binary: &str,
    staged: Option<&str>,
    journal: &mut Journal,
) -> Result<()> {
    let staged = staged
        .or(journal.staged.as_deref())
        .context("the fetch left no binary")?;
    let swapped = done(
        host,
        &script::swap(params, binary, staged),
        "putting the new binary in place",
    );
    // The program fails before the rename or not at all; whether an interrupted one has renamed is unknown.
    let refused = |error: &anyhow::Error| {
        matches!(
            Failure::of(error),
            Some(Failure {
                kind: Kind::CommandFailed,
                ..
            })
        )
    };
    if !swapped.as_ref().is_err_and(refused) {
        journal.phase = Phase::Changing;
    }
    swapped.map(|_| ())
}

pub(crate) fn run_script(
    params: &Params,
    host: &dyn Host,
    setup: &Setup,
    have_binary: bool,
    links: bool,
    journal: &mut Journal,
) -> Result<()> {
    journal.phase = Phase::Changing;
    let output = host.run(&script::install(params, setup, have_binary, links))?;
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
        return Err(Failure::new(Kind::CommandFailed, host.location(), detail).into());
    }
    Ok(())
}

fn secrets(setup: &Setup) -> Vec<String> {
    let variables = setup.variables();
    mask::values(&setup.args, variables.iter())
}

pub(crate) fn prove(params: &Params, host: &dyn Host, proof: &Proof, journal: &mut Journal) -> Result<()> {
    let found = gather(params, host, &proof.paths, false)?;
    let differences = differences(params, proof, &found);
    if !differences.is_empty() {
        bail!(
            "{}: the install script did not keep what was there: {}",
            host.location(),
            differences.join("; ")
        );
    }
    journal.phase = Phase::Proven;
    journal.proven = true;
    Ok(())
}

fn differences(params: &Params, proof: &Proof, found: &State) -> Vec<String> {
    let mut differences = match found.units.on_disk_of(proof.setup.role) {
        Err(why) => vec![format!("{} cannot be read: {why}", proof.setup.unit_path())],
        Ok(None) => vec![format!("there is no {}", proof.setup.unit_path())],
        Ok(Some(setup)) => proof.setup.differences(&setup),
    };
    let other = proof.setup.role.other();
    if found.units[&other].text.is_some() {
        differences.push(format!("a unit {} has appeared", found.units[&other].name));
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

pub(crate) fn restart(params: &Params, host: &dyn Host, setup: &Setup, journal: &mut Journal) -> Result<()> {
    let now = seconds(host);
    if let Some(record) = &mut journal.record {
        record.proven_at = Some(now);
    }
    let record = journal.record.as_ref().map(Record::to_text);
    journal.phase = Phase::Proven;
    done(
        host,
        &script::restart(params, setup, record.as_deref()),
        &format!("restarting {}", setup.name),
    )?;
    journal.restarted_at = Some(now);
    Ok(())
}

pub(crate) fn wait(
    params: &Params,
    host: &dyn Host,
    wanted: &Readiness,
    journal: &mut Journal,
) -> Result<()> {
    journal.phase = Phase::Proven;
    journal.secrets = secrets(&wanted.setup);
    journal.unit = Some(wanted.setup.name.clone());
    let since = wanted.since.or(journal.restarted_at).unwrap_or(0);
    let (limit, settle) = (
        Duration::from_secs(params.timeout),
        params.settle.map(Duration::from_secs),
    );
    journal.ready = Some(readiness::wait(host, wanted, since, limit, settle)?);
    journal.phase = Phase::Ready;
    Ok(())
}

pub(crate) fn drop_record(
    params: &Params,
    host: &dyn Host,
    binary: &str,
    journal: &mut Journal,
) -> Result<()> {
    done(
        host,
        &script::drop_record(params, binary),
        "removing the install record",
    )?;
    journal.dropped = true;
    Ok(())
}
