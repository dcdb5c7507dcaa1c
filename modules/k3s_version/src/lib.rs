//! `k3s_version`: compare a node's k3s version with the target version. It changes nothing.

mod arguments;
mod ask;
mod bad_hops;
mod builds;
mod channel;
mod https;
mod node;
mod params;
mod paths;
mod plan;
mod questions;
mod state;

pub use channel::{Channels, Reply, Request};
pub use https::Https;
pub use params::Params;
pub use state::State;

use ansible_module::Check;
use answers::Version;
use anyhow::{Result, anyhow};
use bad_hops::Knowledge;
use host::Host;
use k3s_types::K3sVersion;
use k3s_types::builds::Build;
use params::Wanted;
use plan::{Order, Stop};
use serde::Serialize;
use state::{Evidence, ReadFrom};
use std::marker::PhantomData;

/// `C` is the way to the channel server; tests have a shorter one.
pub struct VersionCheck<C = Https>(PhantomData<C>);

#[derive(Serialize)]
pub struct Returned {
    #[serde(flatten)]
    version: Version,
    node_name: String,
    data_dir: Option<String>,
    target: K3sVersion,
    order: Order,
    stops: Vec<Stop>,
    etcd_version: Option<String>,
    build: Option<Build>,
    channel: Option<Evidence>,
}

impl<C: Channels> Check for VersionCheck<C> {
    const NAME: &'static str = "k3s_version";
    const DOC: &'static str = include_str!("../k3s_version.yml");

    type Params = Params;
    type State = State;
    type Returned = Returned;

    fn vmid(params: &Params) -> Option<u32> {
        params.vmid
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let target = target::<C>(params)?;
        let known = Knowledge::all()?;
        let mut node = state::look(params, host)?;
        let target = within_the_minor::<C>(params, &node, target)?;
        // Where the API is down that alone is refused elsewhere.
        if let Some(from) = node.oldest().cloned().filter(|_| node.running.is_some()) {
            let lifted = &params.allow.known_bad;
            for question in known.questions(lifted, &from, &target.version) {
                let found = ask::ask(params, question, host, &node)?;
                node.found.extend([found]);
            }
        }
        Ok(State {
            location: host.location(),
            target,
            node,
            known,
        })
    }

    fn check(params: &Params, state: &State) -> Result<Vec<String>> {
        let decision = plan::decide(params, state);
        if params.fail_on_refusal && !decision.refusals.is_empty() {
            return Err(anyhow!(plan::sentence(state, &decision.refusals)));
        }
        Ok(decision.warnings)
    }

    fn report(params: &Params, state: &State) -> Returned {
        let decision = plan::decide(params, state);
        let state = state.clone();
        let build = state.known.builds.nearest(&state.target.version).cloned();
        Returned {
            version: Version {
                installed: state.node.installed,
                running: state.node.running,
                running_reason: state.node.silence,
                agentless: state.node.agentless,
                upgrade_required: decision.upgrade_required,
                hop: decision.hop,
                refusals: decision.refusals,
            },
            node_name: state.node.name,
            data_dir: state.node.data_dir,
            target: state.target.version,
            order: decision.order,
            stops: decision.stops,
            etcd_version: state.node.etcd.version,
            build,
            channel: state.target.channel,
        }
    }
}

fn target<C: Channels>(params: &Params) -> Result<state::Target> {
    let target = |version: &K3sVersion, channel| state::Target {
        version: version.clone(),
        channel,
        warning: None,
    };
    match &params.wanted {
        Wanted::Pinned(version) => Ok(target(version, None)),
        Wanted::Resolved { channel, version } => {
            let evidence = Evidence {
                name: channel.clone(),
                read_from: ReadFrom::Given,
                url: None,
                status: None,
                received: None,
            };
            Ok(target(version, Some(evidence)))
        }
        Wanted::Channel(channel) => channel::resolve::<C>(channel, params.timeout),
    }
}

/// Where the minor has to stay, the channel of that minor has the target.
fn within_the_minor<C: Channels>(
    params: &Params,
    node: &node::Node,
    target: state::Target,
) -> Result<state::Target> {
    let (Wanted::Channel(channel), Some(newest)) = (&params.wanted, node.newest()) else {
        return Ok(target);
    };
    if params.allow.minor || target.version.minor_version() <= newest.minor_version() {
        return Ok(target);
    }
    let own = params::Channel {
        name: format!("v{}.{}", newest.major, newest.minor),
        ..channel.clone()
    };
    let within = channel::resolve::<C>(&own, params.timeout)?;
    let warning = format!(
        "the channel {} is at {}, another minor than {newest} here: the target is {}, that of the channel {} (allow_minor is false)",
        channel.name, target.version, within.version, own.name
    );
    Ok(state::Target {
        warning: Some(
            within
                .warning
                .map_or(warning.clone(), |first| format!("{first}; {warning}")),
        ),
        ..within
    })
}

#[cfg(test)]
mod transcripts;
