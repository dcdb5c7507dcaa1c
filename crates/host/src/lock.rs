//! One changing module per place at a time.

use crate::{Host, wait_until};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::time::Duration;

/// Gone with the next boot, as are the processes that hold locks in it.
const FOLDER: &str = "/run/lock/homelab-k3s";
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Which lock, for whom, and how long to wait for it.
pub struct LockRequest {
    /// `host`, or `container-101`.
    pub name: String,
    /// Who takes it, for the message that another one gets: `node_drain, process 4242`.
    pub holder: String,
    pub limit: Duration,
}

/// The lock, until dropped. The kernel lets go of it when the process dies, however it dies.
pub struct Held {
    _file: Option<File>,
}

impl Held {
    /// For hosts on which nothing can collide: the doubles of tests.
    pub fn nothing() -> Self {
        Self { _file: None }
    }
}

pub(crate) fn take(host: &dyn Host, request: &LockRequest) -> Result<Held> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(FOLDER)
        .with_context(|| format!("{}: creating {FOLDER}", host.place()))?;
    let path = format!("{FOLDER}/{}.lock", request.name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{}: opening the lock {path}", host.place()))?;
    let waited = wait_until(host, request.limit, LOOK_EVERY, || {
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| String::new()))
    })?;
    if waited != crate::Waited::Done(()) {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        bail!(
            "{}: another module is at work ({}); waited {} s for it. It may be left from a run that was killed: let it end, or raise lock_timeout",
            host.place(),
            holder.trim(),
            request.limit.as_secs()
        );
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", request.holder))
        .context("writing the lock's holder")?;
    Ok(Held { _file: Some(file) })
}
