//! `k3s kubectl`: a real kubectl, from the lab's container template.

use crate::clock::paced;
use crate::config::kept;
use crate::files;
use crate::log;
use crate::paths;
use crate::version::Version;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const KUBECTL: &str = "/usr/local/lib/lab/kubectl";

/// Becomes kubectl. Where there is no kubeconfig (agents), kubectl's own default shows: `localhost:8080`.
pub fn exec(arguments: &[String]) -> Result<()> {
    let program = std::env::var("LAB_KUBECTL").unwrap_or_else(|_| KUBECTL.to_owned());
    let mut command = Command::new(&program);
    command.args(arguments);
    let own = paths::kubeconfig();
    if std::env::var_os("KUBECONFIG").is_none_or(|given| given.is_empty()) && own.exists() {
        command.env("KUBECONFIG", own);
    }
    Err(command.exec()).with_context(|| format!("running {program}"))
}

/// A real binary unpacks itself at its first call, and says so. Seen before every command but `--version`.
pub fn unpack(data_dir: &Path) -> Result<()> {
    let data = data_dir.join("data");
    let folder = data.join(Version::current().data_folder());
    if folder.exists() {
        return Ok(());
    }
    log::info(&format!("Acquiring lock file {}", data.join(".lock").display()));
    kept(&data.join(".lock"), String::new, 0o600)?;
    log::info(&format!("Preparing data dir {}", folder.display()));
    files::folder_with_mode(&folder.join("bin"), 0o755)?;
    std::thread::sleep(paced(1.0));
    let current = data.join("current");
    if let Ok(before) = std::fs::read_link(&current) {
        files::link(&data.join("previous"), &before)?;
    }
    files::link(&current, &folder)
}
