//! The command line of every module binary, and the promise that whatever happens one JSON object comes out.

use crate::{Answer, Module, run, spec};
use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

/// A module, to be run by name.
pub struct Program {
    pub name: &'static str,
    /// Takes the arguments that follow the program's name.
    pub run: fn(&[OsString]) -> ExitCode,
}

impl Program {
    pub const fn of<M: Module>() -> Self {
        Self {
            name: M::NAME,
            run: run_with::<M>,
        }
    }
}

/// What `main` of every module's own program hands over to.
pub fn main<M: Module>() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    run_with::<M>(&arguments)
}

/// Prints a failure as a module answers it.
pub fn refuse(msg: &str) -> ExitCode {
    print(&format!("{}\n", Answer::failure(msg).into_json()));
    ExitCode::FAILURE
}

fn run_with<M: Module>(arguments: &[OsString]) -> ExitCode {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    M::inside(&words).unwrap_or_else(|| called::<M>(arguments))
}

fn called<M: Module>(arguments: &[OsString]) -> ExitCode {
    answer_panics();
    let argv = std::iter::once(OsString::from(M::NAME)).chain(arguments.iter().cloned());
    let matches = match command::<M>().try_get_matches_from(argv) {
        Ok(matches) => matches,
        // clap prints help and version on stdout, faults on stderr.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if matches.get_flag("doc") {
        return print(M::DOC);
    }
    if matches.get_flag("spec") {
        return print(&format!(
            "{}\n",
            serde_json::json!({ "options": spec::options::<M::Params>() })
        ));
    }
    let path = matches.get_one::<String>("args").map_or("-", String::as_str);
    let answer = match read_arguments(path) {
        Ok(json) => run::on_this_machine::<M>(&json),
        Err(error) => Answer::failure(format!("{error:#}")),
    };
    let failed = answer.failed;
    print(&format!("{}\n", answer.into_json()));
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn command<M: Module>() -> Command {
    let about = format!(
        "The Ansible module homelab.k3s.{}: one JSON object of arguments in, one JSON answer out",
        M::NAME
    );
    Command::new(M::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .arg(
            Arg::new("args")
                .value_name("FILE")
                .help("The file with the arguments (JSON); - or nothing: standard input"),
        )
        .arg(
            Arg::new("doc")
                .long("doc")
                .action(ArgAction::SetTrue)
                .help("Print the module's documentation (YAML)"),
        )
        .arg(
            Arg::new("spec")
                .long("spec")
                .action(ArgAction::SetTrue)
                .hide(true)
                .help("Print the options as the program's types have them (JSON)"),
        )
}

fn read_arguments(path: &str) -> Result<Vec<u8>> {
    if path == "-" {
        let mut json = Vec::new();
        std::io::stdin()
            .read_to_end(&mut json)
            .context("reading the arguments from standard input")?;
        return Ok(json);
    }
    std::fs::read(path).with_context(|| format!("reading the arguments from {path}"))
}

fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A panic is a fault of ours; Ansible's user still gets an answer that says where, and no backtrace.
fn answer_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = panic.payload().downcast_ref::<&str>().map(ToString::to_string);
        let what = what
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let answer = Answer::failure(format!(
            "this is a fault in the module, please report it: {what}{at}"
        ));
        print(&format!("{}\n", answer.into_json()));
        std::process::exit(1);
    }));
}
