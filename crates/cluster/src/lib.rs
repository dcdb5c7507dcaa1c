//! The cluster through its API server: nodes and pods, what a pod asks of a node, the workloads above the pods, and the
//! record of our cordons. Of each object only the fields that some module uses.

mod abreast;
mod amounts;
mod answers;
mod budget;
mod chart;
mod client;
mod cordon;
mod groups;
mod job;
mod lease;
mod node;
mod object;
pub mod owners;
mod placement;
mod pod;
mod reported;
#[cfg(test)]
mod samples;
mod selector;
mod status;
mod volume;

pub use amounts::{Amounts, format_amount};
pub use answers::{Answer, Answers, Questions};
pub use budget::{Budget, Headroom, Pdb};
pub use chart::{Chart, ChartSpec, ChartStatus};
pub use client::{
    Documents, Kubectl, PAGES, check_program, k3s_kubectl, next_page, pages, passing, unless_passing,
};
pub use cordon::{CordonRecord, Owner, Purpose};
pub use groups::ApiGroups;
pub use job::Job;
pub use lease::Lease;
pub use node::{Address, Node, split};
pub use object::{
    ApiVersion, Condition, Labels, List, ListMeta, Meta, Object, OwnerReference, Time, null_is_empty,
};
pub use placement::{Claim, PersistentVolume, Taint};
pub use pod::{Pod, PodId};
pub use reported::{Reported, api_version};
pub use selector::{LabelSelector, Operator, Requirement, Selector};
pub use status::{ContainerState, ContainerStatus, PodStatus, Running, Terminated, Waiting};
pub use volume::{Pinned, pinned};

/// The words of several things, with commas between.
pub fn join<T: std::fmt::Display>(things: &[T]) -> String {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    words.join(", ")
}
