//! Programs on PATH, in a test's own folder.

use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Writes programs by a process of its own: a child that another test starts meanwhile would keep a file of this process open,
/// and a program that is open for writing cannot be run.
pub fn write_programs<'a>(programs: impl IntoIterator<Item = (PathBuf, &'a str)>) {
    let programs: Vec<(PathBuf, &str)> = programs.into_iter().collect();
    let mut writer = Command::new("/bin/sh");
    writer.args([
        "-c",
        "while [ $# -gt 0 ]; do printf %s \"$2\" >\"$1\" || exit; shift 2; done",
        "writer",
    ]);
    for (path, text) in &programs {
        writer.arg(path).arg(text);
    }
    assert!(writer.status().unwrap().success());
    for (path, _) in &programs {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Copies a program, by a process of its own for the same reason.
pub fn copy_program(from: impl AsRef<OsStr>, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A folder of scripts, first on the PATH of the binary under test.
pub struct Programs {
    folder: TempDir,
}

impl Default for Programs {
    fn default() -> Self {
        Self::new()
    }
}

impl Programs {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Adds a program with this text (with its `#!` line).
    #[must_use]
    pub fn with(self, name: &str, text: &str) -> Self {
        write_programs([(self.folder.path().join(name), text)]);
        self
    }

    /// A `pct` of one running container, 101, whose inside is this machine: enough for the protocol. Each call
    /// is noted in `calls`.
    #[must_use]
    pub fn with_pct(self) -> Self {
        let calls = self.folder.path().join("calls");
        let text = format!(
            r#"#!/bin/sh
printf '%s\n' "$*" >> '{}'
case "$1 $2" in
"status 101") echo "status: running"; exit 0;;
"exec 101") while [ "$1" != "--" ]; do shift; done; shift; exec env -i container=lxc TERM=linux "$@";;
*) echo "Configuration file 'nodes/pve1/lxc/$2.conf' does not exist" >&2; exit 2;;
esac
"#,
            calls.display()
        );
        self.with("pct", &text)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `pct` was called with, a line a call.
    pub fn calls(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }

    /// PATH with these programs first.
    pub fn path(&self) -> String {
        format!(
            "{}:{}",
            self.folder.path().display(),
            std::env::var("PATH").unwrap_or_default()
        )
    }

    /// A file with arguments for a module binary.
    pub fn arguments(&self, arguments: &Value) -> PathBuf {
        let path = self.folder.path().join("args.json");
        std::fs::write(&path, arguments.to_string()).unwrap();
        path
    }

    /// What a module's binary answers: one JSON object and nothing else, with an exit code that says the same.
    pub fn answer(&self, binary: impl AsRef<OsStr>, arguments: &Value) -> Value {
        let output = Command::new(binary)
            .env("PATH", self.path())
            .arg(self.arguments(arguments))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["failed"], !output.status.success(), "{answer}");
        answer
    }
}
