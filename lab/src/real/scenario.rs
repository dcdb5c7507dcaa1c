//! What each Molecule scenario needs of real binaries, and which of those at hand it gets.

use super::version::Version;

/// How far apart the two versions of an upgrade are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// Within a minor version.
    Patch,
    /// From one minor version to the next.
    Minor,
    /// Whichever there is, a patch first: it reaches the newest version.
    Any,
}

/// What an older k3s cannot do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Minor and patch.
    pub(super) version: (u64, u64),
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// None: it needs one version.
    pub(super) hop: Option<Hop>,
    pub(super) since: Option<Since>,
}

const fn of_one(name: &'static str) -> Scenario {
    Scenario {
        name,
        hop: None,
        since: None,
    }
}

const fn upgrade(name: &'static str, hop: Hop) -> Scenario {
    Scenario {
        name,
        hop: Some(hop),
        since: None,
    }
}

pub(super) const SCENARIOS: &[Scenario] = &[
    upgrade("default", Hop::Patch),
    upgrade("ha", Hop::Minor),
    Scenario {
        name: "ha-life",
        hop: Some(Hop::Any),
        since: Some(Since {
            version: (22, 2),
            reason: "an older k3s does not move SQLite into etcd: it begins an empty datastore",
        }),
    },
    of_one("health"),
    of_one("kubeconfig"),
    Scenario {
        name: "install",
        hop: None,
        since: Some(Since {
            version: (21, 0),
            reason: "an older k3s does not read config.yaml.d",
        }),
    },
    of_one("canary"),
    of_one("major"),
    Scenario {
        name: "traefik",
        hop: None,
        since: Some(Since {
            version: (21, 0),
            reason: "an older k3s packages Traefik 1, which has no definitions",
        }),
    },
];

/// A scenario with the versions that it is to find, oldest first; or why it cannot be run with these.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Run {
        scenario: &'static str,
        versions: Vec<Version>,
        /// What differs from the scenario as it is with the stand-in.
        note: Option<&'static str>,
    },
    Out {
        scenario: &'static str,
        reason: String,
    },
}

pub(super) fn turn(scenario: &Scenario, at_hand: &[Version]) -> Turn {
    let recent: Vec<&Version> = at_hand
        .iter()
        .filter(|version| {
            scenario
                .since
                .is_none_or(|since| (version.minor, version.patch) >= since.version)
        })
        .collect();
    let found = match scenario.hop {
        None => recent.last().map(|newest| (vec![(*newest).clone()], None)),
        Some(hop) => pair(&recent, hop),
    };
    if let Some((versions, note)) = found {
        return Turn::Run {
            scenario: scenario.name,
            versions,
            note,
        };
    }
    let wanted = match scenario.hop {
        None => "one version",
        Some(_) => "two versions, of one minor or of two that follow each other",
    };
    let at_least = scenario.since.map_or(String::new(), |since| {
        let (minor, patch) = since.version;
        format!(" from v1.{minor}.{patch} on ({})", since.reason)
    });
    Turn::Out {
        scenario: scenario.name,
        reason: format!("it needs {wanted}{at_least}"),
    }
}

/// The newest two that are so far apart; else, said, the newest two of the other kind.
fn pair(sorted: &[&Version], hop: Hop) -> Option<(Vec<Version>, Option<&'static str>)> {
    let patch = || newest_pair(sorted, 0);
    let minor = || newest_pair(sorted, 1);
    match hop {
        Hop::Any => patch().or_else(minor).map(|pair| (pair, None)),
        Hop::Patch => patch()
            .map(|pair| (pair, None))
            .or_else(|| minor().map(|pair| (pair, Some("a minor version, as no two are a patch apart")))),
        Hop::Minor => minor().map(|pair| (pair, None)).or_else(|| {
            patch().map(|pair| (pair, Some("a patch, as no two minor versions follow each other")))
        }),
    }
}

/// The newest version for which there is one so many minor versions before it: of those the newest, but of its own minor the oldest.
fn newest_pair(sorted: &[&Version], apart: u64) -> Option<Vec<Version>> {
    sorted.iter().rev().find_map(|to| {
        let mut before = sorted
            .iter()
            .filter(|from| from.minor + apart == to.minor && **from < *to);
        let from = if apart == 0 {
            before.next()
        } else {
            before.next_back()
        };
        from.map(|from| vec![(**from).clone(), (**to).clone()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, versions: &[&str]) -> String {
        let mut at_hand: Vec<Version> = versions
            .iter()
            .map(|text| Version::parse(text).unwrap())
            .collect();
        at_hand.sort();
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        match turn(scenario, &at_hand) {
            Turn::Run { versions, note, .. } => {
                let names: Vec<_> = versions.iter().map(|version| version.name.as_str()).collect();
                format!(
                    "{}{}",
                    names.join(" "),
                    note.map_or(String::new(), |note| format!(" ({note})"))
                )
            }
            Turn::Out { reason, .. } => format!("out: {reason}"),
        }
    }

    const FOUR: [&str; 4] = ["v1.22.5+k3s1", "v1.20.8+k3s1", "v1.21.2+k3s1", "v1.22.3+k3s1"];

    #[test]
    fn a_scenario_of_one_version_gets_the_newest() {
        assert_eq!(told("health", &FOUR), "v1.22.5+k3s1");
        assert_eq!(told("health", &["v1.9.1+k3s1", "v1.31.4+k3s1"]), "v1.31.4+k3s1");
    }

    #[test]
    fn an_upgrade_gets_the_newest_two_that_are_as_far_apart_as_it_wants() {
        assert_eq!(told("default", &FOUR), "v1.22.3+k3s1 v1.22.5+k3s1");
        assert_eq!(told("ha", &FOUR), "v1.21.2+k3s1 v1.22.5+k3s1");
        assert_eq!(told("ha-life", &FOUR), "v1.22.3+k3s1 v1.22.5+k3s1");
    }

    #[test]
    fn the_other_kind_of_hop_is_better_than_none_and_is_said() {
        let minors = ["v1.31.4+k3s1", "v1.32.2+k3s1"];
        assert_eq!(
            told("default", &minors),
            "v1.31.4+k3s1 v1.32.2+k3s1 (a minor version, as no two are a patch apart)"
        );
        assert_eq!(told("ha-life", &minors), "v1.31.4+k3s1 v1.32.2+k3s1");
        let patches = ["v1.31.4+k3s1", "v1.31.4+k3s2"];
        assert_eq!(
            told("ha", &patches),
            "v1.31.4+k3s1 v1.31.4+k3s2 (a patch, as no two minor versions follow each other)"
        );
    }

    #[test]
    fn what_a_version_cannot_do_is_left_out_with_the_reason() {
        assert_eq!(
            told("ha-life", &["v1.20.8+k3s1", "v1.21.2+k3s1"]),
            "out: it needs two versions, of one minor or of two that follow each other from v1.22.2 on (an older k3s does not \
             move SQLite into etcd: it begins an empty datastore)"
        );
        assert!(
            told("traefik", &["v1.20.8+k3s1"])
                .starts_with("out: it needs one version from v1.21.0 on (an older")
        );
        assert_eq!(
            told("default", &["v1.31.4+k3s1", "v1.33.1+k3s1"]),
            "out: it needs two versions, of one minor or of two that follow each other"
        );
        assert_eq!(told("default", &["v1.31.4+k3s1"]), told("default", &[]));
    }

    #[test]
    fn every_scenario_of_the_project_has_its_line() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../molecule");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("molecule.yml").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut named: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        named.sort_unstable();
        assert_eq!(there, named);
    }
}
