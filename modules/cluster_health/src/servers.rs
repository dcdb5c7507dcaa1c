//! The servers, compared with each other: what each one answered about etcd and its own API, which a playbook asked before,
//! and what its API answers at the address of its Node, which is asked here.

mod differing;
mod given;
mod judge;
mod lines;
mod observe;
#[cfg(test)]
pub(crate) mod samples;
mod state;

pub(crate) use differing::differing;
pub use given::Given;
pub(crate) use judge::{ETCD, Problem, SERVERS, judge, sees_etcd};
pub(crate) use lines::lines;
pub(crate) use observe::{ask, state};
#[cfg(test)]
pub(crate) use state::Api;
pub use state::Apis;
