//! What k3s needs, compared with what is there. Pure. Each fault comes with the one thing that ends it: the line that the
//! container's configuration lacks, or what has to be done on the Proxmox host.

mod container;
mod system;
#[cfg(test)]
mod tests;

use crate::params::Params;
use crate::state::State;
use host::pct::{Config, config_path};
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    /// k3s starts, but something may not work.
    Warning,
    Refused,
}

/// Nothing in it names the node, so that the same fault of several nodes is one and the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) rule: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) evidence: String,
    /// What to do; none where nothing is to be done.
    pub(crate) next: Option<String>,
    /// The exact line that the container's configuration lacks.
    pub(crate) config_line: Option<String>,
}

/// How what is outside of the node is called in what to do.
pub(crate) struct Names {
    configuration: String,
    host: String,
}

impl Names {
    /// The same for every node.
    pub(crate) fn general(state: &State) -> Self {
        let host = if state.config.is_some() {
            "the Proxmox host"
        } else {
            "the node"
        };
        Self {
            configuration: "the container's configuration (/etc/pve/lxc/<pct_id>.conf)".to_owned(),
            host: host.to_owned(),
        }
    }

    /// Those of this node, for a message of its own.
    pub(crate) fn of(params: &Params, state: &State) -> Self {
        let file = config_path(params.vmid.unwrap_or_default());
        Self {
            configuration: format!("{file} on {}", state.outside),
            host: state.outside.clone(),
        }
    }

    /// That the configuration is given this line; where it has it, that it counts.
    fn line(&self, line: &str, there: bool) -> String {
        let file = &self.configuration;
        if there {
            return format!(
                "{file} has `{line}` already, but it is not in effect: stop and start the container"
            );
        }
        format!(
            "give {file} the line `{line}`, then stop and start the container (a reboot from inside is not enough)"
        )
    }
}

impl Check {
    fn ok(rule: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            rule,
            verdict: Verdict::Ok,
            evidence: evidence.into(),
            next: None,
            config_line: None,
        }
    }

    fn refused(rule: &'static str, evidence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Refused,
            next: Some(next.into()),
            ..Self::ok(rule, evidence)
        }
    }

    fn warning(rule: &'static str, evidence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            ..Self::refused(rule, evidence, next)
        }
    }

    /// Refused for want of this line of the container's configuration.
    fn lacks(
        rule: &'static str,
        evidence: impl Into<String>,
        names: &Names,
        line: &str,
        there: bool,
    ) -> Self {
        Self {
            config_line: (!there).then(|| line.to_owned()),
            ..Self::refused(rule, evidence, names.line(line, there))
        }
    }
}

pub(crate) fn all(params: &Params, state: &State, names: &Names) -> Vec<Check> {
    let mut checks = system::checks(params, state, names);
    if let Some(config) = &state.config {
        checks.extend(container::checks(params, config, names));
    }
    for check in &mut checks {
        if check.verdict == Verdict::Refused && params.allow.iter().any(|rule| rule == check.rule) {
            check.verdict = Verdict::Warning;
        }
    }
    checks
}

/// `features:` as it should be: what is there, and what is needed.
fn features_line(config: &Config) -> String {
    let mut features: Vec<String> = config
        .value("features")
        .unwrap_or_default()
        .split(',')
        .map(|feature| feature.trim().to_owned())
        .filter(|feature| !feature.is_empty() && feature.split('=').next() != Some("nesting"))
        .collect();
    features.push("nesting=1".to_owned());
    features.sort();
    format!("features: {}", features.join(","))
}
