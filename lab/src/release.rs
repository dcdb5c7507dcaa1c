//! The release server's folder: versions, channels, install script; and the server itself.

use crate::namespace;
use crate::paths::{self, RELEASE_PORT};
use crate::process;
use crate::sshd;
use crate::state::State;
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// On offer by default; the cluster starts with the first, `stable` is the second. From each of them the next is a hop that k3s
/// can make, also where it has etcd.
const VERSIONS: [&str; 4] = ["v1.35.5+k3s1", "v1.35.6+k3s1", "v1.36.3+k3s1", "v1.37.0+k3s1"];
/// Names a folder of real binaries.
pub const REAL: &str = "LAB_K3S";
/// Names a real install script.
pub const REAL_SCRIPT: &str = "LAB_K3S_INSTALL";

/// A program of the lab: built beside this one, or in a folder of `LAB_PROGRAMS`.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("finding the lab's own program")?;
    let given = env::var_os("LAB_PROGRAMS").unwrap_or_default();
    let folders = own
        .parent()
        .map(Path::to_path_buf)
        .into_iter()
        .chain(env::split_paths(&given))
        .filter(|folder| !folder.as_os_str().is_empty());
    let tried: Vec<PathBuf> = folders.map(|folder| folder.join(name)).collect();
    tried
        .iter()
        .find(|path| path.is_file())
        .cloned()
        .with_context(|| {
            let paths: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
            format!(
                "looking for the program {name}: not at {}; build it first",
                paths.join(", ")
            )
        })
}

#[derive(Debug)]
pub struct Versions {
    pub offered: Vec<String>,
    pub default: String,
}

/// The stand-in's versions, or those of the real binaries that `LAB_K3S` names.
pub fn versions() -> Result<Versions> {
    let Some(folder) = env::var_os(REAL) else {
        let offered: Vec<String> = VERSIONS.map(str::to_owned).into();
        return Ok(Versions {
            default: offered[0].clone(),
            offered,
        });
    };
    let folder = PathBuf::from(folder);
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {REAL}={}", folder.display()))?;
    let with_binary = entries
        .flatten()
        .filter(|entry| entry.path().join("k3s").is_file());
    let mut offered: Vec<String> = with_binary
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    offered.sort_by_key(|version| numbers(version));
    let default = offered.first().cloned();
    let advice = || format!("reading {REAL}={}: no <version>/k3s in it", folder.display());
    Ok(Versions {
        default: default.with_context(advice)?,
        offered,
    })
}

/// For ordering only: v1.35.5+k3s1 is [1, 35, 5, 3, 1].
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

fn minor(version: &str) -> String {
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// `stable` is one ahead of the oldest, as an operator finds it; `next-minor`, which is the lab's own, is the newest of the minor
/// version after that of the oldest, where there is one; the others are the newest of their minor.
fn channels(versions: &Versions) -> BTreeMap<String, String> {
    let mut channels: BTreeMap<String, String> = versions
        .offered
        .iter()
        .map(|version| (minor(version), version.clone()))
        .collect();
    if let Some(newest) = versions.offered.last() {
        let stable = versions.offered.get(1).unwrap_or(newest);
        let other = |version: &&String| minor(version) != minor(&versions.default);
        let next = versions.offered.iter().find(other).map(|version| minor(version));
        let next = next.and_then(|minor| channels.get(&minor).cloned());
        channels.insert("next-minor".to_owned(), next.unwrap_or_else(|| stable.clone()));
        channels.insert("latest".to_owned(), newest.clone());
        channels.insert("stable".to_owned(), stable.clone());
    }
    channels
}

fn root() -> PathBuf {
    paths::run("release")
}

pub fn start(state: &State, versions: &Versions) -> Result<()> {
    let folder = root();
    fs::create_dir_all(folder.join("versions")).context("making the release folder")?;
    for version in versions.offered.iter().chain(&state.options.version) {
        add(version)?;
    }
    write_json("channels.json", &serde_json::to_value(channels(versions))?)?;
    if let Some(script) = env::var_os(REAL_SCRIPT) {
        let script = PathBuf::from(script);
        fs::copy(&script, folder.join("install.sh"))
            .with_context(|| format!("copying {REAL_SCRIPT}={}", script.display()))?;
    }
    let hosts = state.hosts();
    let first = hosts
        .first()
        .context("choosing the release server's host: the lab has none")?;
    let server = program("release-server")?;
    let address = format!("{}:{RELEASE_PORT}", first.address);
    let log = paths::host(&first.name).join("release-server.log");
    let own = folder.join("release-server");
    // A rebuild must not change a running lab.
    fs::copy(&server, &own).context("installing the release server")?;
    let command = format!(
        "exec {} --listen {address} --root {} >{} 2>&1",
        own.display(),
        folder.display(),
        log.display()
    );
    sshd::daemon(first, "release", &command)?;
    let what = format!(
        "the release server listens on {address} (its log: {})",
        log.display()
    );
    process::wait_until(&what, Duration::from_secs(10), || {
        Ok(TcpStream::connect(&address).is_ok())
    })
}

/// Puts a version on offer. The stand-in is one program for all: a trailer makes it that version.
pub fn add(version: &str) -> Result<()> {
    if !version.starts_with('v') || version.contains('/') || numbers(version).len() < 3 {
        bail!("adding release {version}: not a version such as v1.35.6+k3s1");
    }
    let folder = root().join("versions").join(version);
    fs::create_dir_all(&folder).with_context(|| format!("making the release {version}"))?;
    let target = folder.join("k3s");
    let temporary = folder.join("k3s.new");
    if let Some(real) = env::var_os(REAL) {
        let binary = Path::new(&real).join(version).join("k3s");
        fs::copy(&binary, &temporary).with_context(|| format!("copying the real {}", binary.display()))?;
    } else {
        fs::copy(program("k3s-standin")?, &temporary)
            .with_context(|| format!("making the release {version}"))?;
        let append = fs::File::options().append(true).open(&temporary);
        append
            .and_then(|mut file| write!(file, "\nLAB-K3S-VERSION={version}\n"))
            .with_context(|| format!("naming the release {version}"))?;
    }
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))
        .context("making a release executable")?;
    fs::rename(&temporary, &target).with_context(|| format!("making the release {version}"))
}

