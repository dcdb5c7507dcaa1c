//! What to do about it. Pure: no host, no clock.

use crate::aim::{Aim, Proof, Readiness};
use crate::airgap;
use crate::params::{LocalFile, Params, Script, Wanted};
use crate::record::Record;
use crate::refusals;
use crate::script::{self, Fetch};
use crate::state::{Paths, State};
use ansible_module::{Diff, Plan, Refusal};
use anyhow::{Result, bail};
use k3s_node::{Setup, env_file};
use k3s_types::K3sVersion;
use k3s_types::mask;
use std::fmt::{self, Write as _};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(pub(crate) Act);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Fetch {
        fetch: Fetch,
        version: K3sVersion,
    },
    Images {
        file: LocalFile,
        dest: String,
        binary: String,
    },
    SaveRecord(Box<Record>),
    Swap {
        binary: String,
        staged: Option<String>,
        version: K3sVersion,
    },
    RunScript {
        setup: Box<Setup>,
        have_binary: bool,
        /// Whether it makes kubectl and the like of k3s.
        links: bool,
    },
    Prove(Box<Proof>),
    Restart {
        setup: Box<Setup>,
    },
    Wait(Box<Readiness>),
    DropRecord {
        binary: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch {
                fetch: Fetch { binary: false, .. },
                ..
            } => f.write_str("fetch the install script"),
            Self::Fetch {
                fetch: Fetch { script: false, .. },
                version,
            } => write!(f, "fetch and verify k3s {version}"),
            Self::Fetch { version, .. } => {
                write!(f, "fetch the install script, fetch and verify k3s {version}")
            }
            Self::Images { file, dest, .. } => write!(f, "bring {} and verify it, as {dest}", file.path),
            Self::SaveRecord(record) => write!(
                f,
                "save role, arguments and environment of the {}",
                record.setup.role
            ),
            Self::Swap { binary, version, .. } => write!(f, "put k3s {version} in place as {binary}"),
            Self::RunScript {
                setup,
                have_binary: true,
                ..
            } => write!(f, "run the install script for {}", setup.name),
            Self::RunScript { setup, .. } => write!(
                f,
                "run the install script for {}, which downloads k3s itself",
                setup.name
            ),
            Self::Prove(_) => {
                f.write_str("prove that role, arguments, environment and configuration are as before")
            }
            Self::Restart { setup } => write!(f, "restart {}", setup.name),
            Self::Wait(wanted) => write!(f, "wait for {wanted}"),
            Self::DropRecord { .. } => f.write_str("remove the install record"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let (acts, refusals) = decide(params, state);
    if !refusals.is_empty() {
        bail!("nothing was touched. {}", Refusal::list(&refusals));
    }
    let mut plan = Plan::of(acts.into_iter().map(Step).collect());
    if !plan.steps.is_empty() && params.state == Wanted::Present {
        plan.diff = diff(params, state);
        plan.warnings.extend(bystanders(state));
    }
    Ok(plan)
}

/// Units with k3s's name that are none of its services: mentioned where something is changed, and left alone.
fn bystanders(state: &State) -> Option<String> {
    let named: Vec<&str> = state
        .units
        .bystanders
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("k3s"))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "{} of {}: no k3s runs in it, left alone",
            named.join(", "),
            state.location
        )
    })
}

/// The steps, or the reasons why there are none.
pub(crate) fn decide(params: &Params, state: &State) -> (Vec<Act>, Vec<Refusal>) {
    let mut refusals = refusals::of_node(params, state);
    if !refusals.is_empty() {
        return (Vec::new(), refusals);
    }
    if params.state == Wanted::Prefetched {
        return prefetch(params, state);
    }
    let before = state.before().ok().flatten();
    if before.is_none() {
        refusals = refusals::of_fresh(params, state);
    }
    let (true, Some(aim)) = (refusals.is_empty(), aim(params, before)) else {
        return (Vec::new(), refusals);
    };
    let steps = install(params, state, &aim);
    if !steps.is_empty() {
        refusals = refusals::of_install(params, state, &aim);
    }
    if refusals.is_empty() {
        (steps, refusals)
    } else {
        (Vec::new(), refusals)
    }
}

