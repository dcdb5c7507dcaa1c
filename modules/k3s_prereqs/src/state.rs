//! What is true of the node, and of its container's configuration.

use crate::kubelet::Kubelet;
use crate::params::Params;
use anyhow::{Context, Result};
use host::pct::Config;
use k3s_node::settings::DEFAULT_CONFIG;
use k3s_node::{Facts, NodeSettings, Show};
use k3s_types::K3sVersion;
use serde::Serialize;
use std::collections::BTreeMap;

/// The unit by which a container gets its `/dev/kmsg`, as it shall be.
pub(crate) const UNIT: &str = include_str!("programs/conf-kmsg.service");
pub(crate) const UNIT_NAME: &str = "conf-kmsg.service";

/// The controllers of cgroup v1 that k3s wants; each has a folder of its own.
pub(crate) const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Both may be there, and the first one counts.
pub(crate) const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// k3s keeps its data below the first of these, where that is there.
pub(crate) const DATA_FOLDERS: [&str; 2] = ["/var/lib/rancher", "/var/lib"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) location: String,
    /// The Proxmox host, or the node itself.
    pub(crate) outside: String,
    /// None: no container.
    pub(crate) config: Option<Config>,
    pub(crate) systemd: bool,
    pub(crate) os: Os,
    pub(crate) kernel: String,
    pub(crate) kmsg: Kmsg,
    pub(crate) unit: Unit,
    /// By name below `/proc/sys`.
    pub(crate) sysctls: BTreeMap<String, Sysctl>,
    pub(crate) kubelet: Kubelet,
    /// Of the k3s that is installed.
    pub(crate) k3s: Option<K3sVersion>,
    pub(crate) cgroup: Cgroup,
    /// Parts of the kernel that are there.
    pub(crate) kernel_parts: Vec<String>,
    /// MiB, and on what kind of file system.
    pub(crate) free_mb: u64,
    pub(crate) disk_type: String,
    pub(crate) zfs_version: Option<String>,
    /// Those that were asked for.
    pub(crate) installed: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Os {
    pub(crate) id: String,
    pub(crate) like: Vec<String>,
    pub(crate) version: String,
    pub(crate) name: String,
}

/// Which package manager a distribution has, and what it calls things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Debian,
    RedHat,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kmsg {
    /// `device`: the kernel's own; `link to …`; `other`; none: it is not there.
    pub(crate) kind: Option<String>,
    pub(crate) opens: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) text: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) active: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) access: Access,
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    /// The file could be written, but something (`AppArmor`) forbids it.
    Denied,
    ReadOnly,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cgroup {
    pub(crate) version: u8,
    pub(crate) controllers: Vec<String>,
    pub(crate) writable: bool,
}

impl Os {
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found
                .unwrap_or_default()
                .trim()
                .trim_matches(['"', '\''])
                .to_owned()
        };
        Self {
            id: value("ID"),
            like: value("ID_LIKE").split_whitespace().map(str::to_owned).collect(),
            version: value("VERSION_ID"),
            name: value("PRETTY_NAME"),
        }
    }

    pub(crate) fn family(&self) -> Option<Family> {
        let names = || std::iter::once(&self.id).chain(&self.like).map(String::as_str);
        if names().any(|name| matches!(name, "debian" | "ubuntu")) {
            return Some(Family::Debian);
        }
        let red_hat = |name| matches!(name, "rhel" | "fedora" | "centos" | "rocky" | "almalinux");
        names().any(red_hat).then_some(Family::RedHat)
    }
}

impl Family {
    pub(crate) const fn nfs_client(self) -> &'static str {
        match self {
            Self::Debian => "nfs-common",
            Self::RedHat => "nfs-utils",
        }
    }

    /// All packages that the node is to have.
    pub(crate) fn packages(self, params: &Params) -> Vec<String> {
        let nfs = params.nfs_client.then(|| self.nfs_client().to_owned());
        let mut packages: Vec<String> = nfs.into_iter().chain(params.packages.iter().cloned()).collect();
        packages.sort();
        packages.dedup();
        packages
    }
}

