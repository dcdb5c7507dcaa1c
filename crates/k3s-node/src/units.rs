//! The units of a node with all that belongs to them. Which of them are k3s, their commands say.

use crate::env_file::{self, Variables};
use crate::facts::{Facts, Show};
use crate::setup::Setup;
use crate::unit::{self, ExecStart, Runs, Unit};
use crate::words;
use anyhow::Result;
use k3s_types::Role;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

/// One unit with its files. Any of them may hold the token, so none is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UnitFiles {
    pub name: String,
    pub text: Option<String>,
    pub env: Option<String>,
    /// The operator's own, by path. Never touched.
    pub drop_ins: Vec<(String, String)>,
    /// The files of variables that unit and drop-ins name, in their order, but for its own environment file.
    variables: Vec<(String, String)>,
    pub show: Show,
}

impl UnitFiles {
    fn read(facts: &Facts, name: &str, shows: &BTreeMap<String, Show>) -> Result<Self> {
        let own = unit::env_path(name);
        let mut files = Self {
            name: name.to_owned(),
            text: facts.text(&format!("unit:{name}"))?,
            env: facts.text(&format!("variables:{own}"))?,
            drop_ins: facts.below(&format!("dropin:{name}:")),
            variables: Vec::new(),
            show: shows.get(name).cloned().unwrap_or_default(),
        };
        let named = files
            .texts()
            .flat_map(|text| Unit::parse(text).environment_files(name));
        let others = named.filter(|path| *path != own);
        files.variables = others
            .filter_map(|path| Some((facts.lossy(&format!("variables:{path}"))?, path)))
            .map(|(text, path)| (path, text))
            .collect();
        Ok(files)
    }

    /// Unit and drop-ins, in the order in which systemd reads them.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let drop_ins = self.drop_ins.iter().map(|(_, text)| text.as_str());
        self.text.as_deref().into_iter().chain(drop_ins)
    }

    /// What the service sees: what unit and drop-ins set, then files, the unit's own environment file last.
    fn environment(&self, env: Option<&str>) -> Variables {
        let set = self.texts().flat_map(|text| Unit::parse(text).environment());
        let mut variables: Variables = set.collect();
        let files = self.variables.iter();
        variables.extend(files.flat_map(|(_, text)| env_file::parse(text)));
        let own = unit::env_path(&self.name);
        // A unit that is still to be written reads it.
        let reads = |text: &str| Unit::parse(text).environment_files(&self.name).contains(&own);
        if self.text.is_none() || self.texts().any(reads) {
            variables.extend(env_file::parse(env.unwrap_or_default()));
        }
        variables
    }

    /// The command of a drop-in that replaces the unit's.
    pub fn replaced_command(&self) -> Option<ExecStart> {
        self.drop_ins
            .iter()
            .rev()
            .find_map(|(_, text)| Unit::parse(text).exec_start().ok().flatten())
    }
}

/// The unit of each role, and what else there is that mentions k3s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    roles: BTreeMap<Role, UnitFiles>,
    /// Further units that start a k3s.
    pub more: Vec<String>,
    /// Units that do not run k3s, though they mention it.
    pub bystanders: Vec<String>,
    /// How those in `more` stand.
    shows: BTreeMap<String, Show>,
}

/// The arguments and the environment that a service is launched with.
#[derive(Clone, PartialEq, Eq)]
pub struct LaunchConfig {
    pub args: Vec<String>,
    pub environment: Variables,
}

