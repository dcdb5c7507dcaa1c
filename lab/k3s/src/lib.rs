//! A stand-in for k3s: one program that behaves towards kubectl, systemd, the install script and an operator's
//! eyes as the recorded k3s did. It runs no containers; its pods are entries in the API that live and die on time.
// This crate *is* the outside world of the modules under test: it starts processes, reads the clock, prints.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

pub mod store;
