//! The way to a host: a real sshd in its namespaces, and one key for all.

use crate::cgroup;
use crate::layout::PveHost;
use crate::namespace;
use crate::paths::{self, RUN};
use crate::process::{self, Program};
use anyhow::{Context as _, Result};
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

pub fn make_key() -> Result<()> {
    fs::create_dir_all(paths::run("ssh")).context("making the folder of keys")?;
    let key = paths::run("ssh/id");
    keygen(&key.to_string_lossy(), "lab")?;
    fs::copy(paths::run("ssh/id.pub"), paths::run("ssh/authorized_keys"))
        .context("authorizing the lab's key")?;
    Ok(())
}

fn keygen(path: &str, comment: &str) -> Result<()> {
    Program::new([
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        comment,
        "-f",
        path,
    ])
    .run()
    .map(drop)
}

fn config(host: &PveHost) -> String {
    format!(
        "Port 22\nListenAddress {address}\nHostKey {RUN}/hosts/{name}/ssh_host_key\nPidFile none\n\
         AuthorizedKeysFile {RUN}/ssh/authorized_keys\nStrictModes no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nUsePAM no\nUseDNS no\nPrintMotd no\n\
         MaxSessions 64\nMaxStartups 64:30:128\nAcceptEnv LANG LC_*\nSubsystem sftp internal-sftp\n\
         SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        address = host.address,
        name = host.name,
    )
}

pub fn start(host: &PveHost) -> Result<()> {
    let folder = paths::host(&host.name);
    let key = folder.join("ssh_host_key");
    if !key.exists() {
        keygen(&key.to_string_lossy(), &host.name)?;
    }
    let file = folder.join("sshd_config");
    fs::write(&file, config(host)).with_context(|| format!("writing {}", file.display()))?;
    let log = folder.join("sshd.log");
    let sshd = format!(
        "exec /usr/sbin/sshd -D -f {} -E {}",
        file.display(),
        log.display()
    );
    daemon(host, "sshd", &sshd)?;
    let what = format!("sshd of {} listens (its log: {})", host.name, log.display());
    process::wait_until(&what, Duration::from_secs(10), || {
        Ok(TcpStream::connect((host.address.as_str(), 22)).is_ok())
    })
}

/// Starts a program that outlives the lab command, in a cgroup of its own: that is how it is found again.
pub fn daemon(host: &PveHost, name: &str, command: &str) -> Result<()> {
    let join = cgroup::join_script(&format!("{}-{name}", host.name))?;
    let script = format!("{join}cd /\nsetsid sh -c '{command}' </dev/null >/dev/null 2>&1 &\n");
    namespace::on(&host.name, ["sh", "-s"])
        .stdin(script)
        .run()
        .map(drop)
}
