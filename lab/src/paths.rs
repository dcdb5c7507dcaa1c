//! Every path of the lab on the machine, in one place.

use std::path::PathBuf;

/// Run-time state; gone after `lab down`.
pub const RUN: &str = "/run/homelab-lab";
/// What is worth keeping between labs: the container template. Also the lock, as it must outlive `RUN`.
pub const CACHE: &str = "/var/cache/homelab-lab";
/// The lab's link on the machine.
pub const LINK: &str = "homelab0";
/// What the name of every lab begins with.
pub const NAME: &str = "homelab-lab";
pub const RELEASE_PORT: u16 = 8080;

pub fn run(rest: &str) -> PathBuf {
    PathBuf::from(RUN).join(rest)
}

pub fn cache(rest: &str) -> PathBuf {
    PathBuf::from(CACHE).join(rest)
}

/// Where a "Proxmox host" keeps what is its own: logs, root's home, sshd's files.
pub fn host(name: &str) -> PathBuf {
    run("hosts").join(name)
}

/// The name of the lab's cgroup in every hierarchy, and of its lock. Cgroups belong to the machine, so a lab that
/// `lab/apart` runs beside another one has a name of its own.
pub fn name() -> String {
    std::env::var("LAB_NAME").unwrap_or_else(|_| NAME.to_owned())
}
