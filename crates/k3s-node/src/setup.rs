//! What must be the same before and after: role, arguments, environment, and the files they stand in.

use crate::env_file::{self, Variables};
use crate::unit::{self, Unit};
use k3s_types::Role;
use std::fmt;

pub const DEFAULT_BINARY: &str = "/usr/local/bin/k3s";

/// All that the script forgets. It holds secrets (the token), so it shows neither arguments nor environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Setup {
    pub role: Role,
    /// Of its unit.
    pub name: String,
    pub binary: String,
    /// What follows the role, in order.
    pub args: Vec<String>,
    /// The unit before the change; none where nothing was installed yet.
    pub unit: Option<String>,
    /// The environment file before the change.
    pub env: Option<String>,
    /// Whether the unit starts with the machine.
    pub enabled: bool,
}

impl Setup {
    /// Reads what the unit of `role` holds. An error says why it cannot be replayed.
    pub fn of_unit(
        role: Role,
        name: &str,
        text: &str,
        env: Option<&str>,
        enabled: bool,
    ) -> Result<Self, String> {
        let Some(exec) = Unit::parse(text).exec_start()? else {
            return Err("it has no ExecStart".to_owned());
        };
        let Some((word, args)) = exec.words.split_first() else {
            return Err("its ExecStart has no command after the binary".to_owned());
        };
        if word != role.word() {
            return Err(format!(
                "its ExecStart runs k3s as {word:?}, where the unit's name stands for {role}"
            ));
        }
        Ok(Self {
            role,
            name: name.to_owned(),
            binary: exec.binary,
            args: args.to_vec(),
            unit: Some(text.to_owned()),
            env: env.map(str::to_owned),
            enabled,
        })
    }

    pub fn variables(&self) -> Variables {
        env_file::parse(self.env.as_deref().unwrap_or_default())
    }

    pub fn unit_path(&self) -> String {
        unit::path(&self.name)
    }

    /// What `INSTALL_K3S_NAME` has to be for the script to write this unit: nothing where it has the script's usual name for
    /// the role. An error is a name that no script writes.
    pub fn script_name(&self) -> Result<Option<&str>, String> {
        if self.name == self.role.unit() {
            return Ok(None);
        }
        let name = self
            .name
            .strip_prefix("k3s-")
            .and_then(|rest| rest.strip_suffix(".service"));
        name.filter(|name| !name.is_empty() && *name != Role::Agent.word())
            .map(Some)
            .ok_or_else(|| {
                format!(
                    "the install script writes k3s-<name>.service and not {}",
                    self.name
                )
            })
    }

    /// What of `self` is not so in `found`; empty: nothing was lost. Values are not shown.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.role != found.role {
            differences.push(format!("the role was {} and is {}", self.role, found.role));
        }
        if self.name != found.name {
            differences.push(format!("the unit was {} and is {}", self.name, found.name));
        }
        if self.binary != found.binary {
            differences.push(format!("the binary was {} and is {}", self.binary, found.binary));
        }
        if self.args != found.args {
            let (before, after) = (
                k3s_types::mask::arguments(&self.args),
                k3s_types::mask::arguments(&found.args),
            );
            differences.push(format!("the arguments were {before:?} and are {after:?}"));
        }
        let (before, after) = (self.variables(), found.variables());
        for key in before
            .keys()
            .chain(after.keys().filter(|key| !before.contains_key(*key)))
        {
            match (before.get(key), after.get(key)) {
                (Some(_), None) => differences.push(format!("the variable {key} is gone")),
                (None, Some(_)) => differences.push(format!("the variable {key} is new")),
                (before, after) if before != after => {
                    differences.push(format!("the value of {key} is another"));
                }
                _ => {}
            }
        }
        differences
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with {:?}",
            self.role,
            k3s_types::mask::arguments(&self.args)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = include_str!("../tests/recorded/script-2026-07-k3s-agent.service");
    const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");
    const ENV: &str = "K3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n";

    fn agent() -> Setup {
        Setup::of_unit(Role::Agent, Role::Agent.unit(), AGENT, Some(ENV), true).unwrap()
    }

    #[test]
    fn a_unit_that_is_not_what_its_name_says_is_not_replayed() {
        assert!(
            Setup::of_unit(Role::Server, Role::Server.unit(), AGENT, None, true)
                .unwrap_err()
                .contains("as \"agent\"")
        );
        assert!(Setup::of_unit(Role::Server, Role::Server.unit(), "[Service]\n", None, true).is_err());
        let without_role = "[Service]\nExecStart=/usr/local/bin/k3s\n";
        assert!(Setup::of_unit(Role::Server, Role::Server.unit(), without_role, None, true).is_err());
    }

    #[test]
    fn the_same_settings_in_other_words_do_not_differ() {
        let quoted = "K3S_URL='https://10.99.0.101:6443'\nK3S_TOKEN='labtoken'\n";
        let older = AGENT.replace("User=root\n", "");
        let found = Setup::of_unit(Role::Agent, Role::Agent.unit(), &older, Some(quoted), true).unwrap();
        assert_eq!(agent().differences(&found), [""; 0]);
    }

    #[test]
    fn reports_every_difference_without_values() {
        let server = Setup::of_unit(Role::Server, Role::Server.unit(), SERVER, Some(""), true).unwrap();
        let differences = agent().differences(&server).join("; ");
        for part in [
            "the role was agent and is server",
            "the arguments were",
            "K3S_TOKEN is gone",
            "K3S_URL is gone",
        ] {
            assert!(differences.contains(part), "{differences}");
        }
        let other = ENV.replace("labtoken", "other") + "A=1\n";
        let found = Setup {
            env: Some(other),
            ..agent()
        };
        assert_eq!(
            agent().differences(&found),
            ["the value of K3S_TOKEN is another", "the variable A is new"]
        );
    }

    #[test]
    fn the_script_writes_a_unit_under_a_name_of_its_own_pattern_only() {
        let named = |name: &str| {
            let setup = Setup {
                name: name.to_owned(),
                ..agent()
            };
            setup.script_name().map(|name| name.map(str::to_owned))
        };
        assert_eq!(named("k3s-agent.service"), Ok(None));
        assert_eq!(named("k3s-node.service"), Ok(Some("node".to_owned())));
        for name in ["node.service", "k3s.service", "k3s-.service"] {
            assert!(named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn order_counts() {
        let mut found = agent();
        found.args.swap(0, 2);
        assert_eq!(agent().differences(&found).len(), 1);
    }

    #[test]
    fn debugging_shows_no_token() {
        let mut setup = agent();
        setup.args = vec!["--token".to_owned(), "s3cr3t".to_owned()];
        assert!(!format!("{setup:?}").contains("s3cr3t") && !format!("{setup:?}").contains("labtoken"));
    }
}
