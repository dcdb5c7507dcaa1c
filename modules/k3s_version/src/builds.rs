//! The table of builds (`builds.json`, written by `cargo xtask builds`): what each carries, and the way from one to
//! another.

use anyhow::{Context, Result};
use k3s_types::K3sVersion;
use k3s_types::builds::{Build, Component, numbers};
use std::collections::VecDeque;

const TABLE: &str = include_str!("../builds.json");

/// In ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builds(Vec<Build>);

/// To builds with etcd `reaching` or later, every member has to run `from` or later before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EtcdStep<'r> {
    pub reaching: &'r str,
    pub from: &'r str,
}

impl EtcdStep<'_> {
    pub(crate) fn allows(self, running: &str, carried: &str) -> bool {
        numbers(carried) < numbers(self.reaching) || numbers(running) >= numbers(self.from)
    }
}

impl Builds {
    pub(crate) fn all() -> Result<Self> {
        let mut builds: Vec<Build> = serde_json::from_str(TABLE).context("reading the table of builds")?;
        builds.sort_by(|one, other| one.version.cmp(&other.version));
        Ok(Self(builds))
    }

    /// The build by which a version is judged: itself, else the newest of its minor that is not newer. Of a minor
    /// without any, the newest of all.
    pub(crate) fn nearest(&self, version: &K3sVersion) -> Option<&Build> {
        let of_minor = |build: &&Build| build.version.minor_version() == version.minor_version();
        let minor: Vec<&Build> = self.0.iter().filter(of_minor).collect();
        let known = if minor.is_empty() {
            self.0.iter().collect()
        } else {
            minor
        };
        let older = known.iter().rev().find(|build| build.version <= *version);
        older.or(known.first()).copied()
    }

    /// The version of a component inside. Where no source has it for the build itself, that of the build before it.
    pub(crate) fn carried(&self, version: &K3sVersion, component: Component) -> Option<&str> {
        let nearest = self.nearest(version)?;
        let older = self
            .0
            .iter()
            .rev()
            .filter(|build| build.version <= nearest.version);
        let same = older.filter(|build| build.version.minor_version() == nearest.version.minor_version());
        same.into_iter().find_map(|build| build.component(component))
    }

    /// The shortest way, by one minor at most each time and over the newest builds: the versions to go to, of which
    /// the last is `to`. `None`: the table has none.
    pub(crate) fn way(
        &self,
        from: &K3sVersion,
        etcd: &str,
        to: &K3sVersion,
        steps: &[EtcdStep],
    ) -> Option<Vec<K3sVersion>> {
        let reachable = self.up_to(to)?;
        let mut seen: Vec<&K3sVersion> = Vec::new();
        let mut paths: VecDeque<(&str, Vec<&K3sVersion>)> = VecDeque::from([(etcd, vec![from])]);
        while let Some((etcd, way)) = paths.pop_front() {
            let here = *way.last()?;
            if here == to {
                return Some(way.into_iter().skip(1).cloned().collect());
            }
            for (there, carried) in &reachable {
                let allowed = steps.iter().all(|step| step.allows(etcd, carried));
                if allowed && is_one_minor_at_most(here, there) && !seen.contains(there) {
                    seen.push(there);
                    paths.push_back((carried, way.iter().copied().chain([*there]).collect()));
                }
            }
        }
        None
    }

    /// The target and the builds before it whose etcd is known, newest first, each with its etcd.
    fn up_to<'b>(&'b self, to: &'b K3sVersion) -> Option<Vec<(&'b K3sVersion, &'b str)>> {
        let target = (to, self.carried(to, Component::Etcd)?);
        let before = self.0.iter().rev().filter(|build| build.version < *to);
        let known = before.filter_map(|build| Some((&build.version, build.etcd.as_deref()?)));
        Some(std::iter::once(target).chain(known).collect())
    }
}

