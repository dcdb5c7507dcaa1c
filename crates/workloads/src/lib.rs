//! Pods, what they ask of a node, and the workloads above them: what has to be known before pods are moved, and looked
//! at after. Only the fields that are used.

mod amounts;
mod node;
pub mod owners;
mod pod;
mod volume;

pub use amounts::{Amounts, told};
pub use node::{Node, split};
pub use pod::{Pod, PodId};
pub use volume::{Pinned, pinned};

/// The words of several things, with commas between.
pub fn join<T: std::fmt::Display>(things: &[T]) -> String {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    words.join(", ")
}
