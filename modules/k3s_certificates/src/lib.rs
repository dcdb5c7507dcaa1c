//! `k3s_certificates`: which certificates there are and how long they last; and new ones in time.

mod found;
mod kubeconfig;
mod params;
mod plan;
mod state;
mod summary;
mod text;
mod told;

pub use params::{Params, Wanted};
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use found::{All, Fault};
use host::{Command, Host, Waited, wait_until};
use k3s_certs::Standing;
use k3s_certs::rotation::{self, Done, Places, Way};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;
use told::Told;

pub struct K3sCertificates;

/// Some dozens of files are read and printed.
const GATHER_LIMIT: Duration = Duration::from_mins(2);
const PROVE_LIMIT: Duration = Duration::from_mins(1);
const PROVE_EVERY: Duration = Duration::from_secs(5);

#[derive(Serialize)]
pub struct Returned {
    certificates: Vec<Told>,
    expired: Vec<Told>,
    expiring: Vec<Told>,
    not_yet_valid: Vec<Told>,
    unreadable: Vec<Fault>,
    notes: Vec<String>,
    table: String,
    problem: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
}

#[derive(Serialize)]
struct Rotation {
    unit: &'static str,
    restarts: bool,
    rotated: bool,
    way: Option<Way>,
    seconds: Option<u64>,
}

impl Module for K3sCertificates {
    const NAME: &'static str = "k3s_certificates";
    const DOC: &'static str = include_str!("../k3s_certificates.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Done;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: (params.wanted == Wanted::Rotated).then_some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let all = match params.wanted {
            Wanted::Summary => All::default(),
            Wanted::Listed | Wanted::Rotated => gather(params, host)?,
        };
        let places = Places {
            data_dir: params.data_dir.clone(),
            kubeconfig: params.kubeconfig.clone(),
        };
        let service = match params.wanted {
            Wanted::Rotated => Some(rotation::look(host, &places)?),
            Wanted::Listed | Wanted::Summary => None,
        };
        Ok(State {
            all,
            now: host.now(),
            service,
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, done: &mut Done) -> Result<()> {
        match step {
            Step::Rotation(step) => rotation::apply(host, step, Duration::from_secs(params.timeout), done),
            Step::Prove => prove(params, host),
        }
    }

    fn report(params: &Params, before: &State, after: &State, done: &Done) -> Returned {
        let merged = after.merged(params);
        let of = |state: Standing| {
            let counted = told::distinct(&merged.certificates)
                .into_iter()
                .filter(|told| told.counts() && told.state == state);
            counted.cloned().collect()
        };
        Returned {
            expired: of(Standing::Expired),
            expiring: of(Standing::ExpiresSoon),
            not_yet_valid: of(Standing::NotYetValid),
            table: text::table(&merged, &params.data_dir),
            problem: told::problem(&merged.certificates, &merged.faults),
            rotation: before.service.as_ref().map(|service| Rotation {
                unit: service.role.unit(),
                restarts: plan::restarts(params, before, service),
                rotated: done.way.is_some(),
                way: done.way,
                seconds: done.seconds,
            }),
            certificates: merged.certificates,
            unreadable: merged.faults,
            notes: merged.notes,
        }
    }
}

fn gather(params: &Params, host: &dyn Host) -> Result<All> {
    let mut all = All::default();
    let node = params.kubeconfigs.is_none();
    if node || !params.paths.is_empty() {
        let output = host
            .run(&program(params, node))?
            .succeed(&host.place(), "reading the certificates")?;
        all = All::of_node(&output.text())
            .with_context(|| format!("{}: reading the certificates", host.place()))?;
    }
    for path in params.kubeconfigs.iter().flatten() {
        all.kubeconfig(host, path);
    }
    if node && all.found.is_empty() && all.faults.is_empty() {
        bail!(
            "{}: there is no certificate below {}: k3s is not installed here, or keeps its data elsewhere (data_dir)",
            host.place(),
            params.data_dir
        );
    }
    Ok(all)
}

/// The node's program with its input before it; nothing of it shows in a list of processes.
fn program(params: &Params, node: bool) -> Command {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut text = format!(
        "data={}\nkubeconfig={}\nnode={}\n{}main",
        quoted(&params.data_dir),
        quoted(&params.kubeconfig),
        if node { "yes" } else { "no" },
        include_str!("programs/gather.sh")
    );
    for path in &params.paths {
        let _ = write!(text, " {}", quoted(path));
    }
    text.push('\n');
    Command::script(text).within(GATHER_LIMIT)
}

/// The last files are written a moment after k3s answers.
fn prove(params: &Params, host: &dyn Host) -> Result<()> {
    let waited = wait_until(host, PROVE_LIMIT, PROVE_EVERY, || {
        let state = K3sCertificates::observe(params, host)?;
        let left = state
            .service
            .as_ref()
            .and_then(|service| plan::left_over(params, &state, service));
        Ok(left.map_or(Ok(()), Err))
    })?;
    match waited {
        Waited::Done(()) => Ok(()),
        Waited::GaveUp { missing, .. } => bail!("{}: {missing}", host.place()),
    }
}
