//! Says in what the flags of other sources of k3s differ from the table in `k3s_node::flags`:
//!
//!     cargo run -p k3s-node --example k3s_flags -- <folder of k3s's sources>
//!
//! It ends with 1 where they differ. Sources older than the table lack what came later.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program by itself, which reads a folder that its user names"
)]

use k3s_node::{Role, flags};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> io::Result<ExitCode> {
    let Some(folder) = env::args().nth(1) else {
        println!("name the folder of k3s's sources");
        return Ok(ExitCode::from(2));
    };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(format!("{folder}/pkg/cli/cmds"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "go") {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            texts.insert(name, fs::read_to_string(path)?);
        }
    }
    let named: BTreeMap<String, Vec<String>> = texts.values().flat_map(|text| variables(text)).collect();
    let mut same = true;
    for (role, file, begin) in [
        (Role::Server, "server.go", "var ServerFlags = []cli.Flag{"),
        (Role::Agent, "agent.go", "Flags: []cli.Flag{"),
    ] {
        let text = texts.get(file).map(String::as_str).unwrap_or_default();
        let theirs = listed(text, begin, &named);
        let ours: BTreeSet<String> = flags::of(role).map(str::to_owned).collect();
        for flag in theirs.difference(&ours) {
            println!("{role}: {flag} is new");
        }
        for flag in ours.difference(&theirs) {
            println!("{role}: {flag} is not there");
        }
        same &= ours == theirs;
    }
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The flags that stand in variables: `DebugFlag = &cli.BoolFlag{`.
fn variables(text: &str) -> Vec<(String, Vec<String>)> {
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some((name, _)) = line.split_once("= &cli.") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
            found.push((name.trim().to_owned(), names(&body)));
        }
    }
    found
}

/// The flags of one list, which has them in place or by the names of their variables.
fn listed(text: &str, begin: &str, named: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != begin)
        .skip(1);
    let mut found = BTreeSet::new();
    while let Some(line) = lines.next() {
        if line.starts_with("&cli.") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "},").collect();
            found.extend(names(&body));
        } else if line.starts_with('}') {
            break;
        } else if let Some(flags) = line.strip_suffix(',').and_then(|name| named.get(name)) {
            found.extend(flags.iter().cloned());
        }
    }
    found
}

/// `Name: "data-dir",` and `Aliases: []string{"d"},`; older sources have `Name: "data-dir,d",`.
fn names(body: &[&str]) -> Vec<String> {
    let quoted = |line: &&str| {
        let parts = line.split('"').skip(1).step_by(2);
        parts
            .flat_map(|part| part.split(','))
            .map(|name| name.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let naming = |line: &&&str| line.starts_with("Name:") || line.starts_with("Aliases:");
    body.iter().filter(naming).flat_map(quoted).collect()
}