impl Units {
    /// Reads what [`crate::Probe::units`] asks for.
    pub fn read(facts: &Facts) -> Result<Self> {
        let shows = Show::parse(&facts.lossy("show").unwrap_or_default());
        let mut others: BTreeMap<String, Runs> = facts
            .below("unit:")
            .into_iter()
            .filter(|(name, _)| Role::ALL.iter().all(|role| role.unit() != name))
            .map(|(name, text)| (name, Unit::parse(&text).runs()))
            .collect();
        let mut roles = BTreeMap::new();
        for role in Role::ALL {
            let usual = facts.text(&format!("unit:{}", role.unit()))?;
            let other = others.iter().find(|(_, runs)| **runs == Runs::K3s(role));
            let name = match (usual, other) {
                (None, Some((name, _))) => name.clone(),
                _ => role.unit().to_owned(),
            };
            others.remove(&name);
            roles.insert(role, UnitFiles::read(facts, &name, &shows)?);
        }
        let (bystanders, more): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(_, runs)| *runs == Runs::Other);
        let names = |units: Vec<(String, Runs)>| units.into_iter().map(|(name, _)| name).collect();
        Ok(Self {
            roles,
            more: names(more),
            bystanders: names(bystanders),
            shows,
        })
    }

    /// Whether any unit runs k3s, however that can be read.
    pub fn is_installed(&self) -> bool {
        !self.more.is_empty() || self.roles.values().any(|files| files.text.is_some())
    }

    /// Of the further units that start a k3s, those that run or start with the machine.
    pub fn more_in_service(&self) -> Vec<&str> {
        let in_service = |name: &&str| self.shows.get(*name).is_some_and(Show::is_in_service);
        self.more.iter().map(String::as_str).filter(in_service).collect()
    }

    /// What unit and environment file say now. Of two units the agent's, so that a server that an agent has
    /// grown by mistake is never taken for the node.
    pub fn on_disk(&self) -> Result<Option<Setup>, (Role, String)> {
        let there = |role: &Role| self[role].text.is_some();
        let Some(role) = [Role::Agent, Role::Server].into_iter().find(there) else {
            return Ok(None);
        };
        self.on_disk_of(role).map_err(|why| (role, why))
    }

    /// What the unit of a role and its environment file say now.
    pub fn on_disk_of(&self, role: Role) -> Result<Option<Setup>, String> {
        let files = &self[&role];
        let enabled = files.show.enabled != "disabled";
        let setup = files
            .text
            .as_deref()
            .map(|text| Setup::of_unit(role, &files.name, text, files.env.as_deref(), enabled));
        setup.transpose()
    }

    /// What the service is launched with when its unit and environment file are `setup`.
    pub fn launch_config(&self, setup: Option<&Setup>) -> LaunchConfig {
        let files = setup.map(|setup| &self[&setup.role]);
        let env = setup.and_then(|setup| setup.env.as_deref());
        let replaced = files
            .and_then(UnitFiles::replaced_command)
            .and_then(|exec| Some(exec.words.split_first()?.1.to_vec()));
        let args = replaced
            .or_else(|| setup.map(|setup| setup.args.clone()))
            .unwrap_or_default();
        let environment = files.map_or_else(
            || env_file::parse(env.unwrap_or_default()),
            |files| files.environment(env),
        );
        LaunchConfig {
            args: words::expand(&args, &environment),
            environment,
        }
    }
}

impl Index<&Role> for Units {
    type Output = UnitFiles;

    fn index(&self, role: &Role) -> &UnitFiles {
        &self.roles[role]
    }
}

impl fmt::Debug for UnitFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = |files: &[(String, String)]| -> Vec<String> {
            files.iter().map(|(path, _)| path.clone()).collect()
        };
        f.debug_struct("UnitFiles")
            .field("name", &self.name)
            .field("has_unit", &self.text.is_some())
            .field("has_env", &self.env.is_some())
            .field("drop_ins", &paths(&self.drop_ins))
            .field("variables", &paths(&self.variables))
            .field("show", &self.show)
            .finish()
    }
}

impl fmt::Debug for LaunchConfig {
    /// Both may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", k3s_types::mask::arguments(&self.args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");
    /// What a playbook that many homelabs are made with writes, without an environment file.
    const NODE: &str = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s agent --server https://10.99.0.101:6443 --token ab%%cd\nKillMode=process\n";

