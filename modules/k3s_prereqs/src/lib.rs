//! `k3s_prereqs`: check and install what a node needs to run k3s.
//!
//! What can be had from inside (packages, `/dev/kmsg`) is put in place. What only the container's configuration or the
//! Proxmox host can give is named, with the exact line, and never given by itself: each such line loosens the container.

mod checks;
mod kubelet;
mod params;
mod plan;
mod questions;
mod report;
#[cfg(test)]
mod samples;
mod state;

pub use params::Params;
pub use plan::Step;
pub use report::Returned;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use host::{Command, Host, pct};
use k3s_node::{Changes, FOLDER, Facts, Probe, unit};
use state::{Family, UNIT, UNIT_NAME};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct K3sPrereqs;

const BINARY: &str = "/usr/local/bin/k3s";
/// The names of a package manager's answers.
const UPDATE: &str = "update";
const INSTALL: &str = "install";
/// As many of the last lines of an answer name a fault.
const LINES: usize = 6;

impl Module for K3sPrereqs {
    const NAME: &'static str = "k3s_prereqs";
    const DOC: &'static str = include_str!("../k3s_prereqs.yml");

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
        let outside = host.outside();
        let config = match params.vmid {
            Some(vmid) => {
                pct::is_free(outside, vmid)?;
                Some(pct::config(outside, vmid)?)
            }
            None => None,
        };
        let output = host
            .run(&questions::all(params).command(BINARY))?
            .succeed(&host.location(), "checking what k3s needs")?;
        Facts::parse(&output.stdout)
            .and_then(|facts| State::read(&facts, params, host.location(), outside.location(), config))
            .with_context(|| format!("{}: checking what k3s needs", host.location()))
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        match step {
            Step::Install { family, packages } => install(params, host, *family, packages),
            Step::MakeKmsg { keep, .. } => make_kmsg(params, host, *keep),
        }
    }

    fn report(params: &Params, before: &State, after: &State, (): &()) -> Returned {
        report::report(params, before, after)
    }
}

/// Asks nobody. dnf waits for another one until its time is over; apt-get has a limit of its own for that.
fn package_command(params: &Params, family: Family, packages: &[String]) -> Command {
    let wait = format!("DPkg::Lock::Timeout={}", params.package_lock_wait);
    let apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
    let (update, install): (Option<Vec<&str>>, Vec<&str>) = match family {
        Family::Debian => {
            let update = ["-o", "Acquire::Retries=2", "-o", &wait, "update"];
            let options = ["-y", "-o", &wait, "-o", "Dpkg::Options::=--force-confold"];
            let install = ["--no-install-recommends", "install"];
            (
                Some([&apt[..], &update].concat()),
                [&apt[..], &options, &install].concat(),
            )
        }
        Family::RedHat => (
            None,
            vec!["dnf", "-y", "-q", "--setopt=install_weak_deps=False", "install"],
        ),
    };
    let packages = packages.iter().map(String::as_str);
    let install: Vec<&str> = install.into_iter().chain(packages).collect();
    let none = BTreeMap::new();
    let changes = update.iter().fold(Changes::new(), |changes, argv| {
        changes.run_to_end(UPDATE, argv, &none)
    });
    changes
        .run_to_end(INSTALL, &install, &none)
        .end_answers()
        .command(params.lock_timeout, Duration::from_secs(params.package_timeout))
}

/// Why nothing could be installed. Lists that could not be fetched do not matter as long as the packages are known.
fn failure(answer: &Facts) -> Option<String> {
    let said = |name: &str| {
        let text = answer.lossy(name).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    };
    let status = answer.status(INSTALL);
    let update = (answer.status(UPDATE) != 0).then(|| format!("\napt-get update failed: {}", said(UPDATE)));
    (status != 0).then(|| {
        format!(
            "ended with status {status}: {}{}",
            said(INSTALL),
            update.unwrap_or_default()
        )
    })
}

