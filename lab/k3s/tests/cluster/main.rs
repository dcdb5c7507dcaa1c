//! A stand-in cluster on the loopback, driven by a real kubectl: `KUBECTL` names one, else the one on PATH.

// The tests are the outside world too, and their helpers fail as tests do.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod certificates;
mod charts;
mod command_line;
mod components;
mod drain;
mod health;
mod lab;
mod reset;
mod restart;
mod trouble;
mod workloads;
