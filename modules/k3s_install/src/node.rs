//! The node as the API has it: what runs, and whether it is alive.

pub(crate) use cluster::{Reported as Node, api_version};
