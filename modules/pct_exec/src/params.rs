//! What the user asks for.

use ansible_module::defaults::{number, yes};
use host::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The options; see `pct_exec.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: u32,
    pub what: What,
    pub chdir: Option<String>,
    pub environment: BTreeMap<String, Secret>,
    pub creates: Option<String>,
    pub removes: Option<String>,
    pub timeout: u64,
    pub ensure_started: bool,
    pub start_timeout: u64,
    pub refuse_locked: bool,
    pub success_rc: Vec<i32>,
    pub changed: bool,
    pub changed_rc: Option<Vec<i32>>,
}

/// What to run: exactly one of the three.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A program with its arguments and its input.
    Program { argv: Vec<String>, stdin: String },
    /// A text for `sh -s`.
    Script(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: u32,
    argv: Option<Vec<String>>,
    cmd: Option<String>,
    script: Option<String>,
    chdir: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, Secret>,
    stdin: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default)]
    ensure_started: bool,
    #[serde(default = "number::<120, _>")]
    start_timeout: u64,
    #[serde(default)]
    refuse_locked: bool,
    #[serde(default = "zero")]
    success_rc: Vec<i32>,
    #[serde(default = "yes")]
    changed: bool,
    changed_rc: Option<Vec<i32>>,
}

fn zero() -> Vec<i32> {
    vec![0]
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        for (name, seconds) in [
            ("timeout", options.timeout),
            ("start_timeout", options.start_timeout),
        ] {
            if seconds == 0 {
                return Err(format!("{name}: must be at least 1 second"));
            }
        }
        if options.success_rc.is_empty() {
            return Err("success_rc: an empty list would make every command fail".to_owned());
        }
        if let Some(name) = options.environment.keys().find(|name| !is_variable_name(name)) {
            return Err(format!(
                "environment: {name:?} cannot be the name of a variable (letters, digits and _ only)"
            ));
        }
        Ok(Self {
            vmid: options.vmid,
            what: what(options.argv, options.cmd, options.script, options.stdin)?,
            chdir: options.chdir,
            environment: options.environment,
            creates: options.creates,
            removes: options.removes,
            timeout: options.timeout,
            ensure_started: options.ensure_started,
            start_timeout: options.start_timeout,
            refuse_locked: options.refuse_locked,
            success_rc: options.success_rc,
            changed: options.changed,
            changed_rc: options.changed_rc,
        })
    }
}

fn what(
    argv: Option<Vec<String>>,
    cmd: Option<String>,
    script: Option<String>,
    stdin: Option<String>,
) -> Result<What, String> {
    let argv = match (argv, cmd, script) {
        (Some(argv), None, None) => argv,
        (None, Some(cmd), None) => shell_words::split(&cmd).map_err(|error| format!("cmd: {error}"))?,
        (None, None, Some(_)) if stdin.is_some() => {
            return Err(
                "stdin and script exclude each other: the script itself is the input of the shell".to_owned(),
            );
        }
        (None, None, Some(script)) => return Ok(What::Script(script)),
        _ => return Err("give exactly one of argv, cmd and script".to_owned()),
    };
    match argv.first() {
        Some(program) if !program.is_empty() => Ok(What::Program {
            argv,
            stdin: stdin.unwrap_or_default(),
        }),
        _ => Err("argv and cmd begin with a program's name; there is none".to_owned()),
    }
}

fn is_variable_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}
