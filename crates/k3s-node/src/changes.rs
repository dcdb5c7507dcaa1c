//! What a module changes on a node: a list of operations, carried out one after the other by a shell that decides nothing. The first one that fails
//! ends them, and says what it was about.

mod ends;
mod proofs;

use crate::program::Program;
use crate::words;
use host::Command;
use std::time::Duration;

/// Operations in the making.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    text: String,
}

impl Changes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a file under a temporary name first, so that there is the old content or the new.
    #[must_use]
    pub fn write(self, path: &str, mode: u16, content: &str) -> Self {
        self.line(&format!("write {} {mode:o} {}", quoted(path), quoted(content)))
    }

    /// Makes a folder with those above it.
    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.or_die(
            &format!("mkdir -p {}", quoted(path)),
            &format!("making {path} failed"),
        )
    }

    /// Makes the folder of a file.
    #[must_use]
    pub fn folder_of(self, path: &str) -> Self {
        let folder = parent(path);
        self.folder(folder)
    }

    /// Makes [`crate::FOLDER`], which only root reads.
    #[must_use]
    pub fn own_folder(self) -> Self {
        let folder = crate::FOLDER;
        let command = format!("mkdir -p {folder} && chmod 700 {folder}");
        self.or_die(&command, &format!("making {folder} failed"))
    }

    /// Copies a file with its mode and owner.
    #[must_use]
    pub fn copy(self, from: &str, to: &str) -> Self {
        let command = format!("cp -p {} {}", quoted(from), quoted(to));
        self.or_die(&command, &format!("keeping the present {from} failed"))
    }

    /// Removes files; one that is not there is fine.
    #[must_use]
    pub fn remove(self, paths: &[&str]) -> Self {
        let words: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
        let command = format!("rm -f {}", words.join(" "));
        self.or_die(&command, &format!("removing {} failed", paths.join(", ")))
    }

    /// Removes the files in a folder that match a pattern of this program's own making.
    #[must_use]
    pub fn remove_matching(self, folder: &str, pattern: &'static str) -> Self {
        let command = format!("rm -f {}/{pattern}", quoted(folder));
        self.or_die(&command, &format!("removing {folder}/{pattern} failed"))
    }

    /// Removes a folder with all that is in it.
    #[must_use]
    pub fn remove_all(self, folder: &str) -> Self {
        let command = format!("rm -rf {}", quoted(folder));
        self.or_die(&command, &format!("removing {folder} failed"))
    }

    /// Removes folders that are empty; others stay.
    #[must_use]
    pub fn remove_empty(self, folders: &[&str]) -> Self {
        let words: Vec<String> = folders.iter().map(|folder| quoted(folder)).collect();
        self.line(&format!("rmdir {} 2>/dev/null", words.join(" ")))
    }

    /// Brings what was changed in a folder to the disk.
    #[must_use]
    pub fn settle(self, folder: &str) -> Self {
        self.line(&format!("settle {}", quoted(folder)))
    }

    /// Has systemd read its units again.
    #[must_use]
    pub fn reload(self) -> Self {
        self.or_die("systemctl daemon-reload", "systemctl daemon-reload failed")
    }

    /// Stops a unit and does not wait.
    #[must_use]
    pub fn stop(self, unit: &str) -> Self {
        let command = format!("systemctl stop --no-block {}", quoted(unit));
        self.or_die(&command, &format!("stopping {unit} failed"))
    }

    /// Starts a unit, however often it has failed, and does not wait: one that notifies may never do so.
    #[must_use]
    pub fn start(self, unit: &str) -> Self {
        self.begin("start", unit)
    }

    #[must_use]
    pub fn restart(self, unit: &str) -> Self {
        self.begin("restart", unit)
    }

    /// Systemd says itself what is wrong with a unit.
    fn begin(self, verb: &str, unit: &str) -> Self {
        let unit = quoted(unit);
        self.line(&format!("systemctl reset-failed {unit} 2>/dev/null"))
            .line(&format!("systemctl {verb} --no-block {unit} || exit"))
    }

    /// Whether a unit starts with the machine, as far as systemd can be told.
    #[must_use]
    pub fn enabled(self, unit: &str, enabled: bool) -> Self {
        let verb = if enabled { "enable" } else { "disable" };
        self.line(&format!("systemctl {verb} {} >/dev/null 2>&1", quoted(unit)))
    }

    /// More of the shell, where no operation is made for it.
    #[must_use]
    pub fn shell(self, text: &str) -> Self {
        self.line(text)
    }

    /// The program, which waits up to `patience` seconds for what an earlier run has left at work there. It stands in braces: a shell whose input ends
    /// early does nothing of it.
    pub fn command(&self, patience: u64, limit: Duration) -> Command {
        let text = format!("{{\ntake_turn\n{}exit 0\n}}\n", self.text);
        Program::new(crate::setup::DEFAULT_BINARY).end_after_turn(patience, &text, limit)
    }

    fn or_die(self, command: &str, why: &str) -> Self {
        self.line(&format!("{command} || die {}", quoted(why)))
    }

    fn line(mut self, line: &str) -> Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }
}

fn quoted(word: &str) -> String {
    words::shell(word)
}

/// The folder of a file.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_contents_are_quoted_and_each_operation_says_what_failed() {
        let changes = Changes::new()
            .folder_of("/etc/it's/a")
            .write("/etc/it's/a", 0o600, "$x\n")
            .remove(&["/b", "/c"])
            .stop("k3s.service");
        let text = String::from_utf8(changes.command(7, Duration::from_mins(1)).stdin).unwrap();
        let end = text.split_once("\ntake_turn\n").unwrap().1;
        assert_eq!(
            end,
            "mkdir -p '/etc/it'\\''s' || die 'making /etc/it'\\''s failed'\n\
             write '/etc/it'\\''s/a' 600 '$x\n'\n\
             rm -f '/b' '/c' || die 'removing /b, /c failed'\n\
             systemctl stop --no-block 'k3s.service' || die 'stopping k3s.service failed'\n\
             exit 0\n}\n"
        );
        assert!(text.contains("patience='7'"));
    }
}
