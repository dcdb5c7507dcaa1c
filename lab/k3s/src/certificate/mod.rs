//! `k3s certificate`: looks at the certificates on the disk, or removes them so that the next start makes new ones.

mod check;
mod columns;
mod rotate;

use crate::log;
use crate::paths;
use crate::pki::services::{SERVICES, Service};
use anyhow::{Result, bail};
use std::path::PathBuf;

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
    let (word, rest) = arguments
        .split_first()
        .map_or(("", arguments), |(word, rest)| (word.as_str(), rest));
    let action: fn(&Options) -> Result<()> = match word {
        "check" => check::run,
        "rotate" => rotate::run,
        "" | "--help" | "-h" | "help" | "h" => {
            println!("{}", help());
            return 0;
        }
        other => {
            eprintln!("No help topic for '{other}'");
            return 3;
        }
    };
    let result = match Request::parse(rest, word == "check") {
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
        Request::Run(options) => options.check_services().and_then(|()| action(&options)),
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
    fn check_services(&self) -> Result<()> {
        for service in &self.services {
            if !SERVICES.iter().any(|known| known.name == service) {
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
        SERVICES
            .iter()
            .filter(|service| match self.services.as_slice() {
                [] => server || service.on_agents,
                named => named.iter().any(|name| name == service.name),
            })
            .collect()
    }
}

fn help() -> &'static str {
    "NAME:\n   k3s certificate - Manage K3s certificates\n\nUSAGE:\n   k3s certificate command [command options] \
     [arguments...]\n\nCOMMANDS:\n   check      Check k3s component certificates on disk\n   rotate     Rotate k3s \
     component certificates on disk\n\nOPTIONS:\n   --help, -h  show help"
}

fn command_help(word: &str) -> String {
    let names: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
    let what = if word == "check" { "Check" } else { "Rotate" };
    let output = if word == "check" {
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
