//! Releases of k3s whose migration is known to fail. They are data (`known_bad.json`).

use anyhow::{Context, Result};
use k3s_types::K3sVersion;
use serde::Deserialize;

const RELEASES: &str = include_str!("../known_bad.json");

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownBad {
    /// The name by which a user lifts it.
    pub(crate) rule: String,
    releases: Vec<Range>,
    pub(crate) why: String,
    pub(crate) next: String,
    /// Where this is known from.
    pub(crate) source: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: K3sVersion,
    before: K3sVersion,
}

pub(crate) fn all() -> Result<Vec<KnownBad>> {
    serde_json::from_str(RELEASES).context("reading the list of releases with a known fault")
}

/// An unknown rule is a typing error, which would otherwise lift nothing without a word.
pub(crate) fn check_names(names: &[String]) -> Result<(), String> {
    let rules = all().map_err(|error| format!("{error:#}"))?;
    let known: Vec<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!(
            "allow_known_bad: there is no rule {name}; there are {}",
            known.join(", ")
        )),
    }
}

impl KnownBad {
    pub(crate) fn is_about(&self, version: &K3sVersion) -> bool {
        self.releases
            .iter()
            .any(|range| range.from <= *version && *version < range.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_and_names_its_source() {
        for rule in all().unwrap() {
            assert!(!rule.source.is_empty() && !rule.why.is_empty() && !rule.next.is_empty());
            for range in &rule.releases {
                assert!(range.from < range.before, "{}", rule.rule);
            }
        }
    }

    #[test]
    fn the_releases_of_may_2025_are_known_and_their_neighbours_are_not() {
        let rules = all().unwrap();
        let bad = |version: &str| {
            let version = version.parse().unwrap();
            rules.iter().any(|rule| rule.is_about(&version))
        };
        for version in ["v1.30.13", "v1.31.9", "v1.32.5", "v1.33.1"] {
            assert!(bad(&format!("{version}+k3s1")), "{version}");
        }
        for version in [
            "v1.30.12", "v1.30.14", "v1.31.8", "v1.31.10", "v1.32.4", "v1.32.6", "v1.33.0", "v1.33.2",
            "v1.34.0",
        ] {
            assert!(!bad(&format!("{version}+k3s1")), "{version}");
        }
    }

    #[test]
    fn rejects_an_unknown_rule() {
        assert_eq!(check_names(&["temporary_kine".to_owned()]), Ok(()));
        let error = check_names(&["kine".to_owned()]).unwrap_err();
        assert_eq!(
            error,
            "allow_known_bad: there is no rule kine; there are temporary_kine"
        );
    }
}
