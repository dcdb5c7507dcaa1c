//! The command line as Perl's `Getopt::Long` reads it: one or two dashes, abbreviations, options anywhere before `--`,
//! booleans that swallow the next word.

use super::failure::{Failure, Outcome};
use std::env;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its value may be left out; a next word that is not an option is taken for it.
    Boolean,
    Value,
}

pub(crate) struct Spec {
    pub(crate) name: &'static str,
    positionals: &'static [&'static str],
    extra: bool,
    options: &'static [(&'static str, Kind)],
}

const VMID: &[&str] = &["vmid"];
use Kind::{Boolean, Value};

const fn verb(
    name: &'static str,
    positionals: &'static [&'static str],
    options: &'static [(&'static str, Kind)],
) -> Spec {
    Spec {
        name,
        positionals,
        extra: false,
        options,
    }
}

pub(crate) const LIST: Spec = verb("list", &[], &[]);
pub(crate) const STATUS: Spec = verb("status", VMID, &[("verbose", Boolean)]);
pub(crate) const CONFIG: Spec = verb("config", VMID, &[("current", Boolean), ("snapshot", Value)]);
pub(crate) const PENDING: Spec = verb("pending", VMID, &[]);
pub(crate) const START: Spec = verb("start", VMID, &[("skiplock", Boolean), ("debug", Boolean)]);
pub(crate) const STOP: Spec = verb(
    "stop",
    VMID,
    &[("skiplock", Boolean), ("overrule-shutdown", Boolean)],
);
pub(crate) const SHUTDOWN: Spec = verb("shutdown", VMID, &[("timeout", Value), ("forceStop", Boolean)]);
pub(crate) const REBOOT: Spec = verb("reboot", VMID, &[("timeout", Value)]);
pub(crate) const EXEC: Spec = Spec {
    extra: true,
    ..verb("exec", VMID, &[("keep-env", Boolean)])
};
pub(crate) const ENTER: Spec = verb("enter", VMID, &[("keep-env", Boolean)]);
const OWNER: &[(&str, Kind)] = &[("user", Value), ("group", Value), ("perms", Value)];
pub(crate) const PUSH: Spec = verb("push", &["vmid", "file", "destination"], OWNER);
pub(crate) const PULL: Spec = verb("pull", &["vmid", "path", "destination"], OWNER);
pub(crate) const UNLOCK: Spec = verb("unlock", VMID, &[]);
pub(crate) const SNAPSHOT: Spec = verb("snapshot", &["vmid", "snapname"], &[("description", Value)]);
pub(crate) const LISTSNAPSHOT: Spec = verb("listsnapshot", VMID, &[]);
pub(crate) const ROLLBACK: Spec = verb("rollback", &["vmid", "snapname"], &[("start", Boolean)]);
pub(crate) const DELSNAPSHOT: Spec = verb("delsnapshot", &["vmid", "snapname"], &[("force", Boolean)]);
pub(crate) const SET: Spec = verb(
    "set",
    VMID,
    &[
        ("arch", Value),
        ("cores", Value),
        ("cpulimit", Value),
        ("cpuunits", Value),
        ("delete", Value),
        ("description", Value),
        ("dev0", Value),
        ("dev1", Value),
        ("digest", Value),
        ("features", Value),
        ("hookscript", Value),
        ("hostname", Value),
        ("lock", Value),
        ("memory", Value),
        ("mp0", Value),
        ("mp1", Value),
        ("nameserver", Value),
        ("net0", Value),
        ("net1", Value),
        ("onboot", Boolean),
        ("ostype", Value),
        ("protection", Boolean),
        ("revert", Value),
        ("rootfs", Value),
        ("searchdomain", Value),
        ("startup", Value),
        ("swap", Value),
        ("tags", Value),
        ("timezone", Value),
        ("unprivileged", Boolean),
    ],
);

impl Spec {
    pub(crate) fn usage(&self) -> String {
        let mut text = format!("pct {}", self.name);
        for name in self.positionals {
            text.push_str(&format!(" <{name}>"));
        }
        if self.extra {
            text.push_str(" [<extra-args>]");
        }
        if !self.options.is_empty() {
            text.push_str(" [OPTIONS]");
        }
        text
    }

