//! What `programs/look.sh` tells.

use crate::params::Unit;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub has_systemd: bool,
    pub services: BTreeMap<Unit, Service>,
    /// The unit that runs k3s here, where it is neither of the two.
    pub other_name: Option<String>,
    /// Where the script that ends pods is, or would be.
    pub script: String,
    pub script_is_there: bool,
    /// The processes that hold pods.
    pub shims: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub loaded: bool,
    pub active: String,
    pub enabled: String,
}

impl Service {
    /// `activating` and `deactivating` are still something.
    pub fn runs(&self) -> bool {
        !matches!(self.active.as_str(), "" | "inactive" | "failed")
    }

    pub fn is_enabled(&self) -> bool {
        matches!(self.enabled.as_str(), "enabled" | "enabled-runtime")
    }

    pub fn is_in_service(&self) -> bool {
        self.runs() || self.is_enabled()
    }
}

impl State {
    pub(crate) fn parse(text: &str) -> Self {
        let mut state = Self {
            has_systemd: true,
            ..Self::default()
        };
        let lines = text.lines().filter_map(|line| line.split_once('='));
        for (key, value) in lines {
            match key {
                "systemctl" => state.has_systemd = false,
                "script" => value.clone_into(&mut state.script),
                "executable" => state.script_is_there = true,
                "shim" => state.shims.extend(value.parse::<u32>()),
                _ => state.note(key, value),
            }
        }
        state
    }

    fn note(&mut self, key: &str, value: &str) {
        let Some((name, key)) = key.split_once(':') else {
            return;
        };
        let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.to_string() == name) else {
            return;
        };
        let service = self.services.entry(unit).or_default();
        match key {
            "LoadState" => service.loaded = value != "not-found",
            "ActiveState" => value.clone_into(&mut service.active),
            "UnitFileState" => value.clone_into(&mut service.enabled),
            _ => {}
        }
    }

    /// One that exists.
    pub fn service(&self, unit: Unit) -> Option<&Service> {
        self.services.get(&unit).filter(|service| service.loaded)
    }

    pub fn is_in_service(&self, unit: Unit) -> bool {
        self.service(unit).is_some_and(Service::is_in_service)
    }
}
