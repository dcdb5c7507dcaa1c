//! What Molecule's scenarios need of real binaries, and between which of those at hand they are run.

use super::version::Version;

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// It upgrades; the others need one version, and get the newer one of a hop.
    pub(super) upgrades: bool,
}

const fn of_one(name: &'static str) -> Scenario {
    Scenario {
        name,
        upgrades: false,
    }
}

const fn upgrade(name: &'static str) -> Scenario {
    Scenario { name, upgrades: true }
}

pub(super) const SCENARIOS: &[Scenario] = &[
    upgrade("default"),
    upgrade("ha"),
    upgrade("ha-life"),
    of_one("health"),
    of_one("kubeconfig"),
    of_one("install"),
    of_one("canary"),
    of_one("major"),
    of_one("traefik"),
];

/// From one version to the next one that is at hand; or one version, which no other is next to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) from: Option<Version>,
    pub(super) to: Version,
}

impl Hop {
    /// What a scenario finds, oldest first: a cluster starts with the oldest. None: it would have to upgrade, and cannot.
    pub(super) fn versions(&self, scenario: &Scenario) -> Option<Vec<&Version>> {
        match (scenario.upgrades, &self.from) {
            (true, None) => None,
            (true, Some(from)) => Some(vec![from, &self.to]),
            (false, _) => Some(vec![&self.to]),
        }
    }

    pub(super) fn title(&self) -> String {
        match &self.from {
            Some(from) => format!("{} to {}", from.short(), self.to.short()),
            None => self.to.short().to_owned(),
        }
    }
}

/// Every two neighbours that are at most one minor version apart, and each version that has no such neighbour.
pub(super) fn hops(sorted: &[Version]) -> Vec<Hop> {
    let next = |from: &Version, to: &Version| to.minor - from.minor <= 1;
    let mut hops = Vec::new();
    for (index, to) in sorted.iter().enumerate() {
        let from = index
            .checked_sub(1)
            .map(|before| &sorted[before])
            .filter(|from| next(from, to));
        let followed = sorted.get(index + 1).is_some_and(|after| next(to, after));
        if from.is_some() || !followed {
            hops.push(Hop {
                from: from.cloned(),
                to: to.clone(),
            });
        }
    }
    hops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<Hop> {
        let mut versions: Vec<_> = names.iter().map(|name| Version::parse(name).unwrap()).collect();
        versions.sort();
        hops(&versions)
    }

    fn titles(names: &[&str]) -> Vec<String> {
        of(names).iter().map(Hop::title).collect()
    }

    #[test]
    fn neighbours_are_hops_within_a_minor_version_and_to_the_next_one() {
        assert_eq!(
            titles(&[
                "v1.36.2+k3s1",
                "v1.34.9+k3s1",
                "v1.36.10+k3s1",
                "v1.35.6+k3s1",
                "v1.36.10+k3s2"
            ]),
            [
                "v1.34.9 to v1.35.6",
                "v1.35.6 to v1.36.2",
                "v1.36.2 to v1.36.10",
                "v1.36.10 to v1.36.10+k3s2"
            ]
        );
    }

    #[test]
    fn no_minor_version_is_skipped_and_who_has_no_neighbour_is_tried_alone() {
        assert_eq!(
            titles(&["v1.31.4+k3s1", "v1.33.1+k3s1", "v1.34.2+k3s1", "v1.36.3+k3s1"]),
            ["v1.31.4", "v1.33.1 to v1.34.2", "v1.36.3"]
        );
        assert_eq!(titles(&["v1.36.3+k3s1"]), ["v1.36.3"]);
    }

    #[test]
    fn an_upgrade_finds_both_versions_and_another_scenario_the_newer_one() {
        let hops = of(&["v1.35.6+k3s1", "v1.36.3+k3s1"]);
        let found = |hop: &Hop, scenario: &Scenario| {
            let versions = hop.versions(scenario)?;
            Some(
                versions
                    .iter()
                    .map(|version| version.name.clone())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            found(&hops[0], &upgrade("ha")).unwrap(),
            ["v1.35.6+k3s1", "v1.36.3+k3s1"]
        );
        assert_eq!(found(&hops[0], &of_one("health")).unwrap(), ["v1.36.3+k3s1"]);
        let alone = of(&["v1.36.3+k3s1"]);
        assert_eq!(found(&alone[0], &upgrade("ha")), None);
        assert_eq!(found(&alone[0], &of_one("health")).unwrap(), ["v1.36.3+k3s1"]);
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
