//! One changing module per host at a time.

use crate::{Host, wait_until};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Uid;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::time::Duration;

/// Gone with the next boot, as are the processes that hold locks in it.
const FOLDER: &str = "/run/lock/homelab-k3s";

/// Where everybody may make a folder; macOS has no `/run`.
const SHARED: &str = "/tmp";
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

fn folder_path(shared: &str, user: Uid) -> String {
    if user.is_root() {
        FOLDER.to_owned()
    } else {
        format!("{shared}/homelab-k3s-{}", user.as_raw())
    }
}

/// The folder of this user's locks: nobody else may put anything there.
fn folder(shared: &str, user: Uid) -> Result<String> {
    let folder = folder_path(shared, user);
    let doing = || format!("making the folder of locks {folder}");
    let recursive = user.is_root();
    match DirBuilder::new().recursive(recursive).mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).with_context(doing),
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder).with_context(doing)?;
    if !found.is_dir() || found.uid() != user.as_raw() || found.mode() & 0o022 != 0 {
        bail!(
            "{}: it is there, and is not a folder that only the user {} can write: remove it",
            doing(),
            user.as_raw()
        );
    }
    Ok(folder)
}

pub(crate) fn take(host: &dyn Host, request: &LockRequest) -> Result<Held> {
    let folder = folder(SHARED, rustix::process::geteuid()).with_context(|| host.location())?;
    let path = format!("{folder}/{}.lock", request.name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{}: opening the lock {path}", host.location()))?;
    wait(host, request, &mut file, FlockOperation::NonBlockingLockExclusive)?;
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", request.holder))
        .context("writing the lock's holder")?;
    Ok(Held { _file: Some(file) })
}

/// Changes nothing: where no lock was ever taken, there is no file of it afterwards either.
pub(crate) fn wait_for_holder(host: &dyn Host, request: &LockRequest) -> Result<bool> {
    let folder = folder_path(SHARED, rustix::process::geteuid());
    let path = format!("{folder}/{}.lock", request.name);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened.with_context(|| format!("{}: opening the lock {path}", host.location()))?,
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(false);
    }
    wait(host, request, &mut file, FlockOperation::NonBlockingLockShared)?;
    Ok(true)
}

fn wait(host: &dyn Host, request: &LockRequest, file: &mut File, how: FlockOperation) -> Result<()> {
    let waited = wait_until(host, request.limit, LOOK_EVERY, || {
        Ok(flock(&*file, how).map_err(|_| String::new()))
    })?;
    if waited == crate::Waited::Done(()) {
        return Ok(());
    }
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    bail!(
        "{}: another module is running ({}); waited {} s for it. It may be left from a run that was killed: let it end, or raise lock_timeout",
        host.location(),
        holder.trim(),
        request.limit.as_secs()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "the test's own files")]

    use super::*;
    use std::os::unix::fs::symlink;

    fn user() -> Uid {
        Uid::from_raw(4242)
    }

    #[test]
    fn refuses_a_folder_of_locks_that_is_another_users() {
        let shared = tempfile::tempdir().unwrap();
        let path = shared.path().join("homelab-k3s-4242");
        let refused = || {
            folder(shared.path().to_str().unwrap(), user())
                .unwrap_err()
                .to_string()
        };
        // Made by whoever runs the tests, who is another user.
        assert!(
            refused().contains("only the user 4242 can write"),
            "{}",
            refused()
        );
        std::fs::remove_dir(&path).unwrap();
        symlink("/etc", &path).unwrap();
        assert!(refused().contains("is not a folder"));
    }

    #[test]
    fn makes_a_private_folder_for_this_user() {
        let shared = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid();
        let made = folder(shared.path().to_str().unwrap(), me).unwrap();
        assert_eq!(made == FOLDER, me.is_root());
        assert_eq!(std::fs::symlink_metadata(&made).unwrap().mode() & 0o777, 0o700);
        assert_eq!(folder(shared.path().to_str().unwrap(), me).unwrap(), made);
    }
}
