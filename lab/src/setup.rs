//! What the machine needs before a lab: Debian packages, root, and nothing else.

use crate::process::Program;
use crate::progress::step;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// A program that must be there, and the Debian package that brings it.
const NEEDED: [(&str, &str); 11] = [
    ("lxc-start", "lxc"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("zstd", "zstd"),
    ("sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("python3", "python3"),
];
const POLICY: &str = "/usr/sbin/policy-rc.d";

pub fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    bail!("checking the user: containers and namespaces need root; run `sudo lab …`");
}

fn found(program: &str) -> bool {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .any(|folder| Path::new(folder).join(program).exists())
}

fn missing_packages() -> Vec<&'static str> {
    NEEDED
        .iter()
        .filter(|(program, _)| !found(program))
        .map(|(_, package)| *package)
        .collect()
}

pub fn require_packages() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "checking the machine: missing Debian packages: {}; `lab setup` installs them",
        missing.join(" ")
    );
}

pub fn run() -> Result<()> {
    require_root()?;
    let mut packages = missing_packages();
    if Program::new(["python3", "-m", "pip", "--version"])
        .output()
        .map_or(true, |output| output.code != 0)
    {
        packages.push("python3-pip");
    }
    if packages.is_empty() {
        crate::progress::say("nothing to install");
        return Ok(());
    }
    if !found("apt-get") {
        bail!(
            "installing {}: no apt-get on this machine; install them by its own means",
            packages.join(" ")
        );
    }
    // The packages' services (sshd, lxc-net) are not wanted on the machine itself.
    let ours = !Path::new(POLICY).exists();
    if ours {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("forbidding services to start")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .context("forbidding services to start")?;
    }
    let outcome = install(&packages);
    if ours {
        fs::remove_file(POLICY).context("allowing services to start again")?;
    }
    outcome
}

fn install(packages: &[&str]) -> Result<()> {
    let limit = Duration::from_mins(10);
    step("apt-get update", || {
        Program::new(["apt-get", "update", "-q"]).limit(limit).run()
    })?;
    step(&format!("apt-get install {}", packages.join(" ")), || {
        let start = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-qy",
            "--no-install-recommends",
        ];
        Program::new(start.iter().chain(packages).copied())
            .limit(limit)
            .run()
    })?;
    Ok(())
}
