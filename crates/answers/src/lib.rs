//! What one module answers and another one reads. A playbook hands a registered answer on as an option; both ends have
//! the same type here, so that a field which only one of them spells so does not compile.
//!
//! Every field may be missing: the task may have been skipped, or have failed before it knew.

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
