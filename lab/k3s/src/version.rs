//! Which k3s this binary claims to be. All versions are one program: the release folder appends a trailer to the
//! file, so that each version has its own checksum and can be copied around like a real one.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::LazyLock;

const MARK: &str = "\nLAB-K3S-VERSION=";
/// A build without a trailer (`cargo run`) takes its version from here.
const VARIABLE: &str = "LAB_K3S_VERSION";
const TRAILER_LIMIT: i64 = 80;

/// In the order of their versions.
static BUILDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../modules/k3s_version/builds.json")).unwrap_or_default()
});

/// Read once: the file may be replaced while the process runs, and the process stays what it was.
static CURRENT: LazyLock<Version> = LazyLock::new(|| {
    let text = trailer().or_else(|| std::env::var(VARIABLE).ok());
    text.and_then(|t| Version::parse(&t).ok())
        .unwrap_or_else(Version::unmarked)
});

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    text: String,
    pub minor: u32,
    pub patch: u32,
}

fn trailer() -> Option<String> {
    let mut file = File::open("/proc/self/exe").ok()?;
    let length = i64::try_from(file.metadata().ok()?.len()).ok()?;
    file.seek(SeekFrom::End(-TRAILER_LIMIT.min(length))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail).into_owned();
    let at = tail.rfind(MARK)? + MARK.len();
    Some(tail[at..].trim_end().to_owned())
}

impl Version {
    pub fn current() -> &'static Self {
        &CURRENT
    }

    fn unmarked() -> Self {
        Self {
            text: "v1.35.5+k3s1".to_owned(),
            minor: 35,
            patch: 5,
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        let numbers = text.strip_prefix('v').and_then(|t| t.split(['+', '-']).next());
        let numbers =
            numbers.with_context(|| format!("reading the version {text:?}: it has no leading v"))?;
        let parts: Vec<u32> = numbers.split('.').filter_map(|n| n.parse().ok()).collect();
        let &[1, minor, patch] = parts.as_slice() else {
            bail!("reading the version {text:?}: it is not v1.<minor>.<patch>+k3s<n>");
        };
        Ok(Self {
            text: text.to_owned(),
            minor,
            patch,
        })
    }

    pub fn since(&self, minor: u32) -> bool {
        self.minor >= minor
    }

    /// Whether it has what came with these releases: one for each minor version that got it, the newest of which passes
    /// it on to all later ones.
    pub fn has(&self, releases: &[(u32, u32)]) -> bool {
        let own = releases.iter().find(|(minor, _)| *minor == self.minor);
        match own {
            Some((_, patch)) => self.patch >= *patch,
            None => releases.iter().all(|(minor, _)| self.minor > *minor),
        }
    }

    /// The commit in `k3s --version`: made from the version.
    pub fn commit(&self) -> String {
        hex(&Sha256::digest(&self.text))[..8].to_owned()
    }

    pub fn go(&self) -> &'static str {
        if self.since(36) { "go1.26.5" } else { "go1.25.9" }
    }

    pub fn container_runtime(&self) -> String {
        format!("containerd://{}", self.carries("containerd"))
    }

    /// What this build says of its etcd. The lab's is one and the same for all.
    pub fn etcd(&self) -> &'static str {
        self.carries("etcd").split('-').next().unwrap_or_default()
    }

    /// As the product's table of builds has it; of a build that is not in there, as of the newest of its minor version.
    fn carries(&self, part: &str) -> &'static str {
        let has_part = |build: &&'static Value| build[part].is_string();
        let exact = BUILDS
            .iter()
            .filter(has_part)
            .find(|build| build["version"] == self.text.as_str());
        let of_minor = format!("v1.{}.", self.minor);
        let mut others = BUILDS.iter().filter(has_part);
        let newest = || {
            others.rfind(|build| {
                build["version"]
                    .as_str()
                    .is_some_and(|v| v.starts_with(&of_minor))
            })
        };
        exact
            .or_else(newest)
            .and_then(|build| build[part].as_str())
            .unwrap_or("unknown")
    }

    /// The name of the folder that a real binary unpacks itself into: one per version.
    pub fn data_folder(&self) -> String {
        hex(&Sha256::digest(format!("lab data of {}", self.text)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_and_a_candidate_are_versions() {
        let release = Version::parse("v1.35.2+k3s1").unwrap();
        assert_eq!((release.minor, release.patch), (35, 2));
        assert_eq!(Version::parse("v1.36.0-rc1+k3s1").unwrap().minor, 36);
        assert!(release.since(35) && !release.since(36));
    }

    #[test]
    fn a_backport_counts_from_its_patch_on() {
        let releases = [(34, 9), (36, 2)];
        let has = |text| Version::parse(text).unwrap().has(&releases);
        assert!(has("v1.34.9+k3s1") && has("v1.36.2+k3s1") && has("v1.37.0+k3s1"));
        assert!(
            !has("v1.34.8+k3s1") && !has("v1.36.1+k3s1") && !has("v1.33.14+k3s1") && !has("v1.35.6+k3s1")
        );
    }

    #[test]
    fn a_build_carries_what_the_table_says_and_a_later_one_as_much() {
        let carried = |version: &str| {
            let version = Version::parse(version).unwrap();
            (version.etcd(), version.container_runtime())
        };
        assert_eq!(carried("v1.35.6+k3s1").0, "3.6.12");
        assert_eq!(
            carried("v1.36.3+k3s1"),
            ("3.6.14", "containerd://2.3.2-k3s2".to_owned())
        );
        assert_eq!(
            carried("v1.36.99+k3s1").0.split('.').take(2).collect::<Vec<_>>(),
            ["3", "6"]
        );
        assert_eq!(carried("v1.99.0+k3s1").0, "unknown");
    }

    #[test]
    fn other_words_are_not() {
        for text in ["1.35.2", "stable", "v2.0.0", "v1.35", ""] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }
}