    fn read(frames: &[(&str, &str)]) -> Units {
        let mut text = String::new();
        for (name, content) in frames.iter().chain([&("end", "")]) {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        Units::read(&Facts::parse(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_worker_is_found_under_another_name_and_its_token_is_what_k3s_gets() {
        let units = read(&[
            ("unit:k3s-node.service", NODE),
            (
                "show",
                "Id=k3s-node.service\nActiveState=active\nUnitFileState=enabled\n",
            ),
        ]);
        let setup = units.on_disk().unwrap().unwrap();
        assert_eq!(
            (setup.role, setup.name.as_str()),
            (Role::Agent, "k3s-node.service")
        );
        assert!(units[&Role::Agent].show.is_alive() && setup.enabled);
        let launch_config = units.launch_config(Some(&setup));
        assert_eq!(
            launch_config.args,
            ["--server", "https://10.99.0.101:6443", "--token", "ab%cd"]
        );
        // What is written again is what was there.
        assert_eq!(setup.args[3], "ab%%cd");
    }

    #[test]
    fn a_unit_that_only_mentions_k3s_does_not_count_as_k3s() {
        let shutdown =
            "[Service]\nType=oneshot\nExecStart=/bin/true\nExecStop=/usr/local/bin/k3s-killall.sh\n";
        let backup = "[Service]\nType=oneshot\nExecStart=/usr/local/bin/k3s-backup --all\n";
        let units = read(&[
            ("unit:k3s.service", SERVER),
            ("unit:k3s-shutdown.service", shutdown),
            ("unit:k3s-backup.service", backup),
        ]);
        assert_eq!(units.bystanders, ["k3s-backup.service", "k3s-shutdown.service"]);
        assert!(units.more.is_empty() && units.is_installed());
        assert!(!read(&[("unit:k3s-backup.service", backup)]).is_installed());
        assert_eq!(units.on_disk().unwrap().unwrap().name, "k3s.service");
    }

    #[test]
    fn a_second_k3s_is_one_under_whatever_name() {
        let wrapped = "[Service]\nExecStart=/bin/sh -c 'exec k3s agent'\n";
        let units = read(&[
            ("unit:k3s.service", SERVER),
            ("unit:edge.service", NODE),
            ("unit:edge-2.service", NODE),
            ("unit:late.service", wrapped),
            (
                "show",
                "Id=edge.service\nActiveState=inactive\nUnitFileState=disabled\n\nId=late.service\nActiveState=inactive\nUnitFileState=enabled\n",
            ),
        ]);
        assert_eq!(units[&Role::Agent].name, "edge-2.service");
        assert_eq!(units.more, ["edge.service", "late.service"]);
        assert_eq!(units.more_in_service(), ["late.service"]);
    }

    #[test]
    fn the_environment_is_what_the_unit_reads() {
        let unit = NODE.replace(
            "KillMode",
            "Environment=K3S_DATA_DIR=/one GOGC=50\nEnvironmentFile=-/etc/k3s/vars\nKillMode",
        );
        let with = |more: &[(&str, &str)]| {
            let mut frames = vec![("unit:k3s-node.service", unit.as_str())];
            frames.extend(more);
            let units = read(&frames);
            let setup = units.on_disk().unwrap();
            units.launch_config(setup.as_ref()).environment
        };
        assert_eq!(with(&[])["K3S_DATA_DIR"], "/one");
        let file = ("variables:/etc/k3s/vars", "K3S_DATA_DIR=/two\n");
        assert_eq!(with(&[file])["K3S_DATA_DIR"], "/two");
        // It is there, and the unit does not read it.
        let own = (
            "variables:/etc/systemd/system/k3s-node.service.env",
            "K3S_DATA_DIR=/three\n",
        );
        assert_eq!(with(&[file, own])["K3S_DATA_DIR"], "/two");
        let drop_in = (
            "dropin:k3s-node.service:/x.conf",
            "[Service]\nEnvironmentFile=/etc/systemd/system/k3s-node.service.env\n",
        );
        assert_eq!(with(&[file, own, drop_in])["K3S_DATA_DIR"], "/three");
    }

    #[test]
    fn shows_no_file_of_a_unit() {
        let units = read(&[
            (
                "unit:k3s-node.service",
                &format!("{NODE}EnvironmentFile=/etc/k3s/vars\n"),
            ),
            (
                "dropin:k3s-node.service:/x.conf",
                "[Service]\nEnvironment=K3S_TOKEN=s3cr3t\n",
            ),
            ("variables:/etc/k3s/vars", "K3S_TOKEN=s3cr3t\n"),
            (
                "variables:/etc/systemd/system/k3s-node.service.env",
                "K3S_TOKEN=s3cr3t\n",
            ),
        ]);
        let shown = format!("{units:?}");
        assert!(
            shown.contains("/etc/k3s/vars") && shown.contains("/x.conf"),
            "{shown}"
        );
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("ExecStart"),
            "{shown}"
        );
    }
}
