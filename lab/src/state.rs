//! What a lab remembers between two calls, and the lock that keeps two labs apart.

use crate::layout::{self, Node, Options, PveHost};
use crate::paths;
use crate::process;
use crate::sysctl::Saved;
use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    pub options: Options,
    /// Of the `lab up` that wrote this.
    pub pid: u32,
    pub ready: bool,
    pub token: String,
    /// The machine's settings before the lab.
    pub sysctls: Saved,
}

impl State {
    pub fn nodes(&self) -> Vec<Node> {
        layout::nodes(&self.options)
    }

    pub fn hosts(&self) -> Vec<PveHost> {
        layout::hosts(&self.options)
    }

    /// A node by its container's id or its name.
    pub fn node(&self, wanted: &str) -> Result<Node> {
        let nodes = self.nodes();
        let names: Vec<_> = nodes.iter().map(|n| format!("{} ({})", n.vmid, n.name)).collect();
        nodes
            .into_iter()
            .find(|n| n.name == wanted || n.vmid.to_string() == wanted)
            .with_context(|| format!("looking up container {wanted}: the lab has {}", names.join(", ")))
    }

    pub fn host(&self, wanted: &str) -> Result<PveHost> {
        let hosts = self.hosts();
        let names: Vec<_> = hosts.iter().map(|h| h.name.clone()).collect();
        hosts
            .into_iter()
            .find(|h| h.name == wanted)
            .with_context(|| format!("looking up host {wanted}: the lab has {}", names.join(", ")))
    }

    pub fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the lab's state")?;
        let temporary = paths::run("state.json.new");
        fs::write(&temporary, text).context("writing the lab's state")?;
        fs::rename(&temporary, file()).context("writing the lab's state")
    }
}

fn file() -> PathBuf {
    paths::run("state.json")
}

/// The lab's state, or none when no lab is up (a half-made one has a state too).
pub fn find() -> Result<Option<State>> {
    match fs::read_to_string(file()) {
        Ok(text) => {
            let advice = || format!("reading {}; `lab down` removes what there is", file().display());
            Ok(Some(serde_json::from_str(&text).with_context(advice)?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", file().display())),
    }
}

pub fn load() -> Result<State> {
    find()?.context("looking for a lab: none is up; start one with `lab up`")
}

/// Held by `up` and `down` while they work. The kernel drops it when its holder dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

pub fn lock(doing: &str) -> Result<Lock> {
    fs::create_dir_all(paths::CACHE).with_context(|| format!("making {}", paths::CACHE))?;
    let path = paths::cache(&format!("{}.lock", paths::name()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    // A killed command's last child may hold the lock for a moment longer.
    let free = || Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
    if process::wait_until("the lab's lock is free", Duration::from_secs(1), free).is_err() {
        let holder = fs::read_to_string(&path).unwrap_or_default();
        bail!(
            "{doing}: another lab command is at work ({}); wait for it or end it",
            holder.trim()
        );
    }
    fs::write(&path, format!("`lab {doing}`, pid {}", std::process::id()))
        .context("writing the lock's holder")?;
    Ok(Lock { _file: file })
}
