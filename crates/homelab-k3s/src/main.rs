//! All modules as one program: what they have in common is built, sent and kept once.
//!
//! The module is chosen by the name of the file, as of a link or of the copy that Ansible sends, else by the first
//! argument. From there on it is the module's own program: the same arguments, answers and exit statuses.

mod choice;
mod modules;

use choice::Choice;
use modules::MODULES;
use std::process::ExitCode;

fn main() -> ExitCode {
    host::leave_no_core();
    match choice::of(std::env::args_os(), &MODULES) {
        Choice::Module { module, arguments } => {
            host::name_ourselves(module.name);
            (module.run)(&arguments)
        }
        Choice::Unknown(name) => ansible_module::refuse(&format!(
            "this program has no module {name}; it has {}",
            choice::names(&MODULES)
        )),
        Choice::Help => say(std::io::stdout(), &usage(), ExitCode::SUCCESS),
        Choice::Version => say(std::io::stdout(), &version(), ExitCode::SUCCESS),
        Choice::None => say(std::io::stderr(), &usage(), ExitCode::FAILURE),
    }
}

fn usage() -> String {
    format!(
        "Usage: homelab-k3s MODULE [OPTIONS] [FILE]\n\n\
         Runs one module of the collection homelab.k3s; `homelab-k3s MODULE --help` says how.\n\n\
         Modules: {}\n",
        choice::names(&MODULES)
    )
}

fn version() -> String {
    format!("homelab-k3s {}\n", env!("CARGO_PKG_VERSION"))
}

fn say(mut to: impl std::io::Write, text: &str, status: ExitCode) -> ExitCode {
    match to.write_all(text.as_bytes()) {
        Ok(()) => status,
        Err(_) => ExitCode::FAILURE,
    }
}