/// What is on offer, for those who ask the lab instead of the product: `{"starts": …, "channels": {…}}`.
pub fn render(state: &State) -> Result<String> {
    let offer = serde_json::json!({
        "starts": state.options.version,
        "channels": read_json("channels.json")?,
    });
    Ok(format!("{offer:#}\n"))
}

/// Points a channel at a version; none: the channel is listed without one.
pub fn set_channel(name: &str, version: Option<&str>) -> Result<()> {
    let mut channels = read_json("channels.json")?;
    channels.insert(name.to_owned(), version.map_or(Value::Null, Value::from));
    write_json("channels.json", &Value::Object(channels))
}

/// What is to go wrong at the release server: `area` is channels, downloads, sums or install.
pub fn set_fault(area: &str, fault: Option<&str>) -> Result<()> {
    let mut faults = read_json("faults.json")?;
    faults.remove(area);
    if let Some(fault) = fault {
        faults.insert(area.to_owned(), Value::from(fault));
    }
    write_json("faults.json", &Value::Object(faults))
}

pub fn clear_faults() -> Result<()> {
    if root().exists() {
        write_json("faults.json", &Value::Object(Map::new()))
    } else {
        Ok(())
    }
}

fn read_json(name: &str) -> Result<Map<String, Value>> {
    let path = root().join(name);
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && root().exists() => Ok(Map::new()),
        Err(error) => Err(error)
            .with_context(|| format!("reading {}: is a lab with a release server up?", path.display())),
    }
}

/// Renamed into place: the server reads it at every request.
fn write_json(name: &str, value: &Value) -> Result<()> {
    let path = root().join(name);
    let temporary = path.with_extension("new");
    fs::write(&temporary, serde_json::to_string_pretty(value)?)
        .and_then(|()| fs::rename(&temporary, &path))
        .with_context(|| format!("writing {}", path.display()))
}

/// Whether the server answers, for `lab status`.
pub fn answers(state: &State) -> bool {
    let Some(first) = state.hosts().into_iter().next() else {
        return false;
    };
    let url = format!("http://{}:{RELEASE_PORT}/v1-release/channels", first.address);
    namespace::on(&first.name, ["curl", "-sf", "--max-time", "3", &url])
        .output()
        .is_ok_and(|output| output.code == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_is_one_ahead_and_every_minor_has_a_channel() {
        let offered: Vec<String> = VERSIONS.map(str::to_owned).into();
        let channels = channels(&Versions {
            default: offered[0].clone(),
            offered,
        });
        let found: Vec<_> = channels
            .iter()
            .map(|(name, version)| format!("{name}={version}"))
            .collect();
        assert_eq!(
            found,
            [
                "latest=v1.37.0+k3s1",
                "next-minor=v1.36.3+k3s1",
                "stable=v1.35.6+k3s1",
                "v1.35=v1.35.6+k3s1",
                "v1.36=v1.36.3+k3s1",
                "v1.37=v1.37.0+k3s1"
            ]
        );
    }

    #[test]
    fn without_a_next_minor_version_its_channel_is_the_stable_one() {
        for (offered, next) in [
            (vec!["v1.36.2+k3s1", "v1.36.3+k3s1"], "v1.36.3+k3s1"),
            (vec!["v1.36.3+k3s1"], "v1.36.3+k3s1"),
            (
                vec!["v1.35.6+k3s1", "v1.36.2+k3s1", "v1.36.3+k3s1"],
                "v1.36.3+k3s1",
            ),
        ] {
            let offered: Vec<String> = offered.into_iter().map(str::to_owned).collect();
            let channels = channels(&Versions {
                default: offered[0].clone(),
                offered,
            });
            assert_eq!(channels["next-minor"], next);
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(numbers("v1.9.10+k3s1") < numbers("v1.31.4+k3s1"));
        assert!(numbers("v1.31.4+k3s2") < numbers("v1.31.4+k3s10"));
    }
}
