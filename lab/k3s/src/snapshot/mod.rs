//! `k3s etcd-snapshot`: the command asks the running server.

pub mod file;
pub mod list;
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
    pub retention: usize,
    pub output: String,
    pub compress: bool,
    pub data_dir: PathBuf,
    pub node: String,
    pub server: String,
}

pub const HELP: &str = "NAME:\n   k3s etcd-snapshot - Trigger an immediate etcd snapshot\n\nUSAGE:\n   k3s etcd-snapshot \
                        command [command options] [arguments...]\n\nCOMMANDS:\n   delete       Delete given \
                        snapshot(s)\n   ls, list, l  List snapshots\n   prune        Remove snapshots that exceed the \
                        configured retention count\n   save         Trigger an immediate etcd snapshot\n";

/// Flags by their names with and without `etcd-snapshot-`; those that take nothing are told apart.
const BARE: &[&str] = &[
    "debug",
    "alsologtostderr",
    "s3",
    "etcd-s3",
    "snapshot-compress",
    "etcd-snapshot-compress",
];

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut words = Vec::new();
        let mut options = Self {
            command: String::new(),
            names: Vec::new(),
            name: DEFAULT_NAME.to_owned(),
            folder: PathBuf::new(),
            retention: 5,
            output: "table".to_owned(),
            compress: false,
            data_dir: paths::DATA_DIR.into(),
            node: String::new(),
            server: "https://127.0.0.1:6443".to_owned(),
        };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix('-').map(|flag| flag.trim_start_matches('-')) else {
                words.push(word.clone());
                continue;
            };
            let (flag, inline) = flag
                .split_once('=')
                .map_or((flag, None), |(flag, value)| (flag, Some(value.to_owned())));
            let value = if BARE.contains(&flag) {
                inline.unwrap_or_else(|| "true".to_owned())
            } else {
                inline.or_else(|| rest.next().cloned()).unwrap_or_default()
            };
            options.set(flag, &value)?;
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
            "snapshot-retention" | "etcd-snapshot-retention" => self.retention = value.parse()?,
            "output" | "o" => value.clone_into(&mut self.output),
            "snapshot-compress" | "etcd-snapshot-compress" => self.compress = value == "true",
            "data-dir" | "d" => self.data_dir = value.into(),
            "node-name" => value.clone_into(&mut self.node),
            "etcd-server" | "s" | "server" => value.clone_into(&mut self.server),
            known if BARE.contains(&known) || known.starts_with("s3") || known.starts_with("etcd-s3") => {}
            "config" | "c" | "log" | "l" | "etcd-token" | "t" | "token" => {}
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
    if arguments
        .iter()
        .any(|word| ["--help", "-h"].contains(&word.as_str()))
    {
        println!("{HELP}");
        return 0;
    }
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
    fn flags_and_words_in_any_order() {
        let line = [
            "save",
            "--name",
            "pre-upgrade",
            "--dir=/tmp/x",
            "--snapshot-compress",
            "--node-name",
            "n1",
        ];
        let options = Options::parse(&line.map(str::to_owned)).unwrap();
        assert_eq!(
            (options.command.as_str(), options.name.as_str(), options.compress),
            ("save", "pre-upgrade", true)
        );
        assert_eq!(options.folder, PathBuf::from("/tmp/x"));
        assert!(Options::parse(&["--nosuch".to_owned()]).is_err());
    }
}
