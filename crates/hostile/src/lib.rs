//! Every parser of foreign text, and every module, as one function each for fuzzing. A module runs on a host whose every
//! answer comes from the input. The fuzz targets in `fuzz/` and the short run among the tests call the same functions.
//!
//! A function fails by a panic. It also checks what has to be true of any input, such as that a text which was written
//! reads back the same.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "this crate is only linked into tests, where a panic is how a test fails"
)]

mod cases;
mod hostile_host;
mod modules;
mod mutate;
mod parsers;
mod seeds;

pub use hostile_host::HostileHost;
pub use modules::{calls, refusal, run_with};
pub use mutate::Mutator;

/// Separates the parts of an input that has several. JSON, PEM and YAML have this byte nowhere.
pub(crate) const SEPARATOR: u8 = 0x1c;

/// One kind of foreign text.
pub struct Target {
    pub name: &'static str,
    /// Reads any input.
    pub run: fn(&[u8]),
    /// What the mutations begin with: recordings and the answers of transcripts.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 14] = [
    Target {
        name: "arguments",
        run: modules::arguments,
        seeds: modules::argument_seeds,
    },
    Target {
        name: "modules",
        run: modules::modules,
        seeds: modules::answer_seeds,
    },
    Target {
        name: "channel",
        run: modules::channel,
        seeds: modules::channel_seeds,
    },
    Target {
        name: "kubeconfig",
        run: modules::kubeconfig,
        seeds: modules::kubeconfig_seeds,
    },
    Target {
        name: "versions",
        run: parsers::versions,
        seeds: seeds::versions,
    },
    Target {
        name: "yaml",
        run: parsers::yaml,
        seeds: seeds::yaml,
    },
    Target {
        name: "config",
        run: parsers::config,
        seeds: seeds::yaml,
    },
    Target {
        name: "pem",
        run: parsers::pem,
        seeds: seeds::pem,
    },
    Target {
        name: "unit",
        run: parsers::unit,
        seeds: seeds::units,
    },
    Target {
        name: "env_file",
        run: parsers::env_file,
        seeds: seeds::env_files,
    },
    Target {
        name: "facts",
        run: parsers::facts,
        seeds: seeds::facts,
    },
    Target {
        name: "kubectl",
        run: parsers::kubectl,
        seeds: seeds::kubectl,
    },
    Target {
        name: "pct",
        run: parsers::pct,
        seeds: seeds::pct,
    },
    Target {
        name: "etcd",
        run: parsers::etcd,
        seeds: seeds::etcd,
    },
];

/// The target of this name.
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        panic!("there is no target {name}; there are {}", names.join(", "))
    })
}
