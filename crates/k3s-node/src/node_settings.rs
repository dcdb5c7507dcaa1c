//! What holds on a node, read in one go: what systemd runs, and what that and the configuration files make of it.

use crate::config::{self, Config};
use crate::facts::{Facts, Show};
use crate::probe::Probe;
use crate::settings::{self, DEFAULT_CONFIG, Settings};
use crate::setup::{DEFAULT_BINARY, Setup};
use crate::unit;
use crate::units::{LaunchConfig, Units};
use anyhow::{Context, Result, bail};
use host::Host;
use k3s_types::K3sVersion;
use k3s_types::Role;

/// A node, with k3s or without. It holds secrets (the token), so it shows nothing of itself.
pub struct NodeSettings {
    pub systemd: bool,
    pub units: Units,
    /// What is installed; an error names the role of the unit that cannot be read, and why.
    pub setup: Result<Option<Setup>, (Role, String)>,
    pub binary: String,
    pub version: Option<K3sVersion>,
    pub launch: LaunchConfig,
    pub config: Config,
    /// Path and text, the main file first where there is one.
    pub config_files: Vec<(String, String)>,
    pub config_path: String,
    pub hostname: String,
    /// What distinguishes a machine from another one that has its name or its address.
    pub machine_id: Option<String>,
    node_id: Option<String>,
}

impl NodeSettings {
    /// Of whatever is installed there; nothing is fine too.
    pub fn look(host: &dyn Host) -> Result<Self> {
        Self::look_twice(host, Self::read)
    }

    /// Of a node that has to have this role.
    pub fn look_for(host: &dyn Host, role: Role) -> Result<Self> {
        Self::look_twice(host, |facts, config| Self::read_role(facts, role, config))
    }

    /// Where the unit names another binary or configuration than is usual, it is looked at once more, there.
    fn look_twice(host: &dyn Host, read: impl Fn(&Facts, &str) -> Result<Self>) -> Result<Self> {
        let look = |binary: &str, config: &str| {
            let output = host
                .run(&Probe::new().units(config).command(binary))?
                .succeed(&host.location(), "checking how k3s is installed")?;
            let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
            read(&facts, config).with_context(|| host.location())
        };
        let usual = look(DEFAULT_BINARY, DEFAULT_CONFIG)?;
        let config = usual.named_config();
        if usual.binary == DEFAULT_BINARY && config == DEFAULT_CONFIG {
            return Ok(usual);
        }
        look(&usual.binary, &config)
    }

    /// Reads what [`Probe::units`] asks for, where `config_path` is the configuration file that it was given.
    pub fn read(facts: &Facts, config_path: &str) -> Result<Self> {
        let units = Units::read(facts)?;
        let setup = units.on_disk();
        Self::of(facts, units, setup, config_path)
    }

    fn read_role(facts: &Facts, role: Role, config_path: &str) -> Result<Self> {
        let units = Units::read(facts)?;
        let setup = match units.on_disk_of(role) {
            Ok(Some(setup)) => setup,
            Ok(None) => bail!("there is no k3s {role} here: no unit {}", units[&role].name),
            Err(why) => bail!("the unit {} cannot be read: {why}", units[&role].name),
        };
        Self::of(facts, units, Ok(Some(setup)), config_path)
    }

    fn of(
        facts: &Facts,
        units: Units,
        setup: Result<Option<Setup>, (Role, String)>,
        config_path: &str,
    ) -> Result<Self> {
        let installed = setup.as_ref().ok().and_then(Option::as_ref);
        let version = facts.lossy("binary-version");
        Ok(Self {
            systemd: facts.lossy("systemd").is_some(),
            binary: installed.map_or_else(|| DEFAULT_BINARY.to_owned(), |setup| setup.binary.clone()),
            version: version.and_then(|text| K3sVersion::from_version_output(&text).ok()),
            launch: units.launch_config(installed),
            config: Config::of(facts, config_path),
            config_files: config::files(facts, config_path),
            config_path: config_path.to_owned(),
            hostname: facts.lossy("hostname").context("the node reported no hostname")?,
            machine_id: facts.lossy("machine-id"),
            node_id: facts.lossy("node-id"),
            units,
            setup,
        })
    }

