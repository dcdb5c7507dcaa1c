//! The command line: one program under several names.

use crate::agent;
use crate::certificate;
use crate::config::Config;
use crate::config::flags::{self, FLAGS, Role, Takes};
use crate::config::line::{self, Unknown};
use crate::kubectl;
use crate::log;
use crate::paths;
use crate::server;
use crate::snapshot;
use crate::token;
use crate::version::Version;
use anyhow::Result;
use std::path::{Path, PathBuf};

const COMMANDS: &[(&str, &str)] = &[
    ("server", "Run management server"),
    ("agent", "Run node agent"),
    ("kubectl", "Run kubectl"),
    ("crictl", "Run crictl"),
    ("ctr", "Run ctr"),
    ("check-config", "Run config check"),
    ("etcd-snapshot", "Trigger an immediate etcd snapshot"),
    ("token", "Manage tokens"),
    ("certificate", "Manage K3s certificates"),
    ("help, h", "Shows a list of commands or help for one command"),
];

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
        "token" => token::run(rest),
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
    if arguments
        .iter()
        .any(|word| ["--help", "-h"].contains(&word.as_str()))
    {
        println!("{}", node_help(role));
        return 0;
    }
    let variable = |name: &str| std::env::var(name).ok();
    let flags = match line::parse(role, arguments, variable) {
        Ok(flags) => flags,
        Err(Unknown(flag)) => {
            println!(
                "Incorrect Usage: flag provided but not defined: -{flag}\n\n{}",
                node_help(role)
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

fn help() -> String {
    let version = Version::current();
    let commands: Vec<String> = COMMANDS
        .iter()
        .map(|(name, what)| format!("   {name:<14} {what}"))
        .collect();
    format!(
        "NAME:\n   k3s - Kubernetes, but small and simple\n\nUSAGE:\n   k3s [global options] command [command options] \
         [arguments...]\n\nVERSION:\n   {version} ({})\n\nCOMMANDS:\n{}\n\nGLOBAL OPTIONS:\n   --help, -h     show help\n   \
         --version, -v  print the version",
        version.commit(),
        commands.join("\n")
    )
}

fn node_help(role: Role) -> String {
    let word = role.word();
    let known = FLAGS.iter().filter(|flag| flags::find(role, flag.name).is_some());
    let lines: Vec<String> = known
        .map(|flag| {
            let dashes = if flag.name.len() == 1 { "-" } else { "--" };
            let alias = if flag.alias.is_empty() {
                String::new()
            } else {
                format!(", -{}", flag.alias)
            };
            let value = if flag.takes == Takes::Nothing {
                ""
            } else {
                " value"
            };
            let variable = if flag.variable.is_empty() {
                String::new()
            } else {
                format!(" [${}]", flag.variable)
            };
            format!("   {dashes}{}{value}{alias}{value}{variable}", flag.name).replace(" value, ", " value, ")
        })
        .collect();
    format!(
        "NAME:\n   k3s {word}\n\nUSAGE:\n   k3s {word} [OPTIONS]\n\nOPTIONS:\n{}",
        lines.join("\n")
    )
}
