//! What is to be done to the file. Pure.

use super::merge::{self, Merged, Sources, has_credentials, merge};
use super::show;
use super::state::{BACKUP, State, Verdict};
use super::view::{Document, View};
use crate::params::Written;
use ansible_module::{Diff, Plan};
use anyhow::{Context, Result, bail};
use host::FileToWrite;
use std::fmt;
use std::time::Duration;
use time::{OffsetDateTime, PrimitiveDateTime};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    MakeFolder(String),
    Backup(FileToWrite),
    Write {
        file: FileToWrite,
        /// What the plan was made for: nothing else is overwritten.
        before: Option<Vec<u8>>,
        what: &'static str,
    },
    RemoveBackup(String),
    RemoveLeftover(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeFolder(path) => write!(f, "make the folder {path}"),
            Self::Backup(file) => write!(f, "keep the old file in {}", file.path),
            Self::Write { file, what, .. } => write!(f, "{what} {}", file.path),
            Self::RemoveBackup(path) => write!(f, "remove the old backup {path}"),
            Self::RemoveLeftover(path) => write!(f, "remove {path}, which a run that was killed has left"),
        }
    }
}

pub(crate) fn plan(params: &Written, state: &State) -> Result<Plan<Step>> {
    let (facts, dest) = (&state.facts, &state.paths.dest);
    if let Some(file) = &facts.file
        && facts.me.0 != 0
        && facts.me.0 != file.owner.0
    {
        bail!(
            "{dest} belongs to the user with the id {}, and would not any more if it were replaced: run this as that user, or give another dest",
            file.owner.0
        );
    }
    let merged = merged(state);
    let found = state.view.dest.as_ref();
    let is_same = found.is_some_and(|document| document.config == merged.config);
    let content = match &state.before {
        Some(before) if is_same => before.clone(),
        _ => merged.config.to_text()?.into_bytes(),
    };
    let is_private = facts.file.as_ref().is_some_and(super::state::Ls::is_private);
    let mut plan = Plan {
        warnings: warnings(state, &merged),
        ..Plan::default()
    };
    // Nobody is writing one of them now: that is what the lock is for.
    let leftovers = facts.leftovers.iter().cloned();
    plan.steps.extend(leftovers.map(Step::RemoveLeftover));
    if is_same && is_private {
        return Ok(plan);
    }
    let what = match (&state.before, is_same) {
        (None, _) => "write",
        (_, false) => "renew the entries of this cluster in",
        (_, true) => "let nobody but its owner read",
    };
    let mut surplus = Vec::new();
    if facts.folder.is_none() {
        plan.steps.push(Step::MakeFolder(facts.folder_path().to_owned()));
    }
    if let Some(before) = state
        .before
        .as_ref()
        .filter(|before| params.backup && !is_same && !before.is_empty())
    {
        plan.steps
            .push(Step::Backup(private(state, backup_path(state)?, before.clone())));
        surplus = old_backups(params, state);
    }
    plan.diff.push(diff(state, &merged));
    plan.steps.push(Step::Write {
        file: private(state, dest.clone(), content),
        before: state.before.clone(),
        what,
    });
    plan.steps.extend(surplus.into_iter().map(Step::RemoveBackup));
    Ok(plan)
}

pub(crate) fn merged(state: &State) -> Merged {
    merge(sources(state, &state.view))
}

fn sources<'a>(state: &'a State, view: &'a View) -> Sources<'a> {
    Sources {
        view,
        ours: &state.credentials,
        name: &state.name,
        keep_address: state.keep_address,
        replace: state.replace,
    }
}

fn private(state: &State, path: String, content: Vec<u8>) -> FileToWrite {
    FileToWrite {
        owner: state.facts.owner(),
        ..FileToWrite::private(path, content)
    }
}

/// `config.backup-20260101T000000Z`: sorted by name is sorted by age, so none is older than one that is there.
fn backup_path(state: &State) -> Result<String> {
    let format = time::format_description::parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z")
        .context("a time format")?;
    let stamps = state.facts.backups.iter().filter_map(|name| stamp(name));
    let newest = stamps
        .filter_map(|stamp| PrimitiveDateTime::parse(stamp, &format).ok())
        .max();
    let now = OffsetDateTime::from(state.now);
    let at = newest.map_or(now, |newest| {
        now.max(newest.assume_utc() + Duration::from_secs(1))
    });
    Ok(format!("{}{BACKUP}{}", state.paths.dest, at.format(&format)?))
}

