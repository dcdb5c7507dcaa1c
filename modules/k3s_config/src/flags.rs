//! Flags that the k3s of a node does not have. A server passes over such a flag in its files and says so in its log; an agent ends
//! with `flag provided but not defined` (`stripInvalidFlags` of k3s's `pkg/configfilearg`, the same from v1.30 to main of July 2026).

use k3s_node::Role;
use k3s_node::flags::{Reading, reading};
use k3s_types::K3sVersion;

/// A warning for each flag. No refusal: a build newer than what is known here may have it.
pub(crate) fn unknown<'a>(
    keys: impl Iterator<Item = &'a str>,
    role: Option<Role>,
    version: Option<&K3sVersion>,
) -> Vec<String> {
    let known = |key: &str| match role {
        Some(role) => reading(key, role, version),
        // Which of them it is for is not said: what one of them reads is not wrong.
        None => match reading(key, Role::Server, version) {
            Reading::OtherRole => reading(key, Role::Agent, version),
            found => found,
        },
    };
    let warning = |key: &'a str| {
        Some(format!(
            "{}: {}",
            fault(key, known(key), version)?,
            consequence(role)
        ))
    };
    keys.filter_map(warning).collect()
}

fn fault(key: &str, reading: Reading, version: Option<&K3sVersion>) -> Option<String> {
    match reading {
        Reading::Reads => None,
        Reading::From(first) => {
            let version = version.map(ToString::to_string).unwrap_or_default();
            Some(format!(
                "the flag {key} is known of k3s from {first} on, and this is {version}"
            ))
        }
        Reading::OtherRole => Some(format!("{key} is a flag of agents")),
        Reading::Unknown => Some(format!(
            "no k3s from v1.30 to v1.37 is known to have a flag {key}"
        )),
    }
}

fn consequence(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Server) => "a server passes over it",
        Some(Role::Agent) => "an agent that does not have it does not start",
        None => "a server that does not have it passes over it, and an agent does not start",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(key: &str, role: Option<Role>, version: Option<&str>) -> String {
        let version = version.map(|version| version.parse().unwrap());
        unknown(std::iter::once(key), role, version.as_ref()).join(" | ")
    }

    #[test]
    fn warns_of_an_unknown_flag_with_its_effect() {
        for (role, end) in [
            (Some(Role::Server), ": a server passes over it"),
            (
                Some(Role::Agent),
                ": an agent that does not have it does not start",
            ),
            (None, "passes over it, and an agent does not start"),
        ] {
            let warning = warned("node-lable", role, None);
            assert!(
                warning.contains("to have a flag node-lable") && warning.ends_with(end),
                "{warning}"
            );
        }
    }

    #[test]
    fn warns_of_a_newer_flag_only_on_older_builds() {
        let (server, agent) = (Some(Role::Server), Some(Role::Agent));
        assert_eq!(
            warned("helm-controller-arg+", server, Some("v1.36.2+k3s1")),
            "the flag helm-controller-arg+ is known of k3s from v1.36.3 on, and this is v1.36.2+k3s1: a server passes over it"
        );
        assert!(warned("nonroot-devices", agent, Some("v1.31.9+k3s1")).ends_with("does not start"));
        for (key, role, version) in [
            ("helm-controller-arg", server, Some("v1.36.3+k3s1")),
            ("helm-controller-arg", server, None),
            ("nonroot-devices", agent, Some("v1.33.0+k3s1")),
            ("disable", None, Some("v1.33.0+k3s1")),
            ("disable-apiserver-lb", None, None),
        ] {
            assert_eq!(warned(key, role, version), "", "{key}");
        }
    }

    #[test]
    fn warns_a_server_of_an_agent_flag() {
        assert_eq!(
            warned("disable-apiserver-lb", Some(Role::Server), None),
            "disable-apiserver-lb is a flag of agents: a server passes over it"
        );
    }
}