fn is_one_minor_at_most(from: &K3sVersion, to: &K3sVersion) -> bool {
    from < to && from.major == to.major && to.minor <= from.minor + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_types::{Build as Number, Stage};
    use std::collections::BTreeSet;

    const STEPS: [EtcdStep; 2] = [
        EtcdStep {
            reaching: "3.6",
            from: "3.5.26",
        },
        EtcdStep {
            reaching: "3.7",
            from: "3.6.11",
        },
    ];

    fn version(text: &str) -> K3sVersion {
        text.parse().unwrap()
    }

    fn nearest(text: &str) -> String {
        let builds = Builds::all().unwrap();
        builds.nearest(&version(text)).unwrap().version.to_string()
    }

    fn carried(text: &str, component: Component) -> String {
        let builds = Builds::all().unwrap();
        builds.carried(&version(text), component).unwrap().to_owned()
    }

    fn way(from: &str, to: &str) -> Option<Vec<String>> {
        let builds = Builds::all().unwrap();
        let etcd = carried(from, Component::Etcd);
        let way = builds.way(&version(from), &etcd, &version(to), &STEPS)?;
        Some(way.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_table_has_every_minor_in_order_and_each_build_a_source() {
        let Builds(builds) = Builds::all().unwrap();
        let minors: BTreeSet<u32> = builds.iter().map(|build| build.version.minor).collect();
        assert_eq!(minors, (30..=37).collect());
        for (build, next) in builds.iter().zip(&builds[1..]) {
            assert!(build.version < next.version, "{} is there twice", build.version);
            assert!(!build.source.is_empty(), "{}", build.version);
            assert_eq!(build.version.stage, Stage::Released);
            assert!(matches!(build.version.build, Number::Number(_)));
        }
        for first in ["v1.30.0+k3s1", "v1.33.0+k3s1", "v1.36.0+k3s1", "v1.37.1+k3s1"] {
            assert_eq!(nearest(first), first);
        }
    }

    #[test]
    fn late_builds_of_1_33_carry_etcd_3_6_and_1_37_brings_3_7() {
        for (build, etcd) in [
            ("v1.33.7+k3s3", "3.5.26"),
            ("v1.33.10+k3s1", "3.5.26"),
            ("v1.33.11+k3s1", "3.6.7"),
            ("v1.34.9+k3s1", "3.6.12"),
            ("v1.35.5+k3s1", "3.6.7"),
            ("v1.35.6+k3s1", "3.6.12"),
            ("v1.36.0+k3s1", "3.6.7"),
            ("v1.36.1+k3s1", "3.6.7"),
            ("v1.36.2+k3s1", "3.6.12"),
            ("v1.37.0+k3s1", "3.7.1"),
        ] {
            assert_eq!(
                numbers(&carried(build, Component::Etcd)),
                numbers(etcd),
                "{build}"
            );
        }
    }

    #[test]
    fn an_unknown_build_is_judged_by_the_newest_known_of_its_minor() {
        assert_eq!(nearest("v1.36.9+k3s1"), "v1.36.5+k3s1");
        assert_eq!(
            nearest("v1.33.7+k3s2"),
            "v1.33.7+k3s1",
            "one in between by the one before it"
        );
        assert_eq!(nearest("v1.36.3+k3s-866d743e"), "v1.36.2+k3s1");
        assert_eq!(
            nearest("v1.34.0-rc1+k3s1"),
            "v1.34.1+k3s1",
            "before the first: by the first"
        );
        assert_eq!(
            nearest("v1.38.0+k3s1"),
            "v1.37.1+k3s1",
            "a minor without any: by the newest"
        );
    }

    #[test]
    fn what_is_not_known_of_a_build_is_taken_from_the_one_before() {
        assert_eq!(
            carried("v1.34.12+k3s1", Component::Etcd),
            carried("v1.34.11+k3s1", Component::Etcd)
        );
        assert_eq!(carried("v1.34.11+k3s1", Component::Traefik), "3.7.4");
    }

    #[test]
    fn the_way_from_1_31_to_1_36_is_one_answer() {
        assert_eq!(
            way("v1.31.4+k3s1", "v1.36.5+k3s1").unwrap(),
            [
                "v1.32.13+k3s1",
                "v1.33.13+k3s2",
                "v1.34.11+k3s1",
                "v1.35.8+k3s1",
                "v1.36.5+k3s1"
            ]
        );
    }

    #[test]
    fn the_way_stops_where_etcd_has_to_be_newer_first() {
        assert_eq!(
            way("v1.33.6+k3s1", "v1.34.9+k3s1").unwrap(),
            ["v1.33.10+k3s1", "v1.34.9+k3s1"],
            "3.5.26 first, and not the newest 1.33, which has 3.6 already"
        );
        assert_eq!(
            way("v1.32.5+k3s1", "v1.33.12+k3s1").unwrap(),
            ["v1.33.10+k3s1", "v1.33.12+k3s1"]
        );
        assert_eq!(
            way("v1.36.1+k3s1", "v1.37.0+k3s1").unwrap(),
            ["v1.36.5+k3s1", "v1.37.0+k3s1"]
        );
        assert_eq!(way("v1.36.2+k3s1", "v1.37.0+k3s1").unwrap(), ["v1.37.0+k3s1"]);
    }

    #[test]
    fn where_the_table_has_no_way_none_is_made_up() {
        assert_eq!(way("v1.28.5+k3s1", "v1.31.4+k3s1"), None, "it has no 1.29");
        assert_eq!(way("v1.37.1+k3s1", "v1.39.0+k3s1"), None, "nor a 1.38");
        assert_eq!(way("v1.37.1+k3s1", "v1.38.0+k3s1").unwrap(), ["v1.38.0+k3s1"]);
        assert_eq!(way("v1.36.1+k3s1", "v1.35.1+k3s1"), None, "back is not a way");
    }
}