    fn bad(&self, text: &str) -> Failure {
        Failure::plain(format!("400 {text}\n{}", self.usage()))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Call {
    positionals: Vec<String>,
    pub(crate) extra: Vec<String>,
    options: Vec<(&'static str, String)>,
}

impl Call {
    pub(crate) fn vmid(&self) -> &str {
        self.positional(0)
    }

    pub(crate) fn positional(&self, index: usize) -> &str {
        self.positionals.get(index).map_or("", String::as_str)
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn options(&self) -> &[(&'static str, String)] {
        &self.options
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.option(name).map_or(default, |value| value == "1")
    }
}

pub(crate) fn parse(spec: &Spec, words: &[String]) -> Outcome<Call> {
    let mut call = Call::default();
    let free = scan(spec, words, &mut call)?;
    let named = spec.positionals.len();
    if free.len() < named {
        return Err(spec.bad("not enough arguments"));
    }
    if free.len() > named && !spec.extra {
        return Err(spec.bad("too many arguments"));
    }
    call.positionals = free[..named].to_vec();
    call.extra = free[named..].to_vec();
    for (name, value) in &mut call.options {
        if spec
            .options
            .iter()
            .any(|(known, kind)| known == name && *kind == Boolean)
        {
            *value = boolean(value)
                .ok_or_else(|| spec.bad("unable to parse boolean option"))?
                .to_owned();
        }
    }
    if spec.positionals.first() == Some(&"vmid") {
        check_vmid(spec, call.vmid())?;
    }
    Ok(call)
}

/// Splits off the options; what is left are the free words.
fn scan(spec: &Spec, words: &[String], call: &mut Call) -> Outcome<Vec<String>> {
    // Then the first free word ends the options, and a later `--` is nothing special.
    let permute = env::var_os("POSIXLY_CORRECT").is_none();
    let mut free = Vec::new();
    let mut complaints = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        if !word.starts_with('-') || word == "-" {
            free.push(word.clone());
            if permute {
                continue;
            }
            break;
        }
        let body = word.strip_prefix("--").unwrap_or(&word[1..]);
        let (name, given) = body
            .split_once('=')
            .map_or((body, None), |(n, v)| (n, Some(v.to_owned())));
        match matching(spec, name).as_slice() {
            [] => complaints.push(format!("Unknown option: {name}")),
            [(name, Value)] => match given.or_else(|| rest.next().cloned()) {
                Some(value) => call.options.push((name, value)),
                None => complaints.push(format!("Option {name} requires an argument")),
            },
            [(name, Boolean)] => {
                let next = rest.clone().next().filter(|next| !next.starts_with('-'));
                let swallowed = if given.is_none() {
                    next.and_then(|_| rest.next().cloned())
                } else {
                    None
                };
                call.options.push((name, given.or(swallowed).unwrap_or_default()));
            }
            several => {
                let names: Vec<_> = several.iter().map(|(name, _)| *name).collect();
                complaints.push(format!("Option {name} is ambiguous ({})", names.join(", ")));
            }
        }
    }
    free.extend(rest.cloned());
    if complaints.is_empty() {
        return Ok(free);
    }
    Err(Failure::plain(format!(
        "{}\n400 unable to parse option\n{}",
        complaints.join("\n"),
        spec.usage()
    )))
}

fn matching(spec: &Spec, name: &str) -> Vec<(&'static str, Kind)> {
    let name = name.to_ascii_lowercase();
    let candidates = || spec.options.iter().copied();
    if let Some(exact) = candidates().find(|(known, _)| known.to_ascii_lowercase() == name) {
        return vec![exact];
    }
    if name.is_empty() {
        return Vec::new();
    }
    candidates()
        .filter(|(known, _)| known.to_ascii_lowercase().starts_with(&name))
        .collect()
}

fn boolean(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "" | "1" | "on" | "yes" | "true" => Some("1"),
        "0" | "off" | "no" | "false" => Some("0"),
        _ => None,
    }
}

fn check_vmid(spec: &Spec, vmid: &str) -> Outcome<()> {
    let reason = if vmid
        .strip_prefix(['-', '+'])
        .unwrap_or(vmid)
        .chars()
        .any(|c| !c.is_ascii_digit())
        || vmid.is_empty()
    {
        format!("type check ('integer') failed - got '{vmid}'")
    } else if !(3..=9).contains(&vmid.len()) || vmid.starts_with(['0', '-', '+']) {
        "invalid format - value does not look like a valid VM ID".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::plain(format!(
        "400 Parameter verification failed.\nvmid: {reason}\n\n{}",
        spec.usage()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn parsed(spec: &Spec, line: &str) -> Call {
        parse(spec, &words(line)).unwrap_or_else(|failure| panic!("{line}: {}", failure.text))
    }

    #[test]
    fn keep_env_has_three_spellings() {
        for line in [
            "101 --keep-env 0 -- ls",
            "101 --keep-env=0 -- ls",
            "101 --keep-env no -- ls",
            "-k=0 101 -- ls",
        ] {
            let call = parsed(&EXEC, line);
            assert!(!call.flag("keep-env", true), "{line}");
            assert_eq!(
                (call.vmid(), call.extra.as_slice()),
                ("101", &words("ls")[..]),
                "{line}"
            );
        }
        assert!(parsed(&EXEC, "101 --keep-env -- ls").flag("keep-env", false));
    }

    #[test]
    fn a_bare_boolean_swallows_the_next_word() {
        let failure = parse(&EXEC, &words("--keep-env 101 -- ls -la")).unwrap_err();
        assert!(
            failure.text.starts_with("400 unable to parse boolean option"),
            "{}",
            failure.text
        );
    }

    #[test]
    fn options_of_the_command_need_two_dashes_before_it() {
        let failure = parse(&EXEC, &words("101 ls -la")).unwrap_err();
        assert_eq!(
            failure.text,
            "Unknown option: la\n400 unable to parse option\npct exec <vmid> [<extra-args>] [OPTIONS]"
        );
        assert_eq!(parsed(&EXEC, "101 -- sh -c -- x").extra, words("sh -c -- x"));
        assert_eq!(parsed(&EXEC, "101 -- -- ls").extra, words("-- ls"));
    }

    #[test]
    fn vmids_are_checked() {
        for (vmid, reason) in [
            ("abc", "vmid: type check ('integer') failed - got 'abc'"),
            (
                "99",
                "vmid: invalid format - value does not look like a valid VM ID",
            ),
            (
                "0101",
                "vmid: invalid format - value does not look like a valid VM ID",
            ),
        ] {
            let failure = parse(&STATUS, &words(vmid)).unwrap_err();
            assert_eq!(failure.code, 255);
            assert!(failure.text.contains(reason), "{}", failure.text);
        }
    }

    #[test]
    fn the_number_of_arguments_is_checked() {
        assert!(
            parse(&STATUS, &[])
                .unwrap_err()
                .text
                .starts_with("400 not enough arguments\npct status")
        );
        assert!(
            parse(&STATUS, &words("101 102"))
                .unwrap_err()
                .text
                .starts_with("400 too many arguments\n")
        );
    }
}
