//! The API server through `kubectl`, and what all its objects have in common. Only the fields that are used.

mod answers;
mod client;
mod cordon;
mod object;
mod placement;
#[cfg(test)]
mod samples;
mod selector;

pub use answers::{Answer, Answers, Questions};
pub use client::{Documents, Kubectl, next_page, pages, passing, quote, unless_passing};
pub use cordon::{CordonRecord, Owner, Purpose};
pub use object::{Condition, List, ListMeta, Meta, OwnerReference, Time, null_is_empty};
pub use placement::{Claim, PersistentVolume, Placement, Taint};
pub use selector::{LabelSelector, Labels, Operator, Requirement, Selector};
