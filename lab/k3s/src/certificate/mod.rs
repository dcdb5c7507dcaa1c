//! `k3s certificate rotate`: removes certificates, so that the next start makes new ones.

mod rotate;

use crate::log;
use crate::paths;
use crate::pki::services::{SERVICES, Service};
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;

struct Options {
    data_dir: PathBuf,
    services: Vec<String>,
}

pub fn run(arguments: &[String]) -> u8 {
    let Some((_, rest)) = arguments.split_first().filter(|(word, _)| *word == "rotate") else {
        eprintln!("No help topic for '{}'", arguments.join(" "));
        return 3;
    };
    match Options::parse(rest).and_then(|options| rotate::run(&options)) {
        Ok(()) => 0,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            1
        }
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let data_dir = std::env::var_os("K3S_DATA_DIR").map_or_else(|| paths::DATA_DIR.into(), PathBuf::from);
        let mut options = Self {
            data_dir,
            services: Vec::new(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| words.next().cloned())
                    .unwrap_or_default()
            };
            match name {
                "--data-dir" | "-d" => options.data_dir = value().into(),
                "--service" | "-s" => options.services.extend(value().split(',').map(str::to_owned)),
                other => bail!(
                    "flag provided but not defined: -{}",
                    other.trim_start_matches('-')
                ),
            }
        }
        for service in &options.services {
            let known = SERVICES.iter().any(|known| known.name == service);
            ensure!(known, "service {service} is not recognized");
        }
        Ok(options)
    }

    /// Recognized by a server's folder, as the real one does.
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
