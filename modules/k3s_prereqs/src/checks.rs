//! What k3s needs, held against what is there. Pure. Each fault names the one thing that mends it: the line that the
//! container's configuration lacks, or what has to be done on the Proxmox host.

mod container;
mod system;
#[cfg(test)]
mod tests;

use crate::params::Params;
use crate::state::State;
use host::pct::{Config, config_path};
use serde::Serialize;

/// What an operator may accept by name. Without systemd or a package manager that is known, nothing works here.
pub(crate) const RULES: [&str; 8] = [
    "nesting", "keyctl", "proc_sys", "kmsg", "cgroup", "kernel", "disk", "profile",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    /// k3s starts, but something may not work.
    Warning,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) rule: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    /// What to do; none where nothing is to be done.
    pub(crate) advice: Option<String>,
    /// The exact line that the container's configuration lacks.
    pub(crate) config_line: Option<String>,
}

impl Check {
    fn ok(rule: &'static str, found: impl Into<String>) -> Self {
        Self {
            rule,
            verdict: Verdict::Ok,
            found: found.into(),
            advice: None,
            config_line: None,
        }
    }

    fn refused(rule: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Refused,
            advice: Some(advice.into()),
            ..Self::ok(rule, found)
        }
    }

    fn warning(rule: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            ..Self::refused(rule, found, advice)
        }
    }

    /// The same, mended by this line of the container's configuration; where that is there, by making it count.
    fn with_line(mut self, params: &Params, state: &State, line: &str, there: bool) -> Self {
        let file = config_path(params.vmid.unwrap_or_default());
        let restart = "then stop and start the container (a reboot from inside is not enough)";
        self.advice = Some(if there {
            format!(
                "{file} on {} has `{line}` already, but it is not in effect: stop and start the container",
                state.outside
            )
        } else {
            format!("give {file} on {} the line `{line}`, {restart}", state.outside)
        });
        self.config_line = (!there).then(|| line.to_owned());
        self
    }
}

pub(crate) fn all(params: &Params, state: &State) -> Vec<Check> {
    let mut checks = system::checks(params, state);
    if let Some(config) = &state.config {
        checks.extend(container::checks(params, state, config));
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
        .filter(|feature| !feature.is_empty())
        .collect();
    let needed = if config.is_unprivileged() {
        &["keyctl", "nesting"][..]
    } else {
        &["nesting"]
    };
    for name in needed {
        features.retain(|feature| feature.split('=').next() != Some(name));
        features.push(format!("{name}=1"));
    }
    features.sort();
    format!("features: {}", features.join(","))
}
