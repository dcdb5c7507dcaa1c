//! Runs commands and writes files on a Proxmox host, in a container through `pct`, or on a plain k3s host. Modules use
//! the [`Host`] trait, which is the same for all of them.
//!
//! No other crate starts processes, writes files, reads the clock, sleeps or uses `pct`.
#![allow(
    clippy::disallowed_methods,
    reason = "this crate is what the disallowed methods are replaced by"
)]

mod capture;
mod carry;
mod command;
mod container;
mod core_dump;
#[cfg(any(test, feature = "crash"))]
mod crash;
mod failure;
mod files;
mod local;
mod lock;
pub mod pct;
mod quote;
mod secret;
pub mod stamp;
mod transfer;
mod wait;
mod wrapper;

pub use carry::{ask_ourselves, asked_inside, carried, name_ourselves, ourselves, run_ourselves};
pub use command::{BRIEF_GO, Command, Output};
pub use container::InContainer;
pub use core_dump::leave_no_core;
#[cfg(any(test, feature = "crash"))]
pub use crash::Crashing;
pub use failure::{Failure, Kind};
pub use files::FileToWrite;
pub use local::LocalHost;
pub use lock::{Held, LockRequest};
pub use quote::quote;
pub use secret::Secret;
pub use transfer::{Save, Saved};
pub use wait::{Waited, wait_until};

use anyhow::Result;
use std::time::{Duration, SystemTime};

/// A machine or container where commands run and files live, with its clock.
pub trait Host {
    /// Where this is, for messages: `container 101 on pve1`.
    fn location(&self) -> String;

    /// Runs a command to its end. A status other than 0 is data, not an error; an error is a [`Failure`]:
    /// the command could not be run, was not found, or was stopped by its limit.
    fn run(&self, command: &Command) -> Result<Output>;

    /// The content of a file; `None` where there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Writes a complete file: a temporary file beside it, mode and owner before the content, synced, renamed.
    fn write(&self, file: &FileToWrite) -> Result<()>;

    /// Removes a file; one that is not there is fine.
    fn remove(&self, path: &str) -> Result<()>;

    /// Wall-clock time. Containers share the kernel, and so the clock, of their host.
    fn now(&self) -> SystemTime;

    /// Time since the module started, never going backwards.
    fn elapsed(&self) -> Duration;

    fn sleep(&self, duration: Duration);

    /// A word that no other run of any module has: marks processes, folders and output as ours.
    fn unique(&self) -> String;

    /// The machine that this host is on: the Proxmox host for a container, else itself.
    fn outside(&self) -> &dyn Host;

    /// Takes the lock of a host, waiting for another module that holds it.
    fn lock(&self, request: &LockRequest) -> Result<Held>;

    /// Waits until nobody holds the lock, without taking it, and returns whether somebody held it. On hosts where nothing can
    /// collide nobody does.
    fn wait_for_holder(&self, _request: &LockRequest) -> Result<bool> {
        Ok(false)
    }
}
