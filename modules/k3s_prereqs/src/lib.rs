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
use k3s_node::{Facts, Program};
use state::{Family, UNIT};
use std::time::Duration;

pub struct K3sPrereqs;

const BINARY: &str = "/usr/local/bin/k3s";

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
            .succeed(&host.place(), "checking what k3s needs")?;
        Facts::parse(&output.stdout)
            .and_then(|facts| State::read(&facts, params, host.place(), outside.place(), config))
            .with_context(|| format!("{}: checking what k3s needs", host.place()))
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        match step {
            Step::Install { family, packages } => install(params, host, *family, packages),
            Step::MakeKmsg { .. } => make_kmsg(params, host),
        }
    }

    fn report(params: &Params, before: &State, after: &State, (): &()) -> Returned {
        report::report(params, before, after)
    }
}

fn package_command(params: &Params, family: Family, packages: &[String]) -> Command {
    let body = match family {
        Family::Debian => include_str!("programs/apt.sh"),
        Family::RedHat => include_str!("programs/dnf.sh"),
    };
    Program::new(BINARY)
        .with("packages", &packages.join(" "))
        .with("lock_wait", &params.package_lock_wait.to_string())
        .end_after_turn(
            params.lock_timeout,
            body,
            Duration::from_secs(params.package_timeout),
        )
}

fn install(params: &Params, host: &dyn Host, family: Family, packages: &[String]) -> Result<()> {
    let names = packages.join(" ");
    let command = package_command(params, family, packages);
    host.run(&command)?
        .succeed(&host.place(), &format!("installing {names}"))?;
    // A package manager that says yes and installs nothing would be met again at the next run only.
    let output = host
        .run(&questions::all(params).command(BINARY))?
        .succeed(&host.place(), "looking for the packages")?;
    let facts = Facts::parse(&output.stdout)?;
    let state = State::read(&facts, params, host.place(), host.outside().place(), None)?;
    let missing = state.missing_packages(params);
    if !missing.is_empty() {
        bail!(
            "{}: the package manager succeeded, but {} is still not installed; run it there by hand and read what it says",
            host.place(),
            missing.join(", ")
        );
    }
    Ok(())
}

fn make_kmsg(params: &Params, host: &dyn Host) -> Result<()> {
    let command = Program::new(BINARY).with("unit_text", UNIT).end_after_turn(
        params.lock_timeout,
        include_str!("programs/kmsg.sh"),
        Command::USUAL_LIMIT,
    );
    host.run(&command)?
        .succeed(&host.place(), "making /dev/kmsg")
        .map(|_| ())
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
            text.contains("lock_wait='7'") && text.contains("patience='11'"),
            "{text}"
        );
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sPrereqs);
}
