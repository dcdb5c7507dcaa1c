//! The command line: one program under several names.

use crate::agent;
use crate::certificate;
use crate::config::Config;
use crate::config::flags::Role;
use crate::config::line::{self, Unknown};
use crate::kubectl;
use crate::log;
use crate::paths;
use crate::server;
use crate::snapshot;
use crate::version::Version;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Runs what the arguments say and returns the exit status.
pub fn run(arguments: &[String]) -> u8 {
    let (program, rest) = arguments
        .split_first()
        .map_or(("k3s", &[][..]), |(first, rest)| (first.as_str(), rest));
    let own_name = Path::new(program)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if ["kubectl", "crictl", "ctr"].contains(&own_name.as_str()) {
        return command(&own_name, rest);
    }
    match rest.split_first() {
        None => {
            println!("{}", help());
            0
        }
        Some((word, rest)) => match word.as_str() {
            "--help" | "-h" | "help" | "h" => {
                println!("{}", help());
                0
            }
            "--version" | "-v" => {
                println!("{}", version());
                0
            }
            flag if flag.starts_with('-') => {
                println!(
                    "Incorrect Usage. flag provided but not defined: {}\n\n{}",
                    single(flag),
                    help()
                );
                log::fatal(&format!("flag provided but not defined: {}", single(flag)));
                1
            }
            name => command(name, rest),
        },
    }
}

fn single(flag: &str) -> String {
    format!("-{}", flag.trim_start_matches('-'))
}

fn command(name: &str, rest: &[String]) -> u8 {
    match name {
        "kubectl" => unpacked(rest)
            .and_then(|()| kubectl::exec(rest))
            .map_or_else(|e| failed(&e), |()| 0),
        "server" => node(Role::Server, rest),
        "agent" => node(Role::Agent, rest),
        "etcd-snapshot" => unpacked(rest).map_or_else(|e| failed(&e), |()| snapshot::run(rest)),
        "certificate" => unpacked(rest).map_or_else(|e| failed(&e), |()| certificate::run(rest)),
        "crictl" | "ctr" | "check-config" => {
            eprintln!("k3s {name}: there is no container runtime in the lab");
            1
        }
        other => {
            eprintln!("No help topic for '{other}'");
            3
        }
    }
}

fn failed(error: &anyhow::Error) -> u8 {
    log::fatal(&format!("{error:#}"));
    1
}

/// The data folder may be moved by a flag of any command.
fn unpacked(arguments: &[String]) -> Result<()> {
    let at = arguments
        .iter()
        .position(|word| ["--data-dir", "-d"].contains(&word.as_str()));
    let given = at.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let inline = arguments
        .iter()
        .find_map(|word| word.strip_prefix("--data-dir="))
        .map(PathBuf::from);
    let variable = std::env::var_os("K3S_DATA_DIR").map(PathBuf::from);
    kubectl::unpack(
        &given
            .or(inline)
            .or(variable)
            .unwrap_or_else(|| PathBuf::from(paths::DATA_DIR)),
    )
}

fn node(role: Role, arguments: &[String]) -> u8 {
    let variable = |name: &str| std::env::var(name).ok();
    let flags = match line::parse(role, arguments, variable) {
        Ok(flags) => flags,
        Err(Unknown(flag)) => {
            println!(
                "Incorrect Usage: flag provided but not defined: -{flag}\n\n{}",
                help()
            );
            log::fatal(&format!("Error: flag provided but not defined: -{flag}"));
            return 1;
        }
    };
    let start = || -> Result<()> {
        unpacked(arguments)?;
        let config = Config::new(flags, role)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match role {
                Role::Server => server::run(config).await,
                Role::Agent => agent::run(config).await,
            }
        })
    };
    start().map_or_else(|error| failed(&error), |()| 0)
}

/// It calls itself by the name of its file, as the real one does.
fn version() -> String {
    let version = Version::current();
    let called = std::env::args().next().unwrap_or_default();
    let name = called.rsplit('/').next().unwrap_or_default();
    format!(
        "{name} version {version} ({})\ngo version {}",
        version.commit(),
        version.go()
    )
}

/// k3s prints its flags here; nobody reads them in the lab.
fn help() -> String {
    format!(
        "NAME:\n   k3s - Kubernetes, but small and simple\n\nVERSION:\n   {}",
        Version::current()
    )
}
