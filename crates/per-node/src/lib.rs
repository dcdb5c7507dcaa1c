//! Merges the texts about several nodes: each is printed once, with the names of its nodes and what differs between them.

mod alike;
mod refusal;
mod task;

pub use alike::{Said, once};
pub use refusal::{Refusal, lines};
pub use task::Task;
