//! Types about k3s that several crates use: versions of builds, roles of nodes, and the masking of secrets.
//!
//! A version (`v1.33.7+k3s3`, `v1.36.3-rc1+k3s2`) is not quite `SemVer`. There `+k3sN` has no rank, but here it changes
//! what is inside (v1.33.7+k3s3 brings another etcd than +k3s1); there `rc10` comes before `rc2`. So the order is written
//! out once, here.

pub mod builds;
pub mod flags;
pub mod mask;
mod role;

pub use role::Role;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Fields stand in the order in which they are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct K3sVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    pub stage: Stage,
    pub build: Build,
}

/// How far a version has come: a candidate is older than the release that it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Alpha(u32),
    Beta(u32),
    Candidate(u32),
    Released,
}

/// What follows the `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Build {
    /// `+k3s-5d0a12a6`, `+k3s-5d0a12a6-dirty`: built from a commit, or from what nobody has committed. It has no rank
    /// among the numbered ones, so any of them replaces it.
    Commit(String),
    /// `+k3s1`.
    Number(u32),
}

/// How far it is from one version to another: the first part, from the left, that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// Nothing to do.
    None,
    /// The k3s build or the pre-release differs, Kubernetes does not.
    Build,
    Patch,
    Minor,
    /// At least one minor is skipped.
    MultiMinor,
    Downgrade,
    Major,
}

impl K3sVersion {
    /// Reads `k3s version v1.33.0+k3s1 (63ab8e53)`, the first line of what `k3s --version` prints.
    pub fn from_version_output(text: &str) -> Result<Self, NotAVersion> {
        // A binary calls itself by the name of its file, whatever that is.
        let versions = text.lines().filter_map(|line| line.split_once(" version "));
        let mut words = versions.filter_map(|(_, rest)| rest.split_whitespace().next());
        let word = words.find(|word| word.starts_with('v'));
        word.ok_or_else(|| NotAVersion {
            received: excerpt(text),
        })?
        .parse()
    }

    /// Whether this is a numbered build, which alone can be downloaded.
    pub fn is_numbered(&self) -> bool {
        matches!(self.build, Build::Number(_))
    }

    /// `1.33`: what Kubernetes' version skew policy speaks of.
    pub fn minor_version(&self) -> (u32, u32) {
        (self.major, self.minor)
    }

    pub fn hop_to(&self, target: &Self) -> Hop {
        if target == self {
            Hop::None
        } else if target < self {
            Hop::Downgrade
        } else if target.major != self.major {
            Hop::Major
        } else if target.minor > self.minor + 1 {
            Hop::MultiMinor
        } else if target.minor != self.minor {
            Hop::Minor
        } else if target.patch != self.patch {
            Hop::Patch
        } else {
            Hop::Build
        }
    }
}

impl fmt::Display for K3sVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        match self.stage {
            Stage::Alpha(number) => write!(f, "-alpha{number}")?,
            Stage::Beta(number) => write!(f, "-beta{number}")?,
            Stage::Candidate(number) => write!(f, "-rc{number}")?,
            Stage::Released => {}
        }
        match &self.build {
            Build::Commit(commit) => write!(f, "+k3s-{commit}"),
            Build::Number(number) => write!(f, "+k3s{number}"),
        }
    }
}

/// The text is not a version of k3s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAVersion {
    received: String,
}

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a version of k3s (vX.Y.Z+k3sN, vX.Y.Z-rcN+k3sN)",
            self.received
        )
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for K3sVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        parse(text).ok_or_else(|| NotAVersion {
            received: excerpt(text),
        })
    }
}

/// Enough of a strange answer to recognise it by.
fn excerpt(text: &str) -> String {
    text.trim().chars().take(80).collect()
}

fn parse(text: &str) -> Option<K3sVersion> {
    let (version, build) = text.strip_prefix('v')?.split_once("+k3s")?;
    let (numbers, stage) = match version.split_once('-') {
        Some((numbers, stage)) => (numbers, parse_stage(stage)?),
        None => (version, Stage::Released),
    };
    let mut parts = numbers.split('.').map(parse_number);
    let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
    let build = match build.strip_prefix('-') {
        Some(commit) => Build::Commit(parse_commit(commit)?),
        None => Build::Number(parse_number(build)?),
    };
    parts.next().is_none().then_some(K3sVersion {
        major,
        minor,
        patch,
        stage,
        build,
    })
}

fn parse_stage(text: &str) -> Option<Stage> {
    let number = |prefix| text.strip_prefix(prefix).and_then(parse_number);
    number("rc")
        .map(Stage::Candidate)
        .or_else(|| number("beta").map(Stage::Beta))
        .or_else(|| number("alpha").map(Stage::Alpha))
}

fn parse_commit(text: &str) -> Option<String> {
    let commit = text.strip_suffix("-dirty").unwrap_or(text);
    let hex = (7..=40).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| text.to_owned())
}

