//! The units of a node with all that belongs to them.

use crate::env_file::{self, Variables};
use crate::facts::{Facts, Show};
use crate::setup::{Role, Setup};
use crate::unit::{ExecStart, Unit};
use anyhow::Result;
use std::collections::BTreeMap;
use std::ops::Index;

/// One unit with its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFiles {
    pub text: Option<String>,
    pub env: Option<String>,
    /// The operator's own, by path. Never touched.
    pub drop_ins: Vec<(String, String)>,
    /// `/etc/default/<unit>` and `/etc/sysconfig/<unit>`, which newer units read before the environment file.
    defaults: Vec<String>,
    pub show: Show,
}

impl UnitFiles {
    fn read(facts: &Facts, role: Role, shows: &mut BTreeMap<String, Show>) -> Result<Self> {
        let name = role.unit();
        let defaults = ["default", "sysconfig"].map(|place| facts.lossy(&format!("{place}:{name}")));
        Ok(Self {
            text: facts.text(&format!("unit:{name}"))?,
            env: facts.text(&format!("env:{name}"))?,
            drop_ins: facts.below(&format!("dropin:{name}:")),
            defaults: defaults.into_iter().flatten().collect(),
            show: shows.remove(name).unwrap_or_default(),
        })
    }

    /// What the service sees: drop-ins, then files, the unit's own environment file last.
    fn environment(&self, env: Option<&str>) -> Variables {
        let drop_ins = self
            .drop_ins
            .iter()
            .flat_map(|(_, text)| Unit::parse(text).environment());
        let mut variables: Variables = drop_ins.collect();
        if self
            .text
            .as_deref()
            .is_some_and(|text| Unit::parse(text).reads_defaults())
        {
            variables.extend(self.defaults.iter().flat_map(|text| env_file::parse(text)));
        }
        variables.extend(env_file::parse(env.unwrap_or_default()));
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

/// Both units that the install script knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(BTreeMap<Role, UnitFiles>);

/// What a service is told by its arguments and by its environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    pub args: Vec<String>,
    pub environment: Variables,
}

impl Units {
    /// Reads what `programs/units.sh` printed.
    pub fn read(facts: &Facts) -> Result<Self> {
        let mut shows = Show::parse(&facts.lossy("show").unwrap_or_default());
        let mut units = BTreeMap::new();
        for role in Role::ALL {
            units.insert(role, UnitFiles::read(facts, role, &mut shows)?);
        }
        Ok(Self(units))
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
            .map(|text| Setup::of_unit(role, text, files.env.as_deref(), enabled));
        setup.transpose()
    }

    /// What the service is told where its unit and environment file are `setup`.
    pub fn told(&self, setup: Option<&Setup>) -> Told {
        let files = setup.map(|setup| &self[&setup.role]);
        let env = setup.and_then(|setup| setup.env.as_deref());
        let replaced = files
            .and_then(UnitFiles::replaced_command)
            .and_then(|exec| Some(exec.words.split_first()?.1.to_vec()));
        Told {
            args: replaced
                .or_else(|| setup.map(|setup| setup.args.clone()))
                .unwrap_or_default(),
            environment: files.map_or_else(
                || env_file::parse(env.unwrap_or_default()),
                |files| files.environment(env),
            ),
        }
    }
}

impl Index<&Role> for Units {
    type Output = UnitFiles;

    fn index(&self, role: &Role) -> &UnitFiles {
        &self.0[role]
    }
}

impl std::fmt::Debug for Told {
    /// Both may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", k3s_types::mask::arguments(&self.args))
    }
}
