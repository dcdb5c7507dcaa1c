//! A module's documentation: `modules/<name>/<name>.yml`, and beside it that of a deprecated name.

use crate::repo::Repo;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
pub(crate) struct Sidecar {
    /// Relative to the root.
    #[serde(skip)]
    pub path: String,
    #[serde(rename = "DOCUMENTATION")]
    pub documentation: Mapping,
    #[serde(rename = "EXAMPLES")]
    pub examples: String,
    #[serde(rename = "RETURN")]
    pub returned: Mapping,
}

/// A documented option. A map keeps the order of the file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DocumentedOption {
    pub r#type: Option<String>,
    pub elements: Option<String>,
    #[serde(default)]
    pub required: bool,
    pub default: Option<Value>,
    pub choices: Option<Vec<Value>>,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub suboptions: Option<Mapping>,
}

impl Sidecar {
    pub(crate) fn of(repo: &Repo, module: &str) -> Result<Self> {
        let sidecars = repo.sidecars()?;
        let path = sidecars.get(module);
        let path = path.with_context(|| format!("modules/*/{module}.yml: there is no such sidecar"))?;
        Self::read(repo, path)
    }

    fn read(repo: &Repo, path: &str) -> Result<Self> {
        let mut sidecar: Self =
            serde_yaml_ng::from_str(&repo.read(path)?).with_context(|| format!("reading {path}"))?;
        path.clone_into(&mut sidecar.path);
        Ok(sidecar)
    }

    /// Whether the module is an old name, kept for tasks that still use it.
    pub(crate) fn is_deprecated(&self) -> bool {
        self.documentation.contains_key("deprecated")
    }

    pub(crate) fn short_description(&self) -> &str {
        self.documentation
            .get("short_description")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn options(&self) -> Result<Vec<(String, DocumentedOption)>> {
        match self.documentation.get("options") {
            Some(Value::Mapping(options)) => typed_options(options),
            _ => Ok(Vec::new()),
        }
    }

    /// Every name by which an option may be given.
    pub(crate) fn option_names(&self) -> Result<BTreeSet<String>> {
        let names = |(name, option): (String, DocumentedOption)| {
            option.aliases.into_iter().chain([name]).collect::<Vec<_>>()
        };
        Ok(self.options()?.into_iter().flat_map(names).collect())
    }

    /// Whether the module may be run in check mode.
    pub(crate) fn supports_check_mode(&self) -> bool {
        let support = self
            .documentation
            .get("attributes")
            .and_then(|attributes| attributes.get("check_mode"))
            .and_then(|check_mode| check_mode.get("support"));
        support
            .and_then(Value::as_str)
            .is_some_and(|support| support != "none")
    }
}

pub(crate) fn typed_options(options: &Mapping) -> Result<Vec<(String, DocumentedOption)>> {
    let typed = |(name, option): (&Value, &Value)| {
        let name = name.as_str().unwrap_or_default().to_owned();
        let option = serde_yaml_ng::from_value(option.clone())
            .with_context(|| format!("reading the documentation of option {name}"))?;
        Ok((name, option))
    };
    options.iter().map(typed).collect()
}

/// All sidecars, by module.
pub(crate) fn all(repo: &Repo) -> Result<BTreeMap<String, Sidecar>> {
    let sidecars = repo.sidecars()?.into_iter();
    sidecars
        .map(|(name, path)| Sidecar::read(repo, &path).map(|sidecar| (name, sidecar)))
        .collect()
}