/// The downloads. Where k3s is installed, what the installation would refuse is refused now: the node is not drained yet.
fn prefetch(params: &Params, state: &State) -> (Vec<Act>, Vec<Refusal>) {
    let steps = downloads(params, state);
    let aim = state
        .before()
        .ok()
        .flatten()
        .and_then(|before| aim(params, Some(before)));
    let refusals = match aim {
        Some(aim) if !install(params, state, &aim).is_empty() => refusals::of_install(params, state, &aim),
        _ if !steps.is_empty() => refusals::of_download(params, state),
        _ => Vec::new(),
    };
    if refusals.is_empty() {
        (steps, refusals)
    } else {
        (Vec::new(), refusals)
    }
}

fn downloads(params: &Params, state: &State) -> Vec<Act> {
    let mut steps: Vec<Act> = images(params, state, &state.paths.binary).into_iter().collect();
    let binary =
        !has_binary(params, state) && script::staged_for(&params.version, &state.binary.staged).is_none();
    if !binary {
        return steps;
    }
    let fetch = Fetch {
        binary,
        script: needs_script(params, state),
        ..fetch(state)
    };
    steps.push(Act::Fetch {
        fetch,
        version: params.version.clone(),
    });
    steps
}

fn images(params: &Params, state: &State, binary: &str) -> Option<Act> {
    airgap::missing_images(params, state).map(|(file, dest)| Act::Images {
        file,
        dest,
        binary: binary.to_owned(),
    })
}

fn fetch(state: &State) -> Fetch {
    let variables = state
        .before()
        .ok()
        .flatten()
        .map(|setup| setup.variables())
        .unwrap_or_default();
    let proxies = variables
        .into_iter()
        .filter(|(key, _)| env_file::is_proxy(key))
        .collect();
    Fetch {
        script: false,
        binary: false,
        path: state.paths.binary.clone(),
        proxies,
    }
}

fn has_binary(params: &Params, state: &State) -> bool {
    state.binary.version.as_ref() == Some(&params.version)
}

/// A script on our side costs no download, and may have been edited since.
fn needs_script(params: &Params, state: &State) -> bool {
    matches!(params.script, Script::Path(_))
        || state.binary.script_source.as_deref() != Some(script::source_mark(params).as_str())
}

/// What was before, or what is asked for where nothing was.
fn aim(params: &Params, before: Option<Setup>) -> Option<Aim> {
    let setup = match before {
        // A fresh install that was interrupted: the arguments of this run replace those of the record.
        Some(setup) if setup.unit.is_none() => params.fresh().or(Some(setup)),
        Some(setup) => Some(setup),
        None => params.fresh(),
    };
    Some(Aim {
        setup: setup?,
        version: params.version.clone(),
    })
}

fn install(params: &Params, state: &State, aim: &Aim) -> Vec<Act> {
    let before = state.record();
    let on_disk = state.units.on_disk().ok().flatten();
    // Without a record the files are what was before, and so they are as they should be.
    let files_stand = match (before, &on_disk) {
        (Some(record), Some(found)) => record.proven_at.is_some() && aim.setup.differences(found).is_empty(),
        (None, found) => found.is_some(),
        (Some(_), None) => false,
    };
    if !files_stand || !has_binary(params, state) {
        return installation(params, state, aim);
    }
    let mut steps = Vec::new();
    if needs_restart(state, aim, before) {
        steps.push(Act::Restart {
            setup: Box::new(aim.setup.clone()),
        });
        steps.push(wait(state, aim, None));
    } else if let Some(record) = before {
        steps.push(wait(state, aim, record.proven_at));
    } else if state.running() != Some(&aim.version) {
        steps.push(wait(state, aim, Some(0)));
    }
    if before.is_some() {
        steps.push(Act::DropRecord {
            binary: aim.setup.binary.clone(),
        });
    }
    steps
}

