//! Builds, documents and checks the repository: `cargo xtask install | docs | check | builds | static`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it runs cargo, writes files and talks to the one who called it"
)]

mod build;
mod builds;
mod check;
mod circles;
mod docs;
mod install;
mod literal;
mod marks;
mod module_pages;
mod pages;
mod playbook_pages;
mod playbooks;
mod prose;
mod repo;
mod sbom;
mod sidecar;
mod stub;
mod usage;
mod variables;
mod words;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use repo::Repo;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds and checks the collection homelab.k3s")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the program of all modules, write it and stubs into plugins/modules, and the list of what it is made of
    Install {
        /// The platforms to build for; without it x86-64 Linux (static) and the platform that this runs on
        #[arg(long = "target", value_name = "TRIPLE")]
        targets: Vec<String>,
    },
    /// Write the tables of README.md, the pages of variables, modules and playbooks, and the stubs where the program is built
    Docs,
    /// Update the table of k3s's builds from a checkout of k3s-io/docs
    Builds {
        #[arg(value_name = "FOLDER")]
        docs: PathBuf,
    },
    /// Build one package's program for this machine, static, and put it into a folder
    Static {
        package: String,
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Compare sidecars, stubs, action plugins, version, README, playbooks and scenarios with each other, and find
    /// files of a crate that use each other
    Check,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let repo = Repo::here();
    match task {
        Task::Install { targets } => install::install(&repo, targets),
        Task::Docs => {
            docs::write(&repo)?;
            variables::write(&repo)?;
            pages::write(&repo)?;
            install::write_stubs(&repo)
        }
        Task::Builds { docs } => builds::write(&repo, docs),
        Task::Static { package, folder } => install::only_static(&repo, package, folder),
        Task::Check => {
            let faults = check::faults(&repo)?;
            for fault in &faults {
                println!("{fault}");
            }
            ensure!(faults.is_empty(), "{} places disagree", faults.len());
            Ok(())
        }
    }
}
