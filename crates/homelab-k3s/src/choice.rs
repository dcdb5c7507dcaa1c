//! Which module a call means.

use ansible_module::Program;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What Ansible puts before the name of a module that it sends.
const SENT: &str = "AnsiballZ_";

pub(crate) enum Choice<'a> {
    Module {
        module: &'a Program,
        arguments: Vec<OsString>,
    },
    Unknown(String),
    Help,
    Version,
    None,
}

/// The name of the file goes first: whoever calls it by a module's name passes that module's arguments.
pub(crate) fn of(mut argv: impl Iterator<Item = OsString>, modules: &[Program]) -> Choice<'_> {
    let file = argv.next().unwrap_or_default();
    let mut arguments: Vec<OsString> = argv.collect();
    if let Some(module) = named(file_name(&file), modules) {
        return Choice::Module { module, arguments };
    }
    if arguments.is_empty() {
        return Choice::None;
    }
    let name = arguments.remove(0).to_string_lossy().into_owned();
    match name.as_str() {
        "--help" | "-h" => Choice::Help,
        "--version" | "-V" => Choice::Version,
        _ => named(&name, modules).map_or(Choice::Unknown(name.clone()), |module| Choice::Module {
            module,
            arguments,
        }),
    }
}

pub(crate) fn names(modules: &[Program]) -> String {
    let names: Vec<&str> = modules.iter().map(|module| module.name).collect();
    names.join(", ")
}

fn file_name(path: &OsStr) -> &str {
    let name = Path::new(path).file_name().and_then(OsStr::to_str);
    let name = name.unwrap_or_default();
    name.strip_prefix(SENT).unwrap_or(name)
}

fn named<'a>(name: &str, modules: &'a [Program]) -> Option<&'a Program> {
    modules.iter().find(|module| module.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::ExitCode;

    fn chosen(argv: &[&str]) -> String {
        let run = |_: &[OsString]| ExitCode::SUCCESS;
        let modules = ["node_drain", "pct_exec"].map(|name| Program { name, run });
        match of(argv.iter().map(OsString::from), &modules) {
            Choice::Module { module, arguments } => format!("{} {arguments:?}", module.name),
            Choice::Unknown(name) => format!("no {name}"),
            Choice::Help => "help".to_owned(),
            Choice::Version => "version".to_owned(),
            Choice::None => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_first_argument_names_the_module() {
        assert_eq!(chosen(&["homelab-k3s", "pct_exec", "-"]), r#"pct_exec ["-"]"#);
        assert_eq!(chosen(&["/proc/7/exe", "pct_exec"]), "pct_exec []");
        assert_eq!(chosen(&["homelab-k3s", "pct_exce", "-"]), "no pct_exce");
        assert_eq!(chosen(&["homelab-k3s", "-"]), "no -");
        assert_eq!(chosen(&["homelab-k3s"]), "nothing");
        assert_eq!(chosen(&[]), "nothing");
    }

    #[test]
    fn the_name_of_the_file_goes_before_the_arguments() {
        assert_eq!(
            chosen(&["/t/AnsiballZ_pct_exec", "/t/args"]),
            r#"pct_exec ["/t/args"]"#
        );
        assert_eq!(
            chosen(&["./pct_exec", "node_drain"]),
            r#"pct_exec ["node_drain"]"#
        );
        assert_eq!(chosen(&["pct_exec", "--version"]), r#"pct_exec ["--version"]"#);
    }

    #[test]
    fn help_and_version_need_no_module() {
        assert_eq!(chosen(&["homelab-k3s", "--help"]), "help");
        assert_eq!(chosen(&["homelab-k3s", "-V"]), "version");
    }
}