impl State {
    pub(crate) fn read(
        facts: &Facts,
        params: &Params,
        location: String,
        outside: String,
        config: Option<Config>,
    ) -> Result<Self> {
        let os = Os::parse(&os_release(facts).unwrap_or_default());
        let node = NodeSettings::read(facts, DEFAULT_CONFIG)?;
        let shows = Show::parse(&facts.lossy("kmsg-show").unwrap_or_default());
        let show = shows.get(UNIT_NAME);
        let (free_mb, disk_type) = disk(facts).context("df says nothing of /var/lib")?;
        Ok(Self {
            location,
            outside,
            config,
            systemd: node.systemd,
            kernel: facts.lossy("kernel").unwrap_or_default(),
            kmsg: kmsg(facts),
            unit: Unit {
                text: facts.text("unit")?,
                enabled: show.is_some_and(|show| show.enabled == "enabled"),
                active: show.is_some_and(|show| show.active == "active"),
            },
            sysctls: sysctls(facts),
            kubelet: Kubelet::read(facts, &node, params),
            k3s: node.version,
            cgroup: cgroup(facts),
            kernel_parts: kernel_parts(facts),
            free_mb,
            disk_type,
            zfs_version: facts.lossy("zfs-version"),
            installed: installed(facts, os.family()),
            os,
        })
    }

    /// Of the k3s that is to run here: what is to be installed, or else what is. None: not known.
    pub(crate) fn version<'a>(&'a self, params: &'a Params) -> Option<&'a K3sVersion> {
        params.version.as_ref().or(self.k3s.as_ref())
    }

    pub(crate) fn in_user_namespace(&self) -> bool {
        self.config.as_ref().is_some_and(Config::is_unprivileged)
    }

    pub(crate) fn has_part(&self, name: &str) -> bool {
        self.kernel_parts.iter().any(|part| part == name)
    }

    pub(crate) fn missing_packages(&self, params: &Params) -> Vec<String> {
        let Some(family) = self.os.family() else {
            return Vec::new();
        };
        let mut packages = family.packages(params);
        packages.retain(|name| !self.installed.contains(name));
        packages
    }

    /// Whether `/dev/kmsg` has to be made at each start. The kernel's own, given to the container, stays.
    pub(crate) fn makes_kmsg(&self) -> bool {
        self.kmsg.kind.as_deref() != Some("device")
    }