/// A number in its printed form: no sign, no leading zero. So what is parsed and printed again is the same text,
/// which becomes part of a URL.
fn parse_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl Serialize for K3sVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for K3sVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromText;
        impl Visitor<'_> for FromText {
            type Value = K3sVersion;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version of k3s (vX.Y.Z+k3sN)")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<K3sVersion, E> {
                text.trim().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(FromText).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> K3sVersion {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_read_is_printed_again() {
        for text in [
            "v1.33.7+k3s3",
            "v1.36.5-rc1+k3s2",
            "v1.37.0-rc4+k3s1",
            "v1.30.0-alpha1+k3s1",
            "v1.36.3+k3s1",
            "v1.31.0+k3s-5d0a12a6",
            "v1.36.3+k3s-866d743e-dirty",
        ] {
            assert_eq!(version(text).to_string(), text);
        }
    }

    #[test]
    fn quotes_an_invalid_version() {
        let strange = [
            "stable",
            "",
            "v1.31",
            "v1.31.4",
            "1.31.4+k3s1",
            "v1.31.4-k3s1",
            "v1.31.4+k3s",
            "v1.31.4+k3sx",
            "v1.31.4+rke2r1",
            "v1.36",
            "v1.33.1+k3s1-dirty",
            "v1.33.1+k3s-dirty",
        ];
        let stranger = [
            "v1.31.4.5+k3s1",
            "v1.031.4+k3s1",
            "v1.31.4-rc+k3s1",
            "v1.31.4-foo1+k3s1",
            "v1.-1.4+k3s1",
            "v99999999999.1.1+k3s1",
            "v1.31.4+k3s1/..",
        ];
        for text in strange.iter().chain(&stranger) {
            let error = text.parse::<K3sVersion>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{text}: {error}");
        }
    }

    #[test]
    fn the_order_is_x_y_z_pre_release_build() {
        let ascending = [
            "v1.9.9+k3s1",
            "v1.33.7-alpha1+k3s1",
            "v1.33.7-beta1+k3s1",
            "v1.33.7-rc2+k3s1",
            "v1.33.7-rc10+k3s1",
            "v1.33.7-rc10+k3s2",
            "v1.33.7+k3s-5d0a12a6",
            "v1.33.7+k3s1",
            "v1.33.7+k3s2",
            "v1.33.7+k3s10",
            "v1.33.10+k3s1",
            "v1.34.0-rc1+k3s1",
            "v1.34.0+k3s1",
            "v2.0.0+k3s1",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_hop_is_named_by_its_first_difference() {
        let hops = [
            ("v1.31.4+k3s1", "v1.31.4+k3s1", Hop::None),
            ("v1.31.4+k3s1", "v1.31.4+k3s2", Hop::Build),
            ("v1.31.4-rc1+k3s1", "v1.31.4+k3s1", Hop::Build),
            ("v1.31.4+k3s1", "v1.31.5+k3s1", Hop::Patch),
            ("v1.31.4+k3s1", "v1.32.0+k3s1", Hop::Minor),
            ("v1.31.4+k3s1", "v1.33.0+k3s1", Hop::MultiMinor),
            ("v1.31.4+k3s2", "v1.31.4+k3s1", Hop::Downgrade),
            ("v1.31.4+k3s1", "v1.31.4-rc3+k3s1", Hop::Downgrade),
            ("v1.32.0+k3s1", "v1.31.9+k3s1", Hop::Downgrade),
            ("v1.40.0+k3s1", "v2.0.0+k3s1", Hop::Major),
        ];
        for (from, to, hop) in hops {
            assert_eq!(version(from).hop_to(&version(to)), hop, "{from} {to}");
        }
    }

    #[test]
    fn only_a_numbered_build_can_be_downloaded() {
        for (text, numbered) in [
            ("v1.36.3+k3s1", true),
            ("v1.37.0-rc4+k3s1", true),
            ("v1.31.0+k3s-5d0a12a6", false),
            ("v1.36.3+k3s-866d743e-dirty", false),
        ] {
            assert_eq!(version(text).is_numbered(), numbered, "{text}");
        }
    }

    #[test]
    fn the_skew_policy_compares_major_and_minor() {
        assert_eq!(version("v1.36.3+k3s2").minor_version(), (1, 36));
        assert!(version("v1.40.9+k3s1").minor_version() < version("v2.0.0+k3s1").minor_version());
    }

    #[test]
    fn the_program_s_own_words_are_read() {
        // Two lines in every version so far.
        for (first, second) in [
            ("v1.33.0+k3s1 (63ab8e53)", "go version go1.24.2"),
            ("v1.37.0-rc4+k3s1 (866d743e)", "go version go1.26.1"),
            ("v1.36.3+k3s-866d743e-dirty (866d743e)", "go version go1.26.1"),
        ] {
            let printed = format!("k3s version {first}\n{second}\n");
            let word = first.split(' ').next().unwrap();
            assert_eq!(K3sVersion::from_version_output(&printed).unwrap(), version(word));
        }
        let elsewhere = ".k3s-new version v1.34.9+k3s1 (0b241dca)\ngo version go1.25.11\n";
        assert_eq!(
            K3sVersion::from_version_output(elsewhere).unwrap(),
            version("v1.34.9+k3s1")
        );
        assert!(
            K3sVersion::from_version_output("Segmentation fault")
                .unwrap_err()
                .to_string()
                .contains("Segmentation")
        );
    }

    #[test]
    fn json_has_it_as_a_string() {
        let json = serde_json::to_string(&version("v1.34.9+k3s1")).unwrap();
        assert_eq!(json, r#""v1.34.9+k3s1""#);
        assert_eq!(
            serde_json::from_str::<K3sVersion>(&json).unwrap(),
            version("v1.34.9+k3s1")
        );
        assert!(
            serde_json::from_str::<K3sVersion>(r#""stable""#)
                .unwrap_err()
                .to_string()
                .contains("\"stable\" is not a version")
        );
    }
}
