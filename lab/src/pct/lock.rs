//! Proxmox's lock file per container, waited for as Proxmox waits: ten seconds, with its words.

use super::failure::{Failure, Outcome};
use super::host::Host;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::time::{Duration, Instant};

/// Whose words these are: a task's output is merged into stdout and its exit code is always 255.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Task,
    Direct,
}

pub(crate) fn take(host: &Host, vmid: &str, caller: Caller) -> Outcome<File> {
    let shown = format!("/run/lock/lxc/pve-config-{vmid}.lock");
    let path = host.path(&shown);
    let open = File::options().create(true).append(true).open(&path);
    let file = open.map_err(|error| Failure::plain(format!("can't open file '{shown}' - {error}")))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(file);
    }
    print(caller, "trying to acquire lock...");
    let limit = Duration::from_millis(host.faults_of(vmid).lock_wait_ms.unwrap_or(10_000));
    let begun = Instant::now();
    while begun.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(20));
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            print(caller, " OK");
            return Ok(file);
        }
    }
    // The alarm that ends the wait leaves EINTR behind, and Perl makes that the exit code.
    let code = if caller == Caller::Task { 255 } else { 4 };
    Err(Failure::new(
        code,
        format!("can't lock file '{shown}' - got timeout"),
    ))
}

fn print(caller: Caller, text: &str) {
    match caller {
        Caller::Task => println!("{text}"),
        Caller::Direct => eprintln!("{text}"),
    }
}
