//! `sqlite-backup SRC DST`: one JSON line on stdout and status 0, or one line on stderr and status 1.

// A program for a container that has no sqlite3: its two lines are its whole interface.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [source, target] = arguments.as_slice() else {
        eprintln!("usage: sqlite-backup SRC DST");
        return ExitCode::FAILURE;
    };
    match sqlite_backup::backup(Path::new(source), Path::new(target)) {
        Ok(copied) => {
            println!(
                r#"{{"bytes":{},"sha256":"{}","integrity":"ok"}}"#,
                copied.bytes, copied.sha256
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
