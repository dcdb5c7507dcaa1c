//! `k3s certificate`: looks at the certificates on the disk, or removes them so that the next start makes new ones.
//! It came with the releases of December 2021; `check`, and `rotate` on agents, with those of April 2024.

mod check;
mod columns;
mod rotate;

use crate::log;
use crate::paths;
use crate::pki::services::{SERVICES, Service};
use crate::version::Version;
use anyhow::{Result, bail};
use std::path::PathBuf;

const FIRST: &[(u32, u32)] = &[(20, 14), (21, 8), (22, 5), (23, 1)];
/// Agents too, and `check`.
const SECOND: &[(u32, u32)] = &[(27, 13), (28, 9), (29, 4), (30, 0)];
const WITH_TABLE: &[(u32, u32)] = &[(29, 13), (30, 9), (31, 5), (32, 1)];
const WITH_JSON: &[(u32, u32)] = &[(30, 13), (31, 9), (32, 5), (33, 1)];

pub fn exists(version: &Version) -> bool {
    version.has(FIRST)
}

struct Options {
    data_dir: PathBuf,
    services: Vec<String>,
    output: String,
}

/// What the command line asks for.
enum Request {
    Help,
    Unknown(String),
    Run(Options),
}

pub fn run(arguments: &[String]) -> u8 {
    let version = Version::current();
    let (word, rest) = arguments
        .split_first()
        .map_or(("", arguments), |(word, rest)| (word.as_str(), rest));
    let action: fn(&Options) -> Result<()> = match word {
        "check" if version.has(SECOND) => check::run,
        "rotate" => rotate::run,
        "" | "--help" | "-h" | "help" | "h" => {
            println!("{}", help(version));
            return 0;
        }
        other => {
            eprintln!("No help topic for '{other}'");
            return 3;
        }
    };
    let result = match Request::parse(rest, word == "check" && version.has(WITH_TABLE)) {
        Request::Help => {
            println!("{}", command_help(word));
            return 0;
        }
        Request::Unknown(flag) => {
            println!(
                "Incorrect Usage: flag provided but not defined: -{flag}\n\n{}",
                command_help(word)
            );
            log::fatal(&format!("flag provided but not defined: -{flag}"));
            return 1;
        }
        Request::Run(options) => options.check_services(version).and_then(|()| action(&options)),
    };
    result.map_or_else(
        |error| {
            log::fatal(&format!("{error:#}"));
            1
        },
        |()| 0,
    )
}

impl Request {
    fn parse(arguments: &[String], with_output: bool) -> Self {
        let mut options = Options {
            data_dir: std::env::var_os("K3S_DATA_DIR").map_or_else(|| paths::DATA_DIR.into(), PathBuf::from),
            services: Vec::new(),
            output: "text".to_owned(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-') else {
                continue;
            };
            let flag = flag.trim_start_matches('-');
            let (name, inline) = flag
                .split_once('=')
                .map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| words.next().cloned())
                    .unwrap_or_default()
            };
            match name {
                "help" | "h" => return Self::Help,
                "debug" | "alsologtostderr" => {}
                "config" | "c" | "log" | "l" => drop(value()),
                "data-dir" | "d" => options.data_dir = value().into(),
                "service" | "s" => options
                    .services
                    .extend(value().split(',').map(|service| service.trim().to_owned())),
                "output" | "o" if with_output => options.output = value(),
                other => return Self::Unknown(other.to_owned()),
            }
        }
        Self::Run(options)
    }
}

impl Options {
    fn check_services(&self, version: &Version) -> Result<()> {
        for service in &self.services {
            if !known(version).any(|known| known.name == service) {
                bail!("service {service} is not recognized");
            }
        }
        Ok(())
    }

    /// Told by a server's folder, as the real one does.
    fn is_server(&self) -> bool {
        self.data_dir.join("server").exists()
    }

    /// Those that were named, else all of this kind of node.
    fn chosen(&self) -> Vec<&'static Service> {
        let server = self.is_server();
        known(Version::current())
            .filter(|service| match self.services.as_slice() {
                [] => server || service.on_agents,
                named => named.iter().any(|name| name == service.name),
            })
            .collect()
    }
}

/// In the first releases the supervisor's certificate was left out by mistake.
fn known(version: &Version) -> impl Iterator<Item = &'static Service> {
    let has = version.has(SECOND);
    SERVICES
        .iter()
        .filter(move |service| has || service.name != "supervisor")
}

fn help(version: &Version) -> String {
    let mut commands = Vec::new();
    if version.has(SECOND) {
        commands.push("   check      Check k3s component certificates on disk");
    }
    commands.push("   rotate     Rotate k3s component certificates on disk");
    format!(
        "NAME:\n   k3s certificate - Manage K3s certificates\n\nUSAGE:\n   k3s certificate command [command options] \
         [arguments...]\n\nCOMMANDS:\n{}\n\nOPTIONS:\n   --help, -h  show help",
        commands.join("\n")
    )
}

fn command_help(word: &str) -> String {
    let names: Vec<&str> = known(Version::current()).map(|service| service.name).collect();
    let what = if word == "check" { "Check" } else { "Rotate" };
    let output = if word == "check" && Version::current().has(WITH_TABLE) {
        "\n   --output value, -o value    Format output (default: \"text\")"
    } else {
        ""
    };
    format!(
        "NAME:\n   k3s certificate {word} - {what} k3s component certificates on disk\n\nUSAGE:\n   k3s certificate \
         {word} [command options] [arguments...]\n\nOPTIONS:\n   --data-dir value, -d value  (data) Folder to hold \
         state\n   --service value, -s value   List of services to manage certificates for. Options include \
         ({}){output}",
        names.join(", ")
    )
}
