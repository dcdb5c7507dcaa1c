//! Moving and copying files of a server, in the order in which they are named here. Which ones is decided before.

use k3s_node::words::shell;
use std::fmt::Write as _;

const FUNCTIONS: &str = include_str!("programs/files.sh");

/// The calls of one program.
pub(crate) struct Files(String);

impl Files {
    pub(crate) fn new() -> Self {
        Self(FUNCTIONS.to_owned())
    }

    fn call(mut self, function: &str, paths: &[&str]) -> Self {
        let paths: Vec<String> = paths.iter().map(|path| shell(path)).collect();
        let _ = writeln!(self.0, "{function} {}", paths.join(" "));
        self
    }

    /// Those of these files below `server` that are there, into the folder `kept` of it.
    pub(crate) fn aside(self, server: &str, names: &[&str], kept: &str) -> Self {
        let folder = format!("{server}/{kept}");
        names.iter().fold(self, |files, name| {
            files.call("aside", &[&format!("{server}/{name}"), &folder])
        })
    }

    /// A file or a folder, to a path where none is.
    pub(crate) fn copy(self, from: &str, to: &str) -> Self {
        self.call("copy", &[from, to])
    }

    pub(crate) fn rename(self, from: &str, to: &str) -> Self {
        self.call("rename", &[from, to])
    }

    pub(crate) fn remove(self, path: &str) -> Self {
        self.call("remove", &[path])
    }

    pub(crate) fn make(self, folder: &str) -> Self {
        self.call("make", &[folder])
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
