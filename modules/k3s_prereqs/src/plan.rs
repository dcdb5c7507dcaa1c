//! What is missing that can be had from inside, and why k3s cannot be there. Pure.

use crate::checks::{self, Check, Names, Verdict};
use crate::params::Params;
use crate::state::{Family, State, UNIT, UNIT_NAME};
use ansible_module::{Diff, Plan};
use anyhow::{Result, bail};
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Install {
        family: Family,
        packages: Vec<String>,
    },
    MakeKmsg {
        /// Whether there is a unit already.
        again: bool,
        /// Whether that is another one than ours, which is kept.
        keep: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install { packages, .. } => write!(f, "install {}", packages.join(", ")),
            Self::MakeKmsg { again: false, .. } => write!(
                f,
                "write, enable and start {UNIT_NAME}, which makes /dev/kmsg before k3s starts"
            ),
            Self::MakeKmsg { again: true, .. } => write!(f, "replace {UNIT_NAME}, and enable and start it"),
        }
    }
}

/// One reason why k3s cannot be here, in words that fit every node that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    rule: &'static str,
    evidence: String,
    next: String,
    config_line: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.evidence, self.rule, self.next)
    }
}

pub(crate) fn refusals(checks: &[Check]) -> Vec<Refused> {
    let refused = checks.iter().filter(|check| check.verdict == Verdict::Refused);
    refused
        .map(|check| Refused {
            rule: check.rule,
            evidence: check.evidence.clone(),
            next: check.next.clone().unwrap_or_default(),
            config_line: check.config_line.clone(),
        })
        .collect()
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let checks = checks::all(params, state, &Names::of(params, state));
    let refusals = refusals(&checks);
    if !refusals.is_empty() && params.fail_on_refusal {
        let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        bail!("{}: {}", state.location, reasons.join(". Also, "));
    }
    let mut plan = Plan {
        warnings: warnings(state, &checks),
        ..Plan::default()
    };
    // What is refused has to end before anything is installed there.
    let Some(family) = state.os.family().filter(|_| refusals.is_empty()) else {
        return Ok(plan);
    };
    let packages = state.missing_packages(params);
    if !packages.is_empty() {
        plan.diff
            .push(diff("packages", "", &format!("{}\n", packages.join("\n"))));
        plan.steps.push(Step::Install { family, packages });
    }
    if state.makes_kmsg() && !state.kmsg_is_made() {
        let before = state.unit.text.as_deref().unwrap_or_default();
        if before != UNIT {
            plan.diff.push(diff(UNIT_NAME, before, UNIT));
        }
        plan.steps.push(Step::MakeKmsg {
            again: state.unit.text.is_some(),
            keep: state.unit.text.as_deref().is_some_and(|text| text != UNIT),
        });
    }
    Ok(plan)
}

fn warnings(state: &State, checks: &[Check]) -> Vec<String> {
    let warned = checks.iter().filter(|check| check.verdict == Verdict::Warning);
    warned
        .map(|check| {
            let next = check.next.as_deref().unwrap_or_default();
            format!("{}: {}: {next}", state.location, check.evidence)
        })
        .collect()
}

fn diff(what: &str, before: &str, after: &str) -> Diff {
    Diff {
        before_header: what.to_owned(),
        after_header: what.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{container, params, ready};
    use serde_json::json;

    fn steps(options: serde_json::Value, state: &State) -> Vec<String> {
        let plan = plan(&params(options), state).unwrap();
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_container_gets_what_can_be_had_from_inside() {
        let reported = steps(json!({"vmid": 111, "packages": ["open-iscsi"]}), &container());
        assert_eq!(
            reported,
            [
                "install nfs-common, open-iscsi",
                "write, enable and start conf-kmsg.service, which makes /dev/kmsg before k3s starts"
            ]
        );
        let plan = plan(&params(json!({"vmid": 111})), &container()).unwrap();
        assert_eq!(plan.diff[0].after, "nfs-common\n");
        assert_eq!(
            (plan.diff[1].before.as_str(), plan.diff[1].after.as_str()),
            ("", UNIT)
        );
    }

    #[test]
    fn red_hat_calls_the_nfs_client_otherwise() {
        let mut state = container();
        state.os.id = "rocky".into();
        assert_eq!(steps(json!({"vmid": 111}), &state)[0], "install nfs-utils");
    }

    #[test]
    fn a_node_that_has_it_all_is_left_alone() {
        assert_eq!(steps(json!({"vmid": 111}), &ready()), Vec::<String>::new());
    }

    #[test]
    fn no_nfs_client_is_installed_where_none_is_wanted() {
        let mut state = ready();
        state.installed.clear();
        assert_eq!(
            steps(json!({"vmid": 111, "nfs_client": false}), &state),
            Vec::<String>::new()
        );
    }

    #[test]
    fn repairs_each_part_of_the_service() {
        let breakages: [fn(&mut State); 4] = [
            |state| state.unit.text = Some("[Service]\n".into()),
            |state| state.unit.enabled = false,
            |state| state.unit.active = false,
            |state| state.kmsg.opens = false,
        ];
        for break_part in breakages {
            let mut state = ready();
            break_part(&mut state);
            let reported = steps(json!({"vmid": 111}), &state);
            assert_eq!(
                reported,
                ["replace conf-kmsg.service, and enable and start it"],
                "{state:?}"
            );
        }
    }

    #[test]
    fn the_kernel_s_own_kmsg_needs_no_service() {
        let mut state = container();
        state.kmsg.kind = Some("device".into());
        state.kmsg.opens = true;
        assert_eq!(steps(json!({"vmid": 111}), &state), ["install nfs-common"]);
    }

    #[test]
    fn what_is_refused_has_to_end_before_anything_is_installed() {
        let mut state = container();
        state.systemd = false;
        let refused = plan(&params(json!({"vmid": 111})), &state)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("its init is not systemd (systemd): use a distribution"),
            "{refused}"
        );
        assert_eq!(
            steps(json!({"vmid": 111, "fail_on_refusal": false}), &state),
            Vec::<String>::new()
        );
    }
}