    pub fn settings(&self) -> Settings<'_> {
        Settings {
            args: &self.launch.args,
            config: &self.config,
            environment: &self.launch.environment,
        }
    }

    /// The configuration file that arguments and variables name.
    pub fn named_config(&self) -> String {
        settings::config_path(&self.launch.args, &self.launch.environment)
    }

    /// The name under which it registers.
    pub fn node_name(&self) -> String {
        self.settings().node_name(&self.hostname, self.node_id.as_deref())
    }

    pub fn role(&self) -> Option<Role> {
        match &self.setup {
            Ok(setup) => setup.as_ref().map(|setup| setup.role),
            Err((role, _)) => Some(*role),
        }
    }

    /// Why it cannot be read what k3s is started with here, in words that name the file.
    pub fn unreadable(&self) -> Option<String> {
        match (&self.setup, self.units.more.first()) {
            (Err((role, why)), _) => {
                let path = unit::path(&self.units[role].name);
                Some(format!("the unit {path} cannot be read: {why}"))
            }
            (Ok(None), Some(name)) => Some(format!(
                "the unit {} has another program start k3s, so what k3s is started with is not to be read from it; let ExecStart run k3s itself",
                unit::path(name)
            )),
            _ => None,
        }
    }

    /// The name of the unit that runs k3s, and how that stands; none where k3s is not installed.
    pub fn unit(&self) -> Option<(&str, &Show)> {
        let files = &self.units[&self.role()?];
        Some((&files.name, &files.show))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");

    fn read(role: Role, more: &[(&str, &str)]) -> Result<NodeSettings> {
        let mut text = String::new();
        for (name, content) in [("hostname", "N1"), ("unit:k3s.service", SERVER), ("end", "")]
            .iter()
            .chain(more)
        {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        NodeSettings::read_role(&Facts::parse(text.as_bytes())?, role, DEFAULT_CONFIG)
    }

    #[test]
    fn unit_environment_and_configuration_make_the_settings() {
        let seen = read(
            Role::Server,
            &[
                (
                    "variables:/etc/systemd/system/k3s.service.env",
                    "K3S_DATA_DIR=/env\n",
                ),
                (
                    "config:/etc/rancher/k3s/config.yaml.d/10.yaml",
                    "etcd-snapshot-dir: /snapshots\n",
                ),
                ("config:/etc/rancher/k3s/config.yaml", "data-dir: /data\n"),
                ("binary-version", "k3s version v1.31.4+k3s1 (abc)"),
            ],
        )
        .unwrap();
        assert_eq!(seen.settings().data_dir(), "/data");
        assert_eq!(seen.settings().snapshot_dir(), "/snapshots");
        assert_eq!(seen.unit().unwrap().0, "k3s.service");
        assert_eq!(seen.node_name(), "n1");
        assert_eq!(seen.version.unwrap().to_string(), "v1.31.4+k3s1");
        assert_eq!(seen.config_files[0].0, DEFAULT_CONFIG);
    }

    #[test]
    fn a_unit_that_hides_what_k3s_is_started_with_is_named() {
        let facts = |name: &str, text: &str| {
            let mut all = String::new();
            for (name, content) in [("hostname", "n"), (name, text), ("end", "")] {
                let _ = write!(all, "@{name} {}\n{content}\n", content.len());
            }
            let facts = Facts::parse(all.as_bytes()).unwrap();
            NodeSettings::read(&facts, DEFAULT_CONFIG).unwrap().unreadable()
        };
        let shell = "[Service]\nExecStart=/bin/sh -c \"sleep 5; exec k3s server --data-dir /d\"\n";
        for name in ["unit:k3s.service", "unit:late.service"] {
            let why = facts(name, shell).unwrap();
            assert!(
                why.contains(&format!("/etc/systemd/system/{}", &name[5..])),
                "{why}"
            );
        }
        assert_eq!(facts("unit:k3s.service", SERVER), None);
        assert_eq!(facts("unit:x.service", "[Service]\nExecStart=/bin/x k3s\n"), None);
    }

    #[test]
    fn reports_a_node_of_another_role() {
        let error = read(Role::Agent, &[]).err().unwrap().to_string();
        assert_eq!(error, "there is no k3s agent here: no unit k3s-agent.service");
        let broken = ("unit:k3s-agent.service", "[Service]\n");
        let error = read(Role::Agent, &[broken]).err().unwrap().to_string();
        assert!(error.contains("cannot be read: it has no ExecStart"), "{error}");
    }
}