    pub(crate) fn kmsg_is_made(&self) -> bool {
        self.unit.text.as_deref() == Some(UNIT) && self.unit.enabled && self.unit.active && self.kmsg.opens
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn os_release(facts: &Facts) -> Option<String> {
    let mut texts = OS_RELEASE
        .iter()
        .map(|path| facts.text(&format!("os-release:{path}")).ok().flatten());
    texts.find_map(|text| text)
}

/// The kernel's own is the character device 1:11.
fn kmsg(facts: &Facts) -> Kmsg {
    let is_the_kernels =
        || facts.has("kmsg:character-device") && facts.lossy("kmsg:number").as_deref() == Some("1:b");
    let kind = match facts.lossy("kmsg:link") {
        Some(path) => Some(format!("link to {path}")),
        None if is_the_kernels() => Some("device".to_owned()),
        None => facts.has("kmsg:there").then(|| "other".to_owned()),
    };
    Kmsg {
        kind,
        opens: facts.has("kmsg:opens"),
    }
}

/// Without the second version, each controller has a folder.
fn cgroup(facts: &Facts) -> Cgroup {
    if facts.lossy("cgroup:type").as_deref() == Some("cgroup2fs") {
        return Cgroup {
            version: 2,
            controllers: words(&facts.lossy("cgroup:controllers").unwrap_or_default()),
            writable: facts.has("cgroup:writable"),
        };
    }
    let there = |name: &&str| facts.has(&format!("cgroup-v1:{name}"));
    let there: Vec<&str> = CONTROLLERS.into_iter().filter(there).collect();
    Cgroup {
        version: 1,
        writable: there
            .iter()
            .all(|name| facts.has(&format!("cgroup-v1-writable:{name}"))),
        controllers: there.into_iter().map(str::to_owned).collect(),
    }
}

fn kernel_parts(facts: &Facts) -> Vec<String> {
    let filesystems = words(&facts.lossy("filesystems").unwrap_or_default());
    let overlay = filesystems.into_iter().filter(|name| name == "overlay").take(1);
    let more = facts.below("kernel:").into_iter().map(|(name, _)| name);
    more.chain(overlay).collect()
}

fn sysctls(facts: &Facts) -> BTreeMap<String, Sysctl> {
    let access = |name: &str| {
        if facts.has(&format!("sysctl-opens:{name}")) {
            Access::Open
        } else if facts.has(&format!("sysctl-writable:{name}")) {
            Access::Denied
        } else {
            Access::ReadOnly
        }
    };
    let read = |(name, text): (String, String)| {
        let sysctl = Sysctl {
            access: access(&name),
            value: text.trim().to_owned(),
        };
        (name, sysctl)
    };
    facts.below("sysctl:").into_iter().map(read).collect()
}

/// The last line of `df -Pk`: the fourth column is what is available.
fn disk(facts: &Facts) -> Option<(u64, String)> {
    let text = facts.lossy("disk")?;
    let free: u64 = text.lines().last()?.split_whitespace().nth(3)?.parse().ok()?;
    let mut types = DATA_FOLDERS
        .iter()
        .map(|folder| facts.lossy(&format!("disk-type:{folder}")));
    Some((free / 1024, types.find_map(|name| name).unwrap_or_default()))
}

fn installed(facts: &Facts, family: Option<Family>) -> Vec<String> {
    match family {
        Some(Family::Debian) => {
            let text = facts.lossy("dpkg").unwrap_or_default();
            let lines = text.lines().filter_map(|line| line.strip_suffix(" installed"));
            lines.map(str::to_owned).collect()
        }
        Some(Family::RedHat) => {
            let names = facts.below("rpm:").into_iter().map(|(name, _)| name);
            names
                .filter(|name| facts.status(&format!("rpm:{name}")) == 0)
                .collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(text: &str) -> Option<Family> {
        Os::parse(text).family()
    }

    #[test]
    fn distributions_are_known_by_their_own_name_or_by_what_they_are_like() {
        for (text, found) in [
            ("ID=debian\nVERSION_ID=\"13\"\n", Some(Family::Debian)),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Family::Debian)),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Some(Family::RedHat),
            ),
            ("ID=fedora\n", Some(Family::RedHat)),
            ("ID='ol'\nID_LIKE='fedora'\n", Some(Family::RedHat)),
            ("ID=alpine\n", None),
            ("", None),
        ] {
            assert_eq!(family(text), found, "{text}");
        }
    }

    #[test]
    fn os_release_is_read_without_its_quotes() {
        let os = Os::parse(
            "NAME=\"Rocky Linux\"\nID=\"rocky\"\nVERSION_ID=\"10.0\"\nPRETTY_NAME=\"Rocky Linux 10.0\"\n",
        );
        assert_eq!(
            (os.id.as_str(), os.version.as_str(), os.name.as_str()),
            ("rocky", "10.0", "Rocky Linux 10.0")
        );
    }

    #[test]
    fn a_package_that_is_only_unpacked_is_not_installed() {
        let text = "nfs-common installed\nopen-iscsi config-files\n";
        let frames = format!("@dpkg {}\n{text}\n@end 0\n\n", text.len());
        let facts = Facts::parse(frames.as_bytes()).unwrap();
        assert_eq!(installed(&facts, Some(Family::Debian)), ["nfs-common"]);
        assert!(installed(&facts, Some(Family::RedHat)).is_empty());
        assert!(installed(&facts, None).is_empty());
    }
}
