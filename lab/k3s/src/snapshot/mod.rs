//! `k3s etcd-snapshot`: the command asks the running server.

pub mod file;
pub mod remote;

use crate::config::node_name;
use crate::log;
use crate::paths;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// Name given on the command line, or this.
const DEFAULT_NAME: &str = "on-demand";

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub command: String,
    pub names: Vec<String>,
    pub name: String,
    pub folder: PathBuf,
    pub output: String,
    pub data_dir: PathBuf,
    pub node: String,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut words = Vec::new();
        let mut options = Self {
            command: String::new(),
            names: Vec::new(),
            name: DEFAULT_NAME.to_owned(),
            folder: PathBuf::new(),
            output: String::new(),
            data_dir: paths::DATA_DIR.into(),
            node: String::new(),
        };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix('-').map(|flag| flag.trim_start_matches('-')) else {
                words.push(word.clone());
                continue;
            };
            match flag.split_once('=') {
                Some((flag, value)) => options.set(flag, value)?,
                None => options.set(flag, rest.next().map_or("", String::as_str))?,
            }
        }
        let mut words = words.into_iter();
        options.command = words.next().unwrap_or_default();
        options.names = words.collect();
        if options.folder.as_os_str().is_empty() {
            options.folder = options.server_dir().join("db/snapshots");
        }
        if options.node.is_empty() {
            options.node = node_name(&crate::config::line::Flags::default())?;
        }
        Ok(options)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<()> {
        match flag {
            "name" => value.clone_into(&mut self.name),
            "dir" | "etcd-snapshot-dir" => self.folder = value.into(),
            "output" | "o" => value.clone_into(&mut self.output),
            "data-dir" | "d" => self.data_dir = value.into(),
            "etcd-s3" => {}
            "node-name" => value.clone_into(&mut self.node),
            unknown => bail!("flag provided but not defined: -{unknown}"),
        }
        Ok(())
    }

    pub fn server_dir(&self) -> PathBuf {
        self.data_dir.join("server")
    }
}

/// Returns the exit status.
pub fn run(arguments: &[String]) -> u8 {
    match Options::parse(arguments).and_then(|options| dispatch(&options)) {
        Ok(()) => 0,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            1
        }
    }
}

fn dispatch(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(remote::run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_words_may_come_in_any_order() {
        let line = [
            "save",
            "--name",
            "pre-upgrade",
            "--dir=/tmp/x",
            "--node-name",
            "n1",
        ];
        let options = Options::parse(&line.map(str::to_owned)).unwrap();
        assert_eq!(
            (options.command.as_str(), options.name.as_str()),
            ("save", "pre-upgrade")
        );
        assert_eq!(options.folder, PathBuf::from("/tmp/x"));
        assert!(Options::parse(&["--nosuch".to_owned()]).is_err());
    }
}
