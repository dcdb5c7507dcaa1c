//! What is to be said of several nodes, said once: with the nodes that it is about, and what differs from node to node.

mod alike;
mod refusal;
mod task;

pub use alike::{Said, once};
pub use refusal::{Refusal, lines};
pub use task::Task;
