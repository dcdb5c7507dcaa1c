//! Two modules, `toy` and `twin`, that report what reached them: arguments, argv, environment, user. Chosen as those of the
//! collection's program are: by the file's name, else by the first argument. Built by the tests with plain rustc, so that
//! they need no workspace; hence it searches the JSON text and does not parse it.

use std::env;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<String> = env::args().collect();
    let Some((module, path)) = chosen(&argv) else {
        return ExitCode::FAILURE;
    };
    let arguments = read_arguments(path);
    if let Some(trace) = text_of(&arguments, "trace") {
        let mut file = OpenOptions::new().create(true).append(true).open(trace).unwrap();
        file.write_all(b"started\n").unwrap();
    }
    match text_of(&arguments, "mode").unwrap_or("report") {
        "crash" => std::process::abort(),
        "silent" => return ExitCode::SUCCESS,
        "noisy" => eprintln!("{{ noise on stderr"),
        "large" => print_large(8 << 20),
        "fail" => print!("{{\"changed\": false, \"failed\": true, \"msg\": \"as asked\", \"rc\": 3}}"),
        _ => {}
    }
    if matches!(text_of(&arguments, "mode"), None | Some("report" | "noisy")) {
        report(module, &argv, &arguments);
    }
    ExitCode::SUCCESS
}

fn chosen(argv: &[String]) -> Option<(&str, Option<&str>)> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let (file, rest) = words.split_first()?;
    let file = file.rsplit('/').next()?.trim_start_matches("AnsiballZ_");
    let is_module = |name: &str| ["toy", "twin"].contains(&name);
    if is_module(file) {
        return Some((file, rest.first().copied()));
    }
    let name = rest.first().filter(|name| is_module(name))?;
    Some((name, rest.get(1).copied()))
}

fn read_arguments(path: Option<&str>) -> String {
    match path {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            text
        }
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => "{}".to_owned(),
    }
}

fn text_of<'a>(arguments: &'a str, key: &str) -> Option<&'a str> {
    let start = arguments.find(&format!("\"{key}\": \""))? + key.len() + 5;
    arguments[start..].split('"').next()
}

fn report(module: &str, argv: &[String], arguments: &str) {
    // SUDO_COMMAND holds Ansible's sign that sudo has let it in: repeated, it would be taken for the sign itself.
    let shown = env::vars().filter(|(key, _)| key != "SUDO_COMMAND");
    let environment: Vec<String> = shown.map(|(key, value)| format!("{}: {}", quoted(&key), quoted(&value))).collect();
    let argv: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    println!(
        "{{\"changed\": true, \"failed\": false, \"module\": {}, \"edition\": {}, \"argv\": [{}], \"environment\": {{{}}}, \"uid\": {}, \
         \"token\": {}, \"size\": {}, \"warnings\": [\"a warning\"], \"diff\": {{\"before\": \"old\\n\", \"after\": \"new\\n\"}}, \
         \"received\": {}}}",
        quoted(module),
        quoted(option_env!("TOY_EDITION").unwrap_or("first")),
        argv.join(", "),
        environment.join(", "),
        user_id(),
        quoted(text_of(arguments, "token").unwrap_or_default()),
        arguments.len(),
        // As text: Ansible removes its own keys from whatever is structured.
        quoted(if arguments.len() > 1 << 20 { "{}" } else { arguments }),
    );
}

fn print_large(size: usize) {
    println!("{{\"changed\": false, \"failed\": false, \"stdout\": \"{}\"}}", "x".repeat(size));
}

fn user_id() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap_or("Uid: -1 -1");
    line.split_whitespace().nth(2).unwrap_or("-1").to_owned()
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if (letter as u32) < 32 => write!(quoted, "\\u{:04x}", letter as u32).unwrap(),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
