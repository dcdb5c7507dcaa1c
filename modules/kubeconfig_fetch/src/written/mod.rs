//! `state: written`: a cluster's kubeconfig put into the file of a user, beside whatever else is in it.

pub(crate) mod dest;
mod merge;
#[cfg(test)]
mod merge_world;
#[cfg(test)]
mod overwrite_tests;
pub(crate) mod plan;
mod show;
pub(crate) mod state;
mod view;

pub(crate) use plan::Step;
pub(crate) use state::State;

use crate::credentials::{Authorities, Credentials};
use crate::kubeconfig::Kubeconfig;
use crate::params::Written;
use crate::reach::{self, Api, Cause};
use crate::report::{Fingerprints, Journal};
use anyhow::{Context, Result, anyhow, bail};
use host::{Command, Host};
use merge::{Sources, merge};
use serde::Serialize;
use state::{BACKUP, Facts, LOOK, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;
use view::{Document, View};

/// The content as state: read hands it over, in messages.
const CONTENT: &str = "content";

#[derive(Serialize)]
pub struct Returned {
    dest: String,
    context: String,
    command: String,
    server: String,
    subject: String,
    expiry: String,
    days_left: i64,
    fingerprints: Fingerprints,
    reachable: Option<bool>,
    cause: Option<Cause>,
    backup: Option<String>,
    changes: Vec<String>,
    summary: [String; 2],
}

pub(crate) fn observe<A: Api>(params: &Written, host: &dyn Host) -> Result<State> {
    let content = params.content.expose().as_bytes();
    let credentials = Credentials::read(content, CONTENT, &Authorities::default())?;
    let name = name(params)?;
    let home = match &params.home {
        None if dest::needs_home(params) => Some(home(host)?),
        _ => None,
    };
    let paths = dest::paths(params, &name, home.as_deref())?;
    let facts = look(host, &paths.dest)?;
    let before = read(host, &paths.dest, &facts)?;
    let (view, unreadable) = look_around(host, &paths, before.as_deref())?;
    let unmentioned = match &paths.unmentioned {
        Some(path) if *path != paths.dest => document(host, path).ok().flatten(),
        _ => None,
    };
    let kept = address_that_answers::<A>(params, &view, &credentials, &name)?;
    let sources = Sources {
        view: &view,
        ours: &credentials,
        name: &name,
        keep_address: kept.is_some(),
        replace: params.replace,
    };
    let keep_address = sources.keep_address;
    let verdict = match kept {
        Some(verdict) => verdict,
        None => ask::<A>(params, &credentials, &merge(sources).server)?,
    };
    Ok(State {
        credentials,
        name,
        paths,
        facts,
        before,
        view,
        unmentioned,
        unreadable,
        verdict,
        keep_address,
        replace: params.replace,
        now: host.now(),
    })
}

/// The file and the others of KUBECONFIG, with the certificates that they name; and which of the others cannot be read.
fn look_around(host: &dyn Host, paths: &dest::Paths, before: Option<&[u8]>) -> Result<(View, Vec<String>)> {
    let mut unreadable = Vec::new();
    let mut documents = paths.others.iter().filter_map(|path| {
        document(host, path)
            .map_err(|error| unreadable.push(format!("{error:#}")))
            .ok()
            .flatten()
    });
    let mut view = View {
        dest: None,
        others: documents.by_ref().collect(),
        files: BTreeMap::new(),
    };
    view.dest = parse(&paths.dest, before).map_err(|error| {
        anyhow!(
            "{}: {error:#}. It is left unchanged: repair it, move it away, or give another dest",
            host.location()
        )
    })?;
    for path in view.dest.iter().chain(&view.others).flat_map(view::referenced) {
        // A file that cannot be read says nothing of whose its entry is.
        if let Ok(Some(content)) = host.read(&path) {
            view.files.insert(path, content);
        }
    }
    Ok((view, unreadable))
}

/// As the user says, else as the content has it.
fn name(params: &Written) -> Result<String> {
    if let Some(name) = &params.name {
        return Ok(name.clone());
    }
    let config = Kubeconfig::parse(params.content.expose().as_bytes())?;
    let names = config
        .iter()
        .flat_map(|config| config.names(crate::kubeconfig::Kind::Context));
    let name = names
        .map(str::to_owned)
        .next()
        .context("content: it has no context")?;
    if name.contains(['/', '\0', '\n']) || name.starts_with('.') {
        bail!("content: its context {name:?} cannot be the name of a file: give name");
    }
    Ok(name)
}

/// Of the user that we run as, whatever the environment says.
fn home(host: &dyn Host) -> Result<String> {
    let command = Command::script("eval \"echo ~$(id -un)\"");
    let output = host
        .run(&command)?
        .succeed(&host.location(), "finding the home folder")?;
    let home = output.text().trim().to_owned();
    if !home.starts_with('/') {
        bail!(
            "{}: finding the home folder: {home:?} is none; give home",
            host.location()
        );
    }
    Ok(home)
}

fn look(host: &dyn Host, dest: &str) -> Result<Facts> {
    let output = host.run(&Command::new(["/bin/sh", "-c", LOOK, "sh", dest, BACKUP]))?;
    let output = output.succeed(&host.location(), &format!("checking {dest}"))?;
    Facts::parse(&output.text()).with_context(|| host.location())
}

fn read(host: &dyn Host, dest: &str, facts: &Facts) -> Result<Option<Vec<u8>>> {
    match &facts.file {
        None => Ok(None),
        Some(file) if file.is_file() => host.read(dest),
        Some(file) => bail!("{}: {dest} is not a file ({})", host.location(), file.mode),
    }
}

fn parse(path: &str, content: Option<&[u8]>) -> Result<Option<Document>> {
    let config = match content {
        None => None,
        Some(content) => Kubeconfig::parse(content).with_context(|| format!("reading {path}"))?,
    };
    Ok(config.map(|config| Document {
        path: path.to_owned(),
        config,
    }))
}

fn document(host: &dyn Host, path: &str) -> Result<Option<Document>> {
    let facts = look(host, path)?;
    let content = read(host, path, &facts)?;
    parse(path, content.as_deref())
}

/// The verdict on the address that the file has, where that is worth keeping.
fn address_that_answers<A: Api>(
    params: &Written,
    view: &View,
    credentials: &Credentials,
    name: &str,
) -> Result<Option<Verdict>> {
    let Some(address) = merge::address_to_try(view, credentials, name) else {
        return Ok(None);
    };
    let verdict = ask::<A>(params, credentials, &address)?;
    Ok((verdict == Verdict::Answers).then_some(verdict))
}

fn ask<A: Api>(params: &Written, credentials: &Credentials, server: &str) -> Result<Verdict> {
    if !params.verify {
        return Ok(Verdict::NotAsked);
    }
    let credentials = Credentials {
        server: server.to_owned(),
        ..credentials.clone()
    };
    let asked = reach::ask::<A>(&credentials, Duration::from_secs(params.verify_timeout))?;
    Ok(asked.map_or(Verdict::Answers, Verdict::Fails))
}

pub(crate) fn apply(host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    const MAKE: &str = "umask 077; mkdir -p -- \"$1\"";
    match step {
        Step::MakeFolder(path) => {
            let output = host.run(&Command::new(["/bin/sh", "-c", MAKE, "sh", path]))?;
            output.succeed(&host.location(), &format!("making the folder {path}"))?;
        }
        Step::Backup(file) => {
            host.write(file)?;
            journal.backup = Some(file.path.clone());
        }
        Step::Write { file, before, .. } => {
            if host.read(&file.path)? != *before {
                bail!(
                    "{}: {} was changed by somebody else meanwhile, and is left unchanged: run this again",
                    host.location(),
                    file.path
                );
            }
            host.write(file)?;
        }
        Step::RemoveBackup(path) | Step::RemoveLeftover(path) => host.remove(path)?,
    }
    journal.changed = true;
    Ok(())
}

pub(crate) fn report(before: &State, state: &State, journal: &Journal) -> Returned {
    let merged = plan::merged(state);
    let credentials = &state.credentials;
    let leaf = credentials.leaf();
    let (reachable, cause) = match &state.verdict {
        Verdict::NotAsked => (None, None),
        Verdict::Answers => (Some(true), None),
        Verdict::Fails(obstacle) => (Some(false), Some(obstacle.cause)),
    };
    let command = command(state, &merged);
    let (context, server) = (merged.context, merged.server);
    let (expiry, days_left) = (leaf.not_after_rfc3339(), leaf.days_left(state.now));
    let dest = state.paths.dest.clone();
    Returned {
        summary: [
            format!("{dest}: context {context}, {server}, valid until {expiry} ({days_left} days)"),
            format!("Try: {command}"),
        ],
        dest,
        context,
        command,
        server,
        subject: leaf.subject.clone(),
        expiry,
        days_left,
        fingerprints: Fingerprints::of(credentials),
        reachable,
        cause,
        backup: journal.backup.clone(),
        changes: plan::changes(before),
    }
}

/// The shortest command that asks this cluster.
fn command(state: &State, merged: &merge::Merged) -> String {
    let mut words = vec!["kubectl".to_owned()];
    let is_current = if state.paths.is_found {
        state.view.current().or(merged.config.current()) == Some(merged.context.as_str())
    } else {
        words.push(format!("--kubeconfig {}", quoted(&state.paths.dest)));
        merged.config.current() == Some(merged.context.as_str())
    };
    if !is_current {
        words.push(format!("--context {}", quoted(&merged.context)));
    }
    words.push("get nodes".to_owned());
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-@:+=~".contains(c))
    {
        return word.to_owned();
    }
    host::quote(word)
}
