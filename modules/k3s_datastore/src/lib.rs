//! `k3s_datastore`: migrate a k3s server from SQLite to embedded etcd.
//!
//! k3s moves the objects itself when it starts with `cluster-init`. If that fails half-way, its next start takes what is
//! in etcd for the cluster, and kubelets end the pods that are not in it. So the start that migrates is the only
//! one that systemd may do, the database is copied before it and compared with etcd after it, and whatever is not proven
//! is undone. A record on the server shows the next run what a killed one was about.

mod back;
#[cfg(test)]
mod fixtures;
pub mod inside;
mod known_bad;
mod left;
mod params;
mod plan;
mod proof;
mod record;
mod refusals;
mod report;
mod script;
mod state;
mod steps;

pub use params::Params;
pub use plan::Step;
pub use report::{Journal, Returned};
pub use state::{Datastore, State};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result};
use cluster::{ApiVersion, Kubectl, List, Object, Questions};
use host::{Host, ask_ourselves, pct, stamp};
use inside::{Looked, Request};
use k3s_node::Facts;
use state::{Api, Paths};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

pub struct K3sDatastore;

/// Where things are follows from what is read there; twice is enough unless somebody changes it meanwhile.
const LOOKS: usize = 3;
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Whoever serves the API has this label.
const SERVERS: &str = "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane";

impl Module for K3sDatastore {
    const NAME: &'static str = "k3s_datastore";
    const DOC: &'static str = include_str!("../k3s_datastore.yml");

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
            pct::is_free(host.outside(), vmid)?;
        }
        let mut at = Paths::default();
        let mut state = gather(params, host, &at)?;
        for _ in 1..LOOKS {
            if state.paths == at {
                break;
            }
            at = state.paths.clone();
            state = gather(params, host, &at)?;
        }
        // Of a server that has etcd, nothing more is asked.
        if state.database.is_some() && state.show().is_alive() {
            let api = ask_api(host, &state.paths);
            // An API that is ready says what the files are now, and they may have been moved while it was asked.
            if api.ready && state.record().is_some() {
                state = gather(params, host, &at)?;
            }
            state.api = Some(api);
        }
        if state.datastore() == Datastore::Sqlite {
            state.objects = Some(count(host, &state.paths));
        }
        Ok(state)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        steps::apply(params, host, step, journal)
    }

    fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        report::report(params, before, after, journal)
    }

    fn recover(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> Option<String> {
        back::recover(params, host, before, journal)
    }

    /// The same binary is the module on the Proxmox host and, carried inside, the program that reads both datastores.
    fn inside(arguments: &[String]) -> Option<ExitCode> {
        inside::asked(arguments)
    }
}

fn gather(params: &Params, host: &dyn Host, at: &Paths) -> Result<State> {
    let output = host
        .run(&script::gather(at, &params.dest))?
        .succeed(&host.location(), "checking k3s")?;
    let now = host.now();
    let looked = state::Looked {
        location: host.location(),
        now: now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs(),
        backup: stamp::stamped("pre-etcd", now)?,
        at: at.clone(),
    };
    Facts::parse(&output.stdout)
        .and_then(|facts| State::read(&facts, looked))
        .with_context(|| format!("{}: checking k3s", host.location()))
}

/// Whatever goes wrong here is a reason to leave the server alone, and reported as one.
fn ask_api(host: &dyn Host, paths: &Paths) -> Api {
    let program = [paths.binary.clone(), "kubectl".to_owned()];
    let kubectl = Kubectl {
        host,
        program: &program,
        request_timeout: REQUEST_LIMIT,
    };
    let answers = Questions::new(&kubectl)
        .path("/readyz")
        .or_end()
        .path("/version")
        .path(SERVERS)
        .ask("asking the API server");
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            return Api {
                said: format!("{error:#}"),
                ..Api::default()
            };
        }
    };
    let version = answers
        .get(1)
        .and_then(|answer| answer.parse::<ApiVersion>().ok());
    let servers = answers
        .get(2)
        .and_then(|answer| answer.parse::<List<Object>>().ok());
    Api {
        ready: answers.get(0).is_some_and(|answer| answer.ok()),
        said: answers
            .get(0)
            .map(|answer| answer.said.to_owned())
            .unwrap_or_default(),
        version: version.and_then(|version| version.git_version.parse().ok()),
        servers: servers.map(|list| list.items.into_iter().map(|node| node.metadata.name).collect()),
    }
}

fn count(host: &dyn Host, paths: &Paths) -> Result<u64, String> {
    let request = Request::Look {
        database: paths.database().into(),
    };
    ask_ourselves::<_, Looked>(host, &request, script::COPY_LIMIT, "counting what is in SQLite")
        .map(|looked| looked.objects)
        .map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sDatastore);
}
