//! Files and folders that are moved and copied.

use super::{Changes, parent};
use host::quote;

impl Changes {
    /// Makes a folder that only root reads, with those above it.
    #[must_use]
    pub fn private_folder(self, path: &str) -> Self {
        let command = format!("(umask 077 && mkdir -p {})", quote(path));
        self.or_die(&command, &format!("making {path} failed"))
    }

    /// Moves a file or a folder into `folder`, where it is there. What an earlier run has moved there stays beside it.
    #[must_use]
    pub fn aside(self, path: &str, folder: &str) -> Self {
        self.line(&format!("aside {} {}", quote(path), quote(folder)))
    }

    /// Copies a file or a folder to a path where none is, with modes and owners: there is all of its content or none.
    #[must_use]
    pub fn copy_all(self, from: &str, to: &str) -> Self {
        self.line(&format!("copy_all {} {}", quote(from), quote(to)))
    }

    /// Copies a file for root only, and stops where the copy has another SHA-256 sum.
    #[must_use]
    pub fn copy_of(self, from: &str, to: &str, sha256: &str) -> Self {
        let [source, copy, sum] = [from, to, sha256].map(quote);
        self.remove(&[to])
            .or_die(
                &format!("(umask 077 && cp {source} {copy})"),
                &format!("copying {from} to {to} failed"),
            )
            .or_die(
                &format!("printf '%s  %s\\n' {sum} {copy} | sha256sum -c >/dev/null 2>&1"),
                &format!("{to} is not what was to be copied from {from}: its SHA-256 sum is another"),
            )
            .settle(to)
    }

    /// Renames a file or a folder, replacing a file of that name.
    #[must_use]
    pub fn rename(self, from: &str, to: &str) -> Self {
        let command = format!("mv -T {} {}", quote(from), quote(to));
        self.or_die(&command, &format!("renaming {from} to {to} failed"))
            .settle(parent(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::tests::{Folder, error, succeed};

    #[test]
    fn what_is_moved_aside_leaves_alone_what_lies_there() {
        let folder = Folder::new();
        let (old, kept) = (folder.path("db/etcd"), folder.path("kept"));
        for content in ["one", "two", "three"] {
            folder.put("db/etcd/data", content);
            succeed(&Changes::new().aside(&old, &kept));
            assert!(!folder.has("db/etcd"));
        }
        succeed(&Changes::new().aside(&old, &kept));
        let texts =
            ["etcd", "etcd.next", "etcd.next.next"].map(|name| folder.text(&format!("kept/{name}/data")));
        assert_eq!(texts, ["one", "two", "three"]);
        assert_eq!(folder.mode("kept"), 0o700);
    }

    #[test]
    fn keeps_modes_and_replaces_an_interrupted_copy() {
        let folder = Folder::new();
        folder.put("from/a/key", "secret");
        folder.set_mode("from/a/key", 0o640);
        folder.put("made/to.part/a/half", "");
        succeed(&Changes::new().copy_all(&folder.path("from"), &folder.path("made/to")));
        assert_eq!(folder.text("made/to/a/key"), "secret");
        assert_eq!(folder.mode("made/to/a/key"), 0o640);
        assert!(!folder.has("made/to/a/half") && !folder.has("made/to.part"));
    }

    #[test]
    fn a_copy_with_another_sum_is_named() {
        let folder = Folder::new();
        folder.put("from", "hello\n");
        let (from, to) = (folder.path("from"), folder.path("to"));
        let sum = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        succeed(&Changes::new().copy_of(&from, &to, sum));
        assert_eq!(
            (folder.text("to"), folder.mode("to")),
            ("hello\n".to_owned(), 0o600)
        );
        for other in [sum.replace('5', "6"), String::new()] {
            let said = error(&Changes::new().copy_of(&from, &to, &other).remove(&[&from]));
            assert_eq!(
                said,
                format!("{to} is not what was to be copied from {from}: its SHA-256 sum is another")
            );
            assert!(folder.has("from"), "the list went on");
        }
    }

    #[test]
    fn what_fails_is_named_with_its_path_and_ends_the_list() {
        let folder = Folder::new();
        folder.put("file", "");
        let [file, none, below] = ["file", "none", "file/below"].map(|name| folder.path(name));
        let cases = [
            (
                Changes::new().rename(&none, &below),
                format!("renaming {none} to {below} failed"),
            ),
            (
                Changes::new().copy_all(&none, &folder.path("to")),
                format!("copying {none} to "),
            ),
            (
                Changes::new().aside(&file, &below),
                format!("moving {file} to {below}/file failed"),
            ),
            (
                Changes::new().private_folder(&below),
                format!("making {below} failed"),
            ),
        ];
        for (changes, said) in cases {
            let error = error(&changes.remove(&[&file]));
            assert!(error.contains(&said), "{error}");
            assert!(folder.has("file"), "the list went on");
        }
        succeed(&Changes::new().rename(&file, &folder.path("other")));
        assert!(folder.has("other"));
    }
}
