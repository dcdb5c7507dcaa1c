//! Files that are verified before they are put in place.

use super::{Changes, parent};
use host::quote;

impl Changes {
    /// Goes on only where there is this file.
    #[must_use]
    pub fn require_file(self, path: &str, why: &str) -> Self {
        self.or_die(&format!("[ -f {} ]", quote(path)), why)
    }

    /// Goes on only where a file has this SHA-256 sum; one that has another is removed.
    #[must_use]
    pub fn require_sum(self, path: &str, sha256: &str, why: &str) -> Self {
        let (path, expected) = (quote(path), quote(&format!("{sha256}  -")));
        self.line(&format!(
            "[ \"$(sha256sum <{path})\" = {expected} ] || {{\n    rm -f {path}\n    die {}\n}}",
            quote(why)
        ))
    }

    #[must_use]
    pub fn mode(self, path: &str, mode: u16) -> Self {
        let command = format!("chmod {mode:o} {}", quote(path));
        self.or_die(&command, &format!("setting the mode of {path} failed"))
    }

    /// Writes a file to the disk, and then moves it into place, where there is the old one or the new.
    #[must_use]
    pub fn put_in_place(self, from: &str, to: &str) -> Self {
        let command = format!("mv -f {} {}", quote(from), quote(to));
        self.settle(from)
            .or_die(&command, &format!("putting {to} in place failed"))
            .settle(parent(to))
    }

    /// Has a file the label of its path, where there is a policy (it is about paths, not files).
    #[must_use]
    pub fn restore_label(self, path: &str) -> Self {
        let path = quote(path);
        self.line(&format!(
            "! command -v restorecon >/dev/null 2>&1 || restorecon {path} 2>/dev/null"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::{Command, Host as _, LocalHost};
    use std::time::Duration;

    const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    /// What these changes say, or that they succeeded.
    fn apply(changes: &Changes, lock: &str) -> String {
        let command = changes.command(7, Duration::from_mins(1));
        let text = String::from_utf8(command.stdin).unwrap();
        let text = text.replace("/run/homelab-k3s", lock);
        let output = LocalHost::new().run(&Command::script(text)).unwrap();
        let said = output.error_text().trim().to_owned();
        assert_eq!(output.ok(), said.is_empty(), "{said}");
        said
    }

    #[test]
    fn puts_a_file_in_place_only_with_its_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (from, to, lock) = (path("it's new"), path("place"), path("run"));
        let put = |sum: &str| {
            let changes = Changes::new()
                .require_file(&from, "gone")
                .require_sum(&from, sum, "another")
                .mode(&from, 0o755)
                .put_in_place(&from, &to)
                .restore_label(&to);
            apply(&changes, &lock)
        };
        let there = |path: &str| std::path::Path::new(path).exists();
        assert_eq!(put(HELLO), "gone");
        assert_eq!(apply(&Changes::new().write(&from, 0o600, "hello"), &lock), "");
        assert_eq!(put(HELLO), "another");
        assert!(!there(&from) && !there(&to));
        assert_eq!(apply(&Changes::new().write(&from, 0o600, "hello\n"), &lock), "");
        assert_eq!(put(HELLO), "");
        assert!(!there(&from) && there(&to));
        let below = Changes::new().put_in_place(&to, &format!("{to}/below"));
        assert!(apply(&below, &lock).ends_with(&format!("putting {to}/below in place failed")));
    }
}
