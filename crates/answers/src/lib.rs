//! The results of one module that another module reads. A playbook passes a registered result on as an option; both ends
//! use the same type, so that a field which only one of them spells so does not compile.
//!
//! Every field may be missing: the task may have been skipped, or may have failed before it had a value.

mod answered;
mod asked;
pub mod drain;
pub mod etcd;
pub mod given;
pub mod health;
mod install;
mod snapshot;
mod version;

pub use answered::Answered;
pub use asked::Asked;
pub use install::{Install, Record};
pub use snapshot::Snapshot;
pub use version::{Refused, Version};