/// Only what is named as we name backups is one of ours.
fn stamp(name: &str) -> Option<&str> {
    let (_, stamp) = name.rsplit_once(BACKUP)?;
    let is_right = |(index, c): (usize, char)| match index {
        8 => c == 'T',
        15 => c == 'Z',
        _ => c.is_ascii_digit(),
    };
    (stamp.len() == 16 && stamp.char_indices().all(is_right)).then_some(stamp)
}

/// Those beyond the number to keep, once there is one more.
fn old_backups(params: &Written, state: &State) -> Vec<String> {
    let folder = state.paths.dest.rsplit_once('/').map_or("", |(folder, _)| folder);
    let backups: Vec<&String> = state
        .facts
        .backups
        .iter()
        .filter(|name| stamp(name).is_some())
        .collect();
    let surplus = (backups.len() + 1).saturating_sub(params.backup_keep);
    backups[..surplus]
        .iter()
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

fn diff(state: &State, merged: &Merged) -> Diff {
    let after = View {
        dest: Some(Document {
            path: state.paths.dest.clone(),
            config: merged.config.clone(),
        }),
        ..View::default()
    };
    let before = View {
        others: Vec::new(),
        ..state.view.clone()
    };
    let mode = |mode: &str| format!("mode     {mode}\n");
    let file = state.facts.file.as_ref();
    Diff {
        before_header: state.paths.dest.clone(),
        after_header: state.paths.dest.clone(),
        before: file.map_or_else(String::new, |file| {
            show::entries(&before, &merged.touched) + &mode(&file.mode)
        }),
        after: show::entries(&after, &merged.touched) + &mode("-rw-------"),
    }
}

/// The lines of the difference that are on one side only.
pub(crate) fn changes(state: &State) -> Vec<String> {
    let Diff { before, after, .. } = diff(state, &merged(state));
    let only = |sign: &str, these: &str, those: &str| -> Vec<String> {
        let lines = these
            .lines()
            .filter(|line| those.lines().all(|other| other != *line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    [only("-", &before, &after), only("+", &after, &before)].concat()
}

fn warnings(state: &State, merged: &Merged) -> Vec<String> {
    let mut warnings: Vec<String> = state
        .unreadable
        .iter()
        .map(|fault| format!("{fault}. kubectl will stumble over it"))
        .collect();
    let (leaf, server) = (state.credentials.leaf(), &merged.server);
    if leaf.days_left(state.now) < 0 {
        warnings.push(format!(
            "the client certificate has expired on {}",
            leaf.not_after_rfc3339()
        ));
    }
    warnings.extend(lookalike(state, merged));
    if let Some(document) = &state.unmentioned {
        let view = View {
            dest: Some(document.clone()),
            ..View::default()
        };
        let is_stale = merge(sources(state, &view)).config != document.config;
        if is_stale && has_credentials(&view, &state.credentials) {
            warnings.push(format!(
                "{}, which kubectl reads unless KUBECONFIG says otherwise, has entries of this cluster too and is left unchanged; to renew them there: -e k3s_kubeconfig_dest={}",
                document.path, document.path
            ));
        }
    }
    if let Verdict::Fails(obstacle) = &state.verdict {
        let url = reqwest::Url::parse(server).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or(server);
        let former = merged
            .former_servers
            .iter()
            .find(|former| !crate::server::is_same(former, server));
        let former = former.map_or_else(String::new, |former| {
            format!("; until now the file had {former}: -e k3s_kubeconfig_server={former} keeps that")
        });
        warnings.push(format!(
            "the kubeconfig is right, but the API server at {server} was not reached from this machine: {}. What to do: {}{former}",
            obstacle.detail,
            obstacle.advice(host)
        ));
    }
    warnings
}

/// A cluster that was set up anew under its old name looks just like another one of that name.
fn lookalike(state: &State, merged: &Merged) -> Option<String> {
    let is_known = has_credentials(&state.view, &state.credentials);
    let other = merge::lookalike(&state.view, &state.credentials, &state.name)?;
    (!is_known && !state.replace).then(|| {
        format!(
            "{}: the entry {other} has another authority than this cluster, so it is another cluster's and stays; this cluster is entered as {}. \
             If {other} was this cluster before it was set up anew: kubectl config delete-cluster {other}, and the same for its context and user, \
             or -e k3s_kubeconfig_replace=true where it is called {}",
            state.paths.dest, merged.context, state.name
        )
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