/// Whether the process that runs was started before the last change of its files.
fn needs_restart(state: &State, aim: &Aim, record: Option<&Record>) -> bool {
    let show = &state.units[&aim.setup.role].show;
    if !show.is_alive() {
        return true;
    }
    match (record.and_then(|record| record.proven_at), state.running()) {
        (Some(proven_at), _) => show.started < proven_at,
        (None, Some(running)) => *running != aim.version,
        // The API does not answer: what is older than the binary does not run it.
        (None, None) => show.started < state.binary.changed,
    }
}

fn wait(state: &State, aim: &Aim, since: Option<u64>) -> Act {
    let paths = Paths {
        binary: aim.setup.binary.clone(),
        ..state.paths.clone()
    };
    Act::Wait(Box::new(Readiness {
        setup: aim.setup.clone(),
        paths,
        version: aim.version.clone(),
        since,
    }))
}

/// All steps of an installation. Downloads come first: where one fails, nothing has been touched.
fn installation(params: &Params, state: &State, aim: &Aim) -> Vec<Act> {
    let binary = aim.setup.binary.clone();
    let version = || aim.version.clone();
    let staged = script::staged_for(&aim.version, &state.binary.staged).cloned();
    let swap = !has_binary(params, state) && (params.prefetch || staged.is_some());
    let wanted = Fetch {
        script: needs_script(params, state),
        binary: swap && staged.is_none(),
        path: binary.clone(),
        ..fetch(state)
    };
    let mut steps = Vec::new();
    if wanted.script || wanted.binary {
        steps.push(Act::Fetch {
            fetch: wanted,
            version: version(),
        });
    }
    steps.extend(images(params, state, &binary));
    let record = Record {
        setup: aim.setup.clone(),
        version: aim.version.to_string(),
        run_id: params.run_id.clone(),
        saved_at: state.now,
        proven_at: None,
    };
    steps.push(Act::SaveRecord(Box::new(record)));
    if swap {
        steps.push(Act::Swap {
            binary: binary.clone(),
            staged,
            version: version(),
        });
    }
    let setup = || Box::new(aim.setup.clone());
    steps.push(Act::RunScript {
        setup: setup(),
        have_binary: swap || has_binary(params, state),
        links: aim.setup.unit.is_none() || state.has_links,
    });
    let proof = Proof {
        setup: aim.setup.clone(),
        config_hashes: state.config_hashes.clone(),
        paths: Paths {
            binary: binary.clone(),
            ..state.paths.clone()
        },
    };
    steps.push(Act::Prove(Box::new(proof)));
    steps.push(Act::Restart { setup: setup() });
    steps.push(wait(state, aim, None));
    steps.push(Act::DropRecord { binary });
    steps
}

/// Before and after in words; the unit's text is the script's business.
fn diff(params: &Params, state: &State) -> Vec<Diff> {
    let before = state.before().ok().flatten();
    let Some(aim) = aim(params, before.clone()) else {
        return Vec::new();
    };
    let header = format!("k3s in {}", state.location);
    let version =
        |version: Option<&K3sVersion>| version.map_or_else(|| "none".to_owned(), ToString::to_string);
    let text = |setup: Option<&Setup>, installed: String, running: String| {
        let mut text = format!("installed: {installed}\nrunning: {running}\n");
        if let Some(setup) = setup {
            text.push_str(&described(setup));
        }
        text
    };
    let (installed, running) = (version(state.binary.version.as_ref()), version(state.running()));
    let target = aim.version.to_string();
    vec![Diff {
        before_header: header.clone(),
        after_header: header,
        before: text(before.as_ref(), installed, running),
        after: text(Some(&aim.setup), target.clone(), target),
    }]
}

fn described(setup: &Setup) -> String {
    let mut text = format!(
        "unit: {}\nrole: {}\nenabled: {}\n",
        setup.unit_path(),
        setup.role,
        setup.enabled
    );
    for arg in mask::arguments(&setup.args) {
        let _ = writeln!(text, "argument: {arg}");
    }
    for (key, value) in setup.variables() {
        let _ = writeln!(text, "environment: {key}={}", mask::variable(&key, &value));
    }
    text
}

#[cfg(test)]
mod tests;
