//! A server's datastore copied and checked, and with it all that a restore needs, as one file: made inside the
//! container, checked wherever it goes.
//!
//! The archive is a tar in gzip, with `manifest.json` first: what is in it, and the hash of each file. An archive
//! holds every secret of its cluster.

// This runs inside containers and beside archives, where no `Host` of ours is: it is the far end of one.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod copy;
mod datastore;
mod inside;
mod manifest;
mod objects;
mod read;
mod sources;
pub mod sqlite;
mod write;

pub use copy::{CHECK_SNAPSHOT, COPY_SQLITE, Verified, check_snapshot, copy_sqlite};
pub use datastore::{DATABASES, Databases, Datastore, Paths, save_snapshot, save_snapshot_in_place};
pub use inside::{
    CHECK, Job, PACK, UNPACK, asked, check, checked, pack, packed, password, print_json, unpack, unpacked,
};
pub use manifest::{About, Checked, Entry, FORMAT, MANIFEST, Manifest};
pub use objects::{Objects, count};

#[cfg(test)]
mod tests;
