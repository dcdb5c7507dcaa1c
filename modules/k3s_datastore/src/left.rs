//! What an interrupted migration has left in k3s's folder, and what serves instead.

use crate::record::{Record, Stage};
use crate::state::Paths;
use k3s_node::Facts;

/// What lies where k3s keeps its databases, and the copy of `SQLite`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) wal: bool,
    pub(crate) etcd: bool,
    /// Where the database is that k3s migrated from.
    pub(crate) original: Option<Original>,
    /// The SHA-256 sum of what is at the copy's path.
    pub(crate) copy: Option<String>,
    /// Folders with the etcd of earlier failures.
    pub(crate) failed: Vec<String>,
}

/// The second best beside the copy, and no worse: k3s only reads it while it migrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Original {
    InPlace,
    /// As k3s does at the end.
    Renamed,
}

impl Left {
    pub(crate) fn read(facts: &Facts) -> Self {
        let sum = |(_, line): (String, String)| line.split_whitespace().next().map(str::to_owned);
        let mut sums = facts.below("copy:").into_iter();
        Self {
            wal: facts.has("wal"),
            etcd: facts.has("etcd"),
            original: match (facts.has("database"), facts.has("migrated")) {
                (true, _) => Some(Original::InPlace),
                (false, true) => Some(Original::Renamed),
                (false, false) => None,
            },
            copy: sums.find_map(sum),
            failed: facts.below("failed:").into_iter().map(|(path, _)| path).collect(),
        }
    }

    /// Whether `SQLite` lies there as before. Where it was being put back, its log may be gone already.
    pub(crate) fn is_untouched(&self, stage: Stage) -> bool {
        stage != Stage::GoingBack && self.original == Some(Original::InPlace) && !self.wal
    }

    /// The sum of the copy, where that is the one which was taken.
    pub(crate) fn usable_copy<'r>(&self, record: &'r Record) -> Option<&'r str> {
        let taken = record.copy.as_ref().map(|copy| copy.sha256.as_str())?;
        (self.copy.as_deref() == Some(taken)).then_some(taken)
    }

    /// An error says that there is nothing to serve from.
    pub(crate) fn original(&self, record: &Record, paths: &Paths) -> Result<Original, String> {
        self.original.ok_or_else(|| {
            format!(
                "{} cannot be put back, and {}/db has neither state.db nor state.db.migrated",
                record.database(),
                paths.server()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn sqlite_is_left_alone_where_no_etcd_was_begun_and_nothing_was_put_back() {
        let untouched = Left {
            original: Some(Original::InPlace),
            ..Left::default()
        };
        assert!(untouched.is_untouched(Stage::Begun) && untouched.is_untouched(Stage::Migrating));
        assert!(!untouched.is_untouched(Stage::GoingBack));
        let begun = Left {
            wal: true,
            ..untouched
        };
        assert!(!begun.is_untouched(Stage::Migrating));
        assert!(!Left::default().is_untouched(Stage::Begun));
    }

    #[test]
    fn a_copy_counts_by_its_sum_alone() {
        let with = |sum: Option<&str>| Left {
            copy: sum.map(str::to_owned),
            ..Left::default()
        };
        let taken = fixtures::record(Stage::Migrating);
        assert_eq!(with(Some("ab")).usable_copy(&taken), Some("ab"));
        for other in [Some("cd"), Some(""), None] {
            assert_eq!(with(other).usable_copy(&taken), None);
        }
        assert_eq!(
            with(Some("ab")).usable_copy(&fixtures::record(Stage::Begun)),
            None
        );
        assert_eq!(with(None).usable_copy(&fixtures::record(Stage::Begun)), None);
    }

    #[test]
    fn without_the_copy_the_original_serves_from_where_it_is() {
        let (record, paths) = (fixtures::record(Stage::Migrating), Paths::default());
        let original = |frames: &[&str]| {
            let frames = frames.iter().chain([&"end"]);
            let text: Vec<String> = frames.map(|name| format!("@{name} 1\nx\n")).collect();
            let text = text.concat();
            Left::read(&Facts::parse(text.as_bytes()).unwrap()).original(&record, &paths)
        };
        assert_eq!(original(&["database", "migrated"]), Ok(Original::InPlace));
        assert_eq!(original(&["database"]), Ok(Original::InPlace));
        assert_eq!(original(&["migrated"]), Ok(Original::Renamed));
        let error = original(&[]).unwrap_err();
        assert!(
            error.contains("pre-etcd-20251231T000000Z/state.db cannot be put back"),
            "{error}"
        );
    }
}
