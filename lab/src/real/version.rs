//! A k3s version, as far as the lab orders them.

use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// As released: v1.31.4+k3s1.
    pub(super) name: String,
    pub(super) minor: u64,
    patch: u64,
    build: u64,
}

impl Version {
    /// None: not a release. Candidates are not tried.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (numbers, build) = name.strip_prefix("v1.")?.split_once("+k3s")?;
        let (minor, patch) = numbers.split_once('.')?;
        Some(Self {
            minor: minor.parse().ok()?,
            patch: patch.parse().ok()?,
            build: build.parse().ok()?,
            name: name.to_owned(),
        })
    }

    /// Without the number of the build where it is the first, as nearly always.
    pub(super) fn short(&self) -> &str {
        self.name.strip_suffix("+k3s1").unwrap_or(&self.name)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.minor, self.patch, self.build).cmp(&(other.minor, other.patch, other.build))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let order = |a, b| Version::parse(a).unwrap().cmp(&Version::parse(b).unwrap());
        assert_eq!(order("v1.9.10+k3s1", "v1.31.4+k3s1"), Ordering::Less);
        assert_eq!(order("v1.31.10+k3s1", "v1.31.4+k3s1"), Ordering::Greater);
        assert_eq!(order("v1.31.4+k3s2", "v1.31.4+k3s10"), Ordering::Less);
        assert_eq!(order("v1.31.4+k3s2", "v1.31.4+k3s2"), Ordering::Equal);
    }

    #[test]
    fn reads_releases_only() {
        for text in [
            "",
            "stable",
            "v1.31.4",
            "1.31.4+k3s1",
            "v1.31.4-rc1+k3s1",
            "v1.31+k3s1",
            "v2.0.0+k3s1",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
