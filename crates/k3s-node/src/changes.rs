//! What a module changes on a node: a list of operations, carried out one after the other by a shell that decides nothing. The first one that fails
//! ends them, and says what it was about.

mod ends;
mod moves;
mod programs;
mod proofs;

use crate::program::Program;
use host::{Command, quote};
use std::fmt;
use std::time::Duration;

/// Operations in the making.
#[derive(Clone, Default)]
pub struct Changes {
    text: String,
}

impl fmt::Debug for Changes {
    /// A file that is written may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

impl Changes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a file under a temporary name first, so that there is the old content or the new.
    #[must_use]
    pub fn write(self, path: &str, mode: u16, content: &str) -> Self {
        self.line(&format!("write {} {mode:o} {}", quote(path), quote(content)))
    }

    /// Makes a folder with those above it.
    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.or_die(
            &format!("mkdir -p {}", quote(path)),
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
        // By its mode from the beginning, also where it is made; one that was made otherwise gets it.
        let command = format!("mkdir -p -m 700 {folder} && chmod 700 {folder}");
        self.or_die(&command, &format!("making {folder} failed"))
    }

    /// Copies a file with its mode and owner.
    #[must_use]
    pub fn copy(self, from: &str, to: &str) -> Self {
        let command = format!("cp -p {} {}", quote(from), quote(to));
        self.or_die(&command, &format!("keeping the present {from} failed"))
    }

    /// Removes files; one that is not there is fine.
    #[must_use]
    pub fn remove(self, paths: &[&str]) -> Self {
        let words: Vec<String> = paths.iter().map(|path| quote(path)).collect();
        let command = format!("rm -f {}", words.join(" "));
        self.or_die(&command, &format!("removing {} failed", paths.join(", ")))
    }

    /// Removes the files in a folder that match a pattern of this program's own making.
    #[must_use]
    pub fn remove_matching(self, folder: &str, pattern: &'static str) -> Self {
        let command = format!("rm -f {}/{pattern}", quote(folder));
        self.or_die(&command, &format!("removing {folder}/{pattern} failed"))
    }

    /// Removes a folder with all that is in it.
    #[must_use]
    pub fn remove_all(self, folder: &str) -> Self {
        let command = format!("rm -rf {}", quote(folder));
        self.or_die(&command, &format!("removing {folder} failed"))
    }

    /// Removes folders that are empty; others stay.
    #[must_use]
    pub fn remove_empty(self, folders: &[&str]) -> Self {
        let words: Vec<String> = folders.iter().map(|folder| quote(folder)).collect();
        self.line(&format!("rmdir {} 2>/dev/null", words.join(" ")))
    }

    /// Brings what was changed in a folder to the disk.
    #[must_use]
    pub fn settle(self, folder: &str) -> Self {
        self.line(&format!("settle {}", quote(folder)))
    }

    /// Has systemd read its units again.
    #[must_use]
    pub fn reload(self) -> Self {
        self.or_die("systemctl daemon-reload", "systemctl daemon-reload failed")
    }

    /// Stops a unit and does not wait.
    #[must_use]
    pub fn stop(self, unit: &str) -> Self {
        let command = format!("systemctl stop --no-block {}", quote(unit));
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
        let unit = quote(unit);
        self.line(&format!("systemctl reset-failed {unit} 2>/dev/null"))
            .line(&format!("systemctl {verb} --no-block {unit} || exit"))
    }

    /// Whether a unit starts with the machine, as far as systemd can be asked.
    #[must_use]
    pub fn enabled(self, unit: &str, enabled: bool) -> Self {
        let verb = if enabled { "enable" } else { "disable" };
        self.line(&format!("systemctl {verb} {} >/dev/null 2>&1", quote(unit)))
    }

    /// A variable for the programs of the operations that follow.
    #[must_use]
    pub fn export(self, name: &str, value: &str) -> Self {
        self.line(&format!("export {name}={}", quote(value)))
    }

    /// The program, which waits up to `patience` seconds for what an earlier run has left at work there. It stands in braces: a shell whose input ends
    /// early does nothing of it.
    pub fn command(&self, patience: u64, limit: Duration) -> Command {
        let text = format!("{{\ntake_turn\n{}exit 0\n}}\n", self.text);
        Program::new(crate::setup::DEFAULT_BINARY).end_after_turn(patience, &text, limit)
    }

    pub(crate) fn lines(&self) -> &str {
        &self.text
    }

    fn or_die(self, command: &str, why: &str) -> Self {
        self.line(&format!("{command} || die {}", quote(why)))
    }

    fn line(mut self, line: &str) -> Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }
}

/// The folder of a file.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use host::{Host as _, LocalHost, Output};
    use std::os::unix::fs::PermissionsExt as _;

    /// A folder to be changed.
    pub(super) struct Folder(tempfile::TempDir);

    #[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
    impl Folder {
        pub(super) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        pub(super) fn path(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }

        pub(super) fn put(&self, name: &str, text: &str) {
            std::fs::create_dir_all(parent(&self.path(name))).unwrap();
            std::fs::write(self.path(name), text).unwrap();
        }

        pub(super) fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.path(name)).unwrap()
        }

        pub(super) fn has(&self, name: &str) -> bool {
            std::path::Path::new(&self.path(name)).exists()
        }

        pub(super) fn mode(&self, name: &str) -> u32 {
            std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
        }

        pub(super) fn set_mode(&self, name: &str, mode: u32) {
            std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// Applies changes here, under a lock of this test alone.
    fn apply(changes: &Changes) -> Output {
        let own = Folder::new();
        let mut command = changes.command(7, Duration::from_mins(1));
        let text = String::from_utf8(command.stdin).unwrap();
        command.stdin = text.replace("/run/homelab-k3s", &own.path("run")).into_bytes();
        LocalHost::new().run(&command).unwrap()
    }

    pub(super) fn succeed(changes: &Changes) {
        let output = apply(changes);
        assert!(output.ok() && output.stdout.is_empty(), "{}", output.error_text());
    }

    pub(super) fn answers(changes: &Changes) -> Facts {
        let output = apply(changes);
        assert!(output.ok(), "{}", output.error_text());
        Facts::parse(&output.stdout).unwrap()
    }

    /// What the operation says that ends them.
    pub(super) fn error(changes: &Changes) -> String {
        let output = apply(changes);
        assert_eq!(output.status, 1, "{}", output.error_text());
        output.error_text().trim().to_owned()
    }

    #[test]
    fn shows_no_file_that_it_writes() {
        let changes = Changes::new().write("/a", 0o600, "s3cr3t");
        assert!(!format!("{changes:?}").contains("s3cr3t"));
    }

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
