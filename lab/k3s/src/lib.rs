//! A stand-in for k3s: one program that behaves towards kubectl, systemd, the install script and an operator's
//! eyes as the recorded k3s did. It runs no containers; its pods are entries in the API that live and die on time.
// This crate *is* the outside world of the modules under test: it starts processes, reads the clock, prints.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

pub mod addons;
pub mod admission;
pub mod agent;
pub mod api;
pub mod balancer;
pub mod certificate;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod controllers;
pub mod etcd;
pub mod faults;
pub mod files;
pub mod join;
pub mod json;
pub mod kinds;
pub mod kubeconfig;
pub mod kubectl;
pub mod kubelet;
pub mod log;
pub mod notify;
pub mod paths;
pub mod phase;
pub mod pki;
pub mod random;
pub mod registry;
pub mod serve;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod supervisor;
pub mod tamper;
pub mod tls;
pub mod token;
pub mod version;
