//! How k3s is installed on a node, read in one go, for modules that go on from there.

use crate::facts::Facts;
use crate::program::{self, Program};
use crate::settings::{self, Config, DEFAULT_CONFIG, Settings};
use crate::setup::{DEFAULT_BINARY, Role};
use crate::units::{Told, Units};
use anyhow::{Context, Result, bail};
use host::Host;
use k3s_types::K3sVersion;

/// A node of one role. It holds secrets (the token), so it shows nothing of itself.
pub struct Installed {
    pub role: Role,
    pub units: Units,
    pub binary: String,
    pub version: Option<K3sVersion>,
    pub told: Told,
    pub config: Config,
    /// Path and text, the main file first where there is one.
    pub config_files: Vec<(String, String)>,
    pub config_path: String,
    hostname: String,
    node_id: Option<String>,
}

impl Installed {
    /// Where the unit names another binary or configuration than is usual, it is looked at once more, there.
    pub fn look(host: &dyn Host, role: Role) -> Result<Self> {
        let usual = Self::look_at(host, role, DEFAULT_BINARY, DEFAULT_CONFIG)?;
        let config = settings::config_path(&usual.told.args, &usual.told.environment);
        if usual.binary == DEFAULT_BINARY && config == DEFAULT_CONFIG {
            return Ok(usual);
        }
        Self::look_at(host, role, &usual.binary, &config)
    }

    fn look_at(host: &dyn Host, role: Role, binary: &str, config: &str) -> Result<Self> {
        let program = Program::new(binary).with("config", config);
        let output = host
            .run(&program.end(&format!("{}put end \"\"\n", program::UNITS)))?
            .succeed(&host.place(), "looking at how k3s is installed")?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.place())?;
        Self::read(&facts, role, config).with_context(|| host.place())
    }

    fn read(facts: &Facts, role: Role, config_path: &str) -> Result<Self> {
        let units = Units::read(facts)?;
        let setup = match units.on_disk_of(role) {
            Ok(Some(setup)) => setup,
            Ok(None) => bail!("there is no k3s {role} here: no unit {}", role.unit()),
            Err(why) => bail!("the unit {} cannot be read: {why}", role.unit()),
        };
        let mut config_files = facts.below("config:");
        config_files.sort_by_key(|(path, _)| (path != config_path, path.clone()));
        let version = facts.lossy("binary-version");
        Ok(Self {
            role,
            binary: setup.binary.clone(),
            version: version.and_then(|text| K3sVersion::from_version_output(&text).ok()),
            told: units.told(Some(&setup)),
            config: Config::of(facts, config_path),
            config_files,
            config_path: config_path.to_owned(),
            hostname: facts.lossy("hostname").unwrap_or_default(),
            node_id: facts.lossy("node-id"),
            units,
        })
    }

    pub fn settings(&self) -> Settings<'_> {
        Settings {
            args: &self.told.args,
            config: &self.config,
            environment: &self.told.environment,
        }
    }

    /// The name under which it registers.
    pub fn node_name(&self) -> String {
        self.settings().node_name(&self.hostname, self.node_id.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");

    fn read(role: Role, more: &[(&str, &str)]) -> Result<Installed> {
        let mut text = String::new();
        for (name, content) in [("hostname", "N1"), ("unit:k3s.service", SERVER), ("end", "")]
            .iter()
            .chain(more)
        {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        Installed::read(&Facts::parse(text.as_bytes())?, role, DEFAULT_CONFIG)
    }

    #[test]
    fn unit_environment_and_configuration_make_the_settings() {
        let seen = read(
            Role::Server,
            &[
                ("env:k3s.service", "K3S_DATA_DIR=/env\n"),
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
        assert_eq!(
            seen.settings().given(&["etcd-snapshot-dir"], "").unwrap().value,
            "/snapshots"
        );
        assert_eq!(seen.node_name(), "n1");
        assert_eq!(seen.version.unwrap().to_string(), "v1.31.4+k3s1");
        assert_eq!(seen.config_files[0].0, DEFAULT_CONFIG);
    }

    #[test]
    fn a_node_of_another_role_is_told() {
        let error = read(Role::Agent, &[]).err().unwrap().to_string();
        assert_eq!(error, "there is no k3s agent here: no unit k3s-agent.service");
        let broken = ("unit:k3s-agent.service", "[Service]\n");
        let error = read(Role::Agent, &[broken]).err().unwrap().to_string();
        assert!(error.contains("cannot be read: it has no ExecStart"), "{error}");
    }
}
