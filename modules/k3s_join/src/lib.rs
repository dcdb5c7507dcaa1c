//! `k3s_join`: prepare a node to join a k3s cluster.
//!
//! Two halves, as the token is on one machine and needed on another: `state=read` on a live server, `state=prepared` on
//! the node. The installation itself is `k3s_install`'s, and members of etcd are `etcd_member`'s.

mod explain;
mod former;
mod node;
mod params;
mod plan;
mod refusals;
mod report;
mod server;
mod verdict;

pub use params::{Joining, Member, Params, Wanted};
pub use plan::Step;
pub use report::Returned;
pub use server::{Datastore, Server};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Error, Result};
use host::{Command, Failure, Host, Kind, stamp};
use k3s_node::{Changes, NodeSettings};
use node::Node;
use plan::Act;
use server::Read;
use std::time::Duration;

/// Stopping k3s, with its pods where they go too, is what takes longest.
const LIMIT: Duration = Duration::from_mins(3);
/// Enough to hold a start of k3s with what it says of its failure.
const JOURNAL: &str = "300";

pub struct K3sJoin;

pub enum State {
    Read(Box<Read>),
    Node {
        node: Box<Node>,
        /// The time, for what is set aside.
        stamp: String,
    },
    /// The node's container is stopped, and a refusal is not to fail.
    Stopped,
    Journal(String),
}

impl Module for K3sJoin {
    const NAME: &'static str = "k3s_join";
    const DOC: &'static str = include_str!("../k3s_join.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = ();
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        let prepares = matches!(params.wanted, Wanted::Prepared(_));
        Target {
            vmid: params.vmid,
            lock_timeout: prepares.then_some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        Ok(match &params.wanted {
            Wanted::Read { url } => State::Read(Box::new(Read::look(host, params.role, url.as_deref())?)),
            Wanted::Prepared(joining) => match Node::look(host, joining) {
                Err(error) if !joining.fail_on_refusal && is_stopped(&error) => State::Stopped,
                node => State::Node {
                    node: Box::new(node?),
                    stamp: stamp(host)?,
                },
            },
            Wanted::Explained => State::Journal(journal(params, host)?),
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        match (&params.wanted, state) {
            (Wanted::Prepared(joining), State::Node { node, stamp }) => {
                plan::plan(params.role, joining, node, stamp)
            }
            _ => Ok(Plan::default()),
        }
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        let (doing, changes) = match &step.0 {
            Act::SetAside {
                data,
                what,
                aside,
                kill,
                units,
                ..
            } => (
                "setting old data aside",
                set_aside(data, what, aside, kill.as_deref(), units),
            ),
            Act::Configure { path, text, .. } => (
                "writing the configuration",
                // A file that only root reads, beside those of the operator.
                Changes::new().folder_of(path).write(path, 0o600, text),
            ),
        };
        let command = changes.command(params.lock_timeout, LIMIT);
        host.run(&command)?.succeed(&host.location(), doing).map(|_| ())
    }

    fn report(params: &Params, before: &State, after: &State, (): &()) -> Returned {
        report::report(params, before, after)
    }
}

fn stamp(host: &dyn Host) -> Result<String> {
    let stamp = stamp::stamped("", host.now())?;
    Ok(stamp.trim_start_matches('-').to_owned())
}

fn is_stopped(error: &Error) -> bool {
    Failure::of(error).is_some_and(|failure| failure.kind == Kind::ContainerStopped)
}

/// Nothing is deleted.
fn set_aside(data: &str, what: &[&str], aside: &str, kill: Option<&str>, units: &[String]) -> Changes {
    let stopped = units
        .iter()
        .fold(Changes::new(), |changes, unit| changes.stop_and_wait(unit));
    let ended = match kill {
        Some(script) => stopped.run(&[script]),
        None => stopped,
    };
    let old = format!("{data}/{aside}");
    what.iter().fold(ended, |changes, name| {
        changes.aside(&format!("{data}/{name}"), &old)
    })
}

fn journal(params: &Params, host: &dyn Host) -> Result<String> {
    // A node that cannot be read is just one that has to be explained.
    let unit = NodeSettings::look(host).map_or_else(
        |_| params.role.unit().to_owned(),
        |node| node.units[&params.role].name.clone(),
    );
    let argv = [
        "journalctl",
        "-u",
        &unit,
        "-n",
        JOURNAL,
        "--no-pager",
        "-o",
        "cat",
    ];
    let output = host.run(&Command::new(argv))?;
    let output = output
        .succeed(&host.location(), "reading the journal of k3s")
        .context("looking for why the node does not join")?;
    Ok(output.text())
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sJoin);
}
