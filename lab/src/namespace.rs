//! A "Proxmox host": a network, a mount and a UTS namespace, held by bound nsfs files rather than by a process,
//! so that nothing is lost or left over when the program that made them dies.

use crate::layout::PveHost;
use crate::paths::{self, LINK, RUN};
use crate::process::Program;
use crate::template;
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const KINDS: [&str; 3] = ["net", "mnt", "uts"];
const HOST_UP: &str = include_str!("../files/host-up.sh");

fn file(host: &str, kind: &str) -> PathBuf {
    paths::run("ns").join(host).join(kind)
}

/// The wrapper that runs a program on that host.
pub fn enter(host: &str) -> Vec<String> {
    vec![
        "nsenter".into(),
        format!("--net={}", file(host, "net").display()),
        format!("--mount={}", file(host, "mnt").display()),
        format!("--uts={}", file(host, "uts").display()),
        "--".into(),
    ]
}

/// A program on that host.
pub fn on<S: Into<String>>(host: &str, argv: impl IntoIterator<Item = S>) -> Program {
    Program::new(argv).under(enter(host))
}

/// The folder that holds the namespaces: a mount namespace can only be bound below a private mount.
pub fn prepare() -> Result<()> {
    let folder = paths::run("ns");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let folder = folder.to_string_lossy().into_owned();
    Program::new(["mount", "--bind", &folder, &folder]).run()?;
    Program::new(["mount", "--make-private", &folder]).run()?;
    Ok(())
}

fn unshare(host: &str) -> Result<()> {
    let mut argv = vec!["unshare".to_owned()];
    for (kind, long) in KINDS.iter().zip(["net", "mount", "uts"]) {
        let path = file(host, kind);
        fs::write(&path, "").with_context(|| format!("making {}", path.display()))?;
        argv.push(format!("--{long}={}", path.display()));
    }
    argv.extend(["--propagation", "private", "--", "true"].map(String::from));
    // The kernel refuses (EINVAL) to bind a mount namespace that it numbered lower than the caller's, lest they hold
    // each other. Never seen on a machine itself, but where the lab runs inside young namespaces: every processor
    // numbers from a range of its own, and the one that made the caller's has only higher numbers left.
    for processor in 0..processors() {
        let pinned = [
            "taskset".to_owned(),
            "--cpu-list".to_owned(),
            processor.to_string(),
        ];
        if Program::new(argv.clone()).under(pinned).output()?.code == 0 {
            return Ok(());
        }
        template::unmount_below(&paths::run("ns").join(host))?;
    }
    Program::new(argv).run().map(drop)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub fn create(host: &PveHost) -> Result<()> {
    fs::create_dir_all(paths::run("ns").join(&host.name)).context("making the folder of namespaces")?;
    fs::create_dir_all(paths::host(&host.name).join("root")).context("making the host's folder")?;
    unshare(&host.name)?;
    on(&host.name, ["sh", "-s", "--", &host.name, &host.address, RUN])
        .stdin(HOST_UP)
        .run()?;
    Ok(())
}

/// Joins the bridges: the machine and every further host hang off the first host's bridge.
pub fn connect(hosts: &[PveHost]) -> Result<()> {
    let Some((first, others)) = hosts.split_first() else {
        return Ok(());
    };
    let hub = file(&first.name, "net").to_string_lossy().into_owned();
    Program::new([
        "ip", "link", "add", LINK, "type", "veth", "peer", "name", "machine", "netns", &hub,
    ])
    .run()?;
    Program::new(["ip", "addr", "add", "10.99.0.254/24", "dev", LINK]).run()?;
    Program::new(["ip", "link", "set", LINK, "up"]).run()?;
    plug(&first.name, "machine")?;
    for other in others {
        let end = format!("to-{}", other.name);
        let net = file(&other.name, "net").to_string_lossy().into_owned();
        let peer = ["type", "veth", "peer", "name", "uplink0", "netns", &net];
        Program::new(["ip", "link", "add", &end, "netns", &hub].into_iter().chain(peer)).run()?;
        plug(&first.name, &end)?;
        plug(&other.name, "uplink0")?;
    }
    Ok(())
}

fn plug(host: &str, link: &str) -> Result<()> {
    on(host, ["ip", "link", "set", link, "master", "vmbr0", "up"])
        .run()
        .map(drop)
}

/// Cuts a host off, or joins it again, as when its cable is pulled.
pub fn set_link(hosts: &[PveHost], host: &PveHost, up: bool) -> Result<()> {
    let word = if up { "up" } else { "down" };
    if hosts.first() == Some(host) {
        return on(&host.name, ["ip", "link", "set", "machine", word])
            .run()
            .map(drop);
    }
    on(&host.name, ["ip", "link", "set", "uplink0", word])
        .run()
        .map(drop)
}

/// Kills what is in a host's namespaces, whoever started it. Containers have namespaces of their own.
pub fn kill_inside() {
    let ours: Vec<(u64, u64)> = fs::read_dir(paths::run("ns"))
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|host| ["net", "mnt"].map(|kind| host.path().join(kind)))
        .filter_map(|path| identity(&path))
        .collect();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        let within = ["net", "mnt"]
            .iter()
            .filter_map(|kind| identity(&entry.path().join("ns").join(kind)));
        if within.into_iter().any(|namespace| ours.contains(&namespace)) {
            // Ended meanwhile is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
