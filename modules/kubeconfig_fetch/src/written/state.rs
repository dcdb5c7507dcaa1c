//! What is known of the file that is to hold this cluster.

use super::dest::Paths;
use super::view::{Document, View};
use crate::credentials::Credentials;
use crate::reach::Obstacle;
use anyhow::{Context, Result, bail};
use std::time::SystemTime;

pub(crate) const BACKUP: &str = ".backup-";

pub struct State {
    pub(crate) credentials: Credentials,
    /// What an entry is called where there is none yet.
    pub(crate) name: String,
    pub(crate) paths: Paths,
    pub(crate) facts: Facts,
    /// The present content of the file.
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) view: View,
    /// The file that kubectl reads when it is not named another, if that is another one.
    pub(crate) unmentioned: Option<Document>,
    /// Files of KUBECONFIG that cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
    pub(crate) verdict: Verdict,
    /// The address that the file has answers as this cluster.
    pub(crate) keep_address: bool,
    /// As the option says.
    pub(crate) replace: bool,
    pub(crate) now: SystemTime,
}

/// What came of asking the API server from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    NotAsked,
    Answers,
    Fails(Obstacle),
}

/// What lies at the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Numeric user and group that we run as.
    pub me: (u32, u32),
    /// The file behind all symbolic links.
    pub target: String,
    pub folder: Option<Ls>,
    pub file: Option<Ls>,
    /// Names of earlier backups, oldest first.
    pub backups: Vec<String>,
    /// Files that a run had not finished when it was killed. They may hold a key.
    pub leftovers: Vec<String>,
}

/// The beginning of a line of `ls -ln`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ls {
    /// `-rw-------`
    pub mode: String,
    pub owner: (u32, u32),
}

/// Answers one line a fact, by what POSIX has: this runs on whatever machine a person works on.
pub(crate) const LOOK: &str = r#"p=$1 n=0
while [ -L "$p" ] && [ "$n" -lt 40 ]; do
  t=$(readlink -- "$p") || exit 1
  case $t in /*) p=$t;; *) p=${p%/*}/$t;; esac
  n=$((n + 1))
done
fact() { printf '%s\n' "$1 $2"; }
case $p in *[[:cntrl:]]*) fact strange "$1"; exit 0;; esac
fact me "$(id -u) $(id -g)"
fact target "$p"
d=${p%/*}
[ -d "${d:-/}" ] && fact folder "$(ls -lnd -- "${d:-/}")"
[ -e "$p" ] && fact file "$(ls -lnd -- "$p")"
ls -1A -- "${d:-/}" 2>/dev/null | while IFS= read -r b; do
  case $b in ".${p##*/}.hk3s-"*) fact leftover "$d/$b";; esac
done
d=${1%/*}
ls -1A -- "${d:-/}" 2>/dev/null | while IFS= read -r b; do
  case $b in
    "${1##*/}$2"*) fact backup "$b";;
    ".${1##*/}$2"*.hk3s-*) fact leftover "$d/$b";;
  esac
done
exit 0
"#;

impl Facts {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut facts = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let words: Vec<&str> = value.split_whitespace().collect();
            match key {
                "strange" => bail!("{value}: it is a link to a path with control characters"),
                "me" => facts.me = ids(&words, 0)?,
                "target" => value.clone_into(&mut facts.target),
                "folder" => facts.folder = Some(Ls::parse(&words)?),
                "file" => facts.file = Some(Ls::parse(&words)?),
                "backup" => facts.backups.push(value.to_owned()),
                "leftover" => facts.leftovers.push(value.to_owned()),
                _ => bail!("checking the destination: unexpected answer {line:?}"),
            }
        }
        if !facts.target.starts_with('/') {
            bail!("checking the destination: its answer is incomplete");
        }
        facts.backups.sort();
        Ok(facts)
    }

    /// The folder of the file itself.
    pub(crate) fn folder_path(&self) -> &str {
        match self.target.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((folder, _)) => folder,
        }
    }

    /// Root can give the file to whose it is, anybody else only keep what is theirs.
    pub(crate) fn owner(&self) -> (u32, u32) {
        let location = self.file.as_ref().or(self.folder.as_ref());
        location.map_or(self.me, |location| location.owner)
    }
}

impl Ls {
    fn parse(words: &[&str]) -> Result<Self> {
        Ok(Self {
            mode: words
                .first()
                .context("ls printed nothing")?
                .chars()
                .take(10)
                .collect(),
            owner: ids(words, 2)?,
        })
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode.starts_with('-')
    }

    pub(crate) fn is_private(&self) -> bool {
        self.mode == "-rw-------"
    }
}

fn ids(words: &[&str], from: usize) -> Result<(u32, u32)> {
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
    number(from)
        .zip(number(from + 1))
        .with_context(|| format!("checking the destination: no user and group in {words:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_facts_of_linux_and_macos() {
        let text = "me 501 20\ntarget /Users/a/.kube/config\nfolder drwx------@ 9 501 20 288 Nov 25 09:00 /Users/a/.kube\n\
                    file -rw-r--r--+ 1 501 20 2941 Nov 25 09:00 /Users/a/.kube/config\nbackup config.backup-2\nbackup config.backup-1\n";
        let facts = Facts::parse(text).unwrap();
        assert_eq!(facts.me, (501, 20));
        assert_eq!(facts.folder_path(), "/Users/a/.kube");
        assert_eq!(facts.backups, ["config.backup-1", "config.backup-2"]);
        let file = facts.file.as_ref().unwrap();
        assert_eq!(
            (file.owner, file.is_file(), file.is_private()),
            ((501, 20), true, false)
        );
        assert!(Facts::parse("me 0 0\ntarget /config\n").unwrap().folder_path() == "/");
    }

    #[test]
    fn a_new_file_belongs_to_whom_its_folder_does() {
        let owner = |text: &str| Facts::parse(text).unwrap().owner();
        assert_eq!(owner("me 0 0\ntarget /a/b\n"), (0, 0));
        assert_eq!(
            owner("me 0 0\ntarget /a/b\nfolder drwx------ 2 7 8 4096 x /a\n"),
            (7, 8)
        );
        let both = "me 0 0\ntarget /a/b\nfolder drwx------ 2 7 8 4096 x /a\nfile -rw------- 1 5 6 1 x /a/b\n";
        assert_eq!(owner(both), (5, 6));
    }

    #[test]
    fn rejects_an_incomplete_answer() {
        for text in [
            "",
            "me 0 0\n",
            "me x y\ntarget /a\n",
            "target /a\nfile\n",
            "sh: ls: not found\n",
        ] {
            assert!(Facts::parse(text).is_err(), "{text:?}");
        }
    }
}
