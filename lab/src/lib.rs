//! A Proxmox host to test against, on one machine: real containers, a stand-in `pct`, an sshd, a release server
//! and a cluster. `lab/README.md` says what each stand-in imitates.
//!
//! The lab *is* the outside world that the rest of the workspace reaches through `host::Host`: it starts programs,
//! sleeps and writes files itself, hence the one exception below.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]
// Texts of a few lines, written once: a reader's ease counts for more than an allocation.
#![allow(clippy::format_push_string)]

pub mod cgroup;
pub mod cluster;
pub mod container;
pub mod down;
pub mod fault;
pub mod history;
pub mod images;
pub mod inventory;
pub mod layout;
pub mod namespace;
pub mod paths;
pub mod pct;
pub mod process;
pub mod progress;
pub mod real;
pub mod release;
pub mod setup;
pub mod sshd;
pub mod state;
pub mod sysctl;
pub mod template;
pub mod up;
