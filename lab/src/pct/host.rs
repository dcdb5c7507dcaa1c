//! Where the stand-in finds the host: its files, its LXC programs, its name. Tests point it elsewhere.

use super::failure::{Failure, Outcome};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Set by tests only; never passed on to a child.
pub(crate) const ROOT: &str = "LAB_PCT_ROOT";
pub(crate) const PROGRAMS: &str = "LAB_PCT_PROGRAMS";

#[derive(Debug)]
pub(crate) struct Host {
    root: Option<PathBuf>,
    programs: PathBuf,
    pub(crate) node: String,
}

impl Host {
    pub(crate) fn find() -> Self {
        let root = env::var_os(ROOT).map(PathBuf::from);
        let programs = env::var_os(PROGRAMS).map_or_else(|| PathBuf::from("/usr/bin"), PathBuf::from);
        let node = match &root {
            Some(root) => fs::read_to_string(root.join("etc/hostname"))
                .unwrap_or_default()
                .trim()
                .to_owned(),
            None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        Self { root, programs, node }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.root.is_none()
    }

    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(absolute.trim_start_matches('/')),
            None => PathBuf::from(absolute),
        }
    }

    /// The folder of a container: LXC's configuration and, in the lab, its disk.
    pub(crate) fn container(&self, vmid: &str) -> PathBuf {
        self.path("/var/lib/lxc").join(vmid)
    }

    pub(crate) fn conf(&self, vmid: &str) -> PathBuf {
        self.path("/etc/pve/nodes")
            .join(&self.node)
            .join("lxc")
            .join(format!("{vmid}.conf"))
    }

    pub(crate) fn faults(&self, vmid: &str) -> PathBuf {
        self.path("/run/homelab-lab/faults").join(format!("{vmid}.json"))
    }

    /// Proxmox's own test: LXC's command socket is there. So a frozen or booting container is running too.
    pub(crate) fn is_running(&self, vmid: &str) -> bool {
        let socket = format!("@/var/lib/lxc/{vmid}/command");
        let table = fs::read_to_string(self.path("/proc/net/unix")).unwrap_or_default();
        table
            .lines()
            .any(|line| line.split_whitespace().last() == Some(&socket))
    }

    /// One of LXC's programs, in the environment that Proxmox's handler leaves to a child.
    pub(crate) fn lxc(&self, program: &str) -> Command {
        self::program(self.programs.join(program))
    }
}

/// Any program, likewise. What tests say to this one is not passed on.
pub(crate) fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", super::PATH)
        .env_remove(ROOT)
        .env_remove(PROGRAMS);
    command
}

/// Perl's taint mode: no child is started while these are set.
pub(crate) fn refuse_tainted(line: u32) -> Outcome<()> {
    let dangerous = ["IFS", "CDPATH", "ENV", "BASH_ENV"]
        .into_iter()
        .find(|name| env::var_os(name).is_some());
    let odd_term = env::var_os("TERM").is_some_and(|term| {
        !term
            .to_string_lossy()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
    });
    match dangerous.or(odd_term.then_some("TERM")) {
        None => Ok(()),
        Some(name) => Err(Failure::at_line(
            &format!("Insecure $ENV{{{name}}} while running with -T switch"),
            line,
        )),
    }
}
