//! The binary itself: on real files, and against an API server that is real as far as TLS goes.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

mod desk;
mod files;
mod network;
mod reading;
