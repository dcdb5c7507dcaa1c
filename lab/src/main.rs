//! The command line of the lab.

// A program of the outside world: it prints its answers, and is replaced by the program that it enters.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use lab::{
    cluster, container, down, fault, history, inventory, layout, namespace, process, real, release, setup,
    state, template, up,
};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// A Proxmox host to test against, on this machine
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install the Debian packages that a lab needs
    Setup,
    /// Make the container template, without a lab
    Template,
    /// Bring a lab up
    Up(layout::Options),
    /// Take it down, complete or half-made
    Down,
    /// Show what is up
    Status {
        /// Instead: when each server's k3s was up, a line of JSON for each change, with those that were up after it
        #[arg(long)]
        history: bool,
    },
    /// Follow a server's k3s for ever (started by `lab up`)
    #[command(hide = true)]
    Record { container: String },
    /// A shell on a Proxmox host
    Shell {
        #[arg(default_value = "pve1")]
        host: String,
    },
    /// Run a command on a Proxmox host
    Exec {
        #[arg(long, default_value = "pve1")]
        host: String,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print an inventory for ansible-playbook
    Inventory,
    /// Run Molecule's scenarios on a real k3s (`make real`)
    Real(real::Options),
    /// What is on offer
    Release {
        #[command(subcommand)]
        verb: ReleaseVerb,
    },
    /// Point a channel at a version (none: it is listed without one)
    Channel { name: String, version: Option<String> },
    /// Run kubectl on the first controller
    Kubectl {
        /// On this machine, as its user would: with KUBECONFIG, over the network
        #[arg(long)]
        here: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make trouble, or undo it
    Fault {
        #[command(subcommand)]
        fault: fault::Fault,
    },
}

#[derive(Subcommand)]
enum ReleaseVerb {
    /// Put one more on offer
    Add { version: String },
    /// Print the version that the cluster started with, and where the channels point, as JSON
    List,
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Setup => setup::run(),
        Verb::Template => up::only_template(),
        Verb::Up(options) => up::bring_up(options),
        Verb::Down => {
            setup::require_root()?;
            let _lock = state::lock("down")?;
            process::catch_signals()?;
            process::stop_listening();
            down::take_down()
        }
        Verb::Status { history: true } => history::render().map(|text| answer(&text)),
        Verb::Status { history: false } => status().map(|text| answer(&text)),
        Verb::Record { container } => history::record(&state::load()?.node(&container)?),
        Verb::Shell { host } => enter(&host, &["bash".to_owned()]),
        Verb::Exec { host, command } => enter(&host, &command),
        Verb::Inventory => {
            answer(&inventory::render(&state::load()?));
            Ok(())
        }
        Verb::Release {
            verb: ReleaseVerb::Add { version },
        } => {
            state::load()?;
            release::add(&version)
        }
        Verb::Release {
            verb: ReleaseVerb::List,
        } => release::render(&state::load()?).map(|text| answer(&text)),
        Verb::Real(options) => real::run(&options),
        Verb::Channel { name, version } => release::set_channel(&name, version.as_deref()),
        Verb::Kubectl {
            here: true,
            arguments,
        } => {
            state::load()?;
            let kubectl = template::kubectl_here().display().to_string();
            replace(&std::iter::once(kubectl).chain(arguments).collect::<Vec<_>>())
        }
        Verb::Kubectl { arguments, .. } => {
            let node = cluster::controller(&state::load()?)?;
            replace(cluster::kubectl(&node, arguments).argv())
        }
        Verb::Fault { fault } => fault::apply(&state::load()?, &fault),
    }
}

fn enter(host: &str, command: &[String]) -> Result<()> {
    setup::require_root()?;
    let host = state::load()?.host(host)?;
    let mut argv = namespace::enter(&host.name);
    // A new mount namespace starts at the root: stay where the caller is, where that exists.
    let here = std::env::current_dir().context("finding the current folder")?;
    argv.insert(1, format!("--wdns={}", here.display()));
    argv.extend_from_slice(command);
    replace(&argv)
}

/// Becomes that program: its streams, signals and exit code are nobody else's business.
fn replace(argv: &[String]) -> Result<()> {
    let (program, arguments) = argv.split_first().context("starting a program without a name")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("starting {program}"))
}

/// A reader that has seen enough (`lab status | head`) does not count as a failure.
fn answer(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn status() -> Result<String> {
    let Some(state) = state::find()? else {
        return Ok("no lab is up\n".to_owned());
    };
    setup::require_root()?;
    let mut lines = vec![format!("lab: {}", if state.ready { "up" } else { "half-made" })];
    lines.extend(
        state
            .hosts()
            .iter()
            .map(|host| format!("{}  {}", host.name, host.address)),
    );
    for node in state.nodes() {
        let output = container::pct(&node, ["status", &node.vmid.to_string()]).output()?;
        let word = if output.code == 0 {
            output.stdout
        } else {
            output.stderr
        };
        let place = format!("{:<18} {:<12} {}", node.name, node.address, node.host.name);
        lines.push(format!("{}  {place}  {}", node.vmid, word.trim()));
    }
    if !state.options.no_cluster {
        let word = if release::answers(&state) {
            "answers"
        } else {
            "does not answer"
        };
        lines.push(format!("release server: {word}"));
        let node = cluster::controller(&state)?;
        lines.push(
            cluster::kubectl(&node, ["get", "nodes", "-o", cluster::NODE_COLUMNS])
                .output()?
                .stdout,
        );
    }
    Ok(lines.join("\n").trim_end().to_owned() + "\n")
}