fn install(params: &Params, host: &dyn Host, family: Family, packages: &[String]) -> Result<()> {
    let doing = format!("installing {}", packages.join(" "));
    let command = package_command(params, family, packages);
    let output = host.run(&command)?.succeed(&host.location(), &doing)?;
    let answer = Facts::parse(&output.stdout).with_context(|| format!("{}: {doing}", host.location()))?;
    if let Some(why) = failure(&answer) {
        bail!("{}: {doing} {why}", host.location());
    }
    // A package manager that says yes and installs nothing would be met again at the next run only.
    let output = host
        .run(&questions::all(params).command(BINARY))?
        .succeed(&host.location(), "looking for the packages")?;
    let facts = Facts::parse(&output.stdout)?;
    let state = State::read(&facts, params, host.location(), host.outside().location(), None)?;
    let missing = state.missing_packages(params);
    if !missing.is_empty() {
        bail!(
            "{}: the package manager succeeded, but {} is still not installed; run it there by hand and read what it says",
            host.location(),
            missing.join(", ")
        );
    }
    Ok(())
}

fn make_kmsg(params: &Params, host: &dyn Host, keep: bool) -> Result<()> {
    let command = kmsg_changes(keep).command(params.lock_timeout, Command::USUAL_LIMIT);
    host.run(&command)?
        .succeed(&host.location(), "making /dev/kmsg")?;
    let output = host
        .run(&Probe::new().opens("opens", "/dev/kmsg").command(BINARY))?
        .succeed(&host.location(), "opening /dev/kmsg")?;
    if !Facts::parse(&output.stdout)?.has("opens") {
        bail!(
            "{}: {UNIT_NAME} was started, but /dev/kmsg cannot be opened there; see `systemctl status {UNIT_NAME}`",
            host.location()
        );
    }
    Ok(())
}

fn kmsg_changes(keep: bool) -> Changes {
    let path = unit::path(UNIT_NAME);
    let changes = if keep {
        let before = format!("{FOLDER}/{UNIT_NAME}.before");
        Changes::new().own_folder().copy(&path, &before)
    } else {
        Changes::new()
    };
    changes
        .write(&path, 0o644, UNIT)
        .reload()
        .enable(UNIT_NAME)
        .restart_and_wait(UNIT_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_package_manager_gets_its_time_and_that_of_an_earlier_run() {
        let params = samples::params(
            json!({"vmid": 111, "package_timeout": 30, "package_lock_wait": 7, "lock_timeout": 11}),
        );
        let command = package_command(&params, Family::Debian, &["a".to_owned()]);
        assert_eq!(command.limit, Duration::from_secs(41));
        let text = String::from_utf8(command.stdin).unwrap();
        assert!(
            text.contains("'DPkg::Lock::Timeout=7'") && text.contains("patience='11'"),
            "{text}"
        );
    }

    fn answered(frames: &[(&str, &str)]) -> Option<String> {
        let frames = frames.iter().chain([&("end", "")]);
        let text: Vec<String> = frames
            .map(|(name, text)| format!("@{name} {}\n{text}\n", text.len()))
            .collect();
        failure(&Facts::parse(text.concat().as_bytes()).unwrap())
    }

    #[test]
    fn lists_that_cannot_be_fetched_count_only_where_the_install_fails() {
        let update = [("status:update", "100"), ("update", "E: no network")];
        let well = [("status:install", "0"), ("install", "done")];
        assert_eq!(answered(&[update[0], update[1], well[0], well[1]]), None);
        let failed = [("status:install", "100"), ("install", "E: no such package")];
        assert_eq!(
            answered(&[update[0], update[1], failed[0], failed[1]]).unwrap(),
            "ended with status 100: E: no such package\napt-get update failed: E: no network"
        );
        let fetched = [("status:update", "0"), ("update", "Hit:1")];
        assert_eq!(
            answered(&[fetched[0], fetched[1], failed[0], failed[1]]).unwrap(),
            "ended with status 100: E: no such package"
        );
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sPrereqs);
}
