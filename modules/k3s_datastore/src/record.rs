//! The record of a migration under way, on the node, from before k3s is stopped until etcd is proven or `SQLite` serves
//! again. While it is there, what lies in k3s's folder is ours to heal.

use k3s_node::FOLDER;
use serde::{Deserialize, Serialize};

pub(crate) const FILE: &str = "datastore-record.json";

/// A newer module may write what this one cannot read.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    pub(crate) run_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) saved_at: u64,
    /// k3s's data folder.
    pub(crate) data: String,
    /// Where copy and token are.
    pub(crate) backup: String,
    /// The file of ours with `cluster-init`.
    pub(crate) drop_in: String,
    pub(crate) stage: Stage,
    /// The copy, once it is complete and checked.
    pub(crate) copy: Option<CopySeen>,
    /// When k3s first began to migrate, in seconds since 1970.
    pub(crate) migrating_since: Option<u64>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// k3s may be stopped; `SQLite` is untouched.
    Begun,
    /// k3s may have begun to fill etcd.
    Migrating,
    /// It failed, and `SQLite` is being put back.
    GoingBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopySeen {
    pub(crate) sha256: String,
    pub(crate) objects: u64,
}

impl Record {
    pub(crate) fn begun(
        run_id: Option<String>,
        now: u64,
        data: &str,
        backup: String,
        drop_in: String,
    ) -> Self {
        Self {
            format: FORMAT,
            run_id,
            saved_at: now,
            data: data.to_owned(),
            backup,
            drop_in,
            stage: Stage::Begun,
            copy: None,
            migrating_since: None,
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let record: Self =
            serde_json::from_str(text).map_err(|error| format!("it is not readable ({error})"))?;
        if record.format != FORMAT {
            return Err(format!(
                "it has format {}, and this module reads format {FORMAT}",
                record.format
            ));
        }
        Ok(record)
    }

    pub(crate) fn to_text(&self) -> String {
        // A struct of strings and numbers: there is nothing in it that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn database(&self) -> String {
        format!("{}/state.db", self.backup)
    }

    pub(crate) fn objects(&self) -> Option<u64> {
        self.copy.as_ref().map(|copy| copy.objects)
    }
}

pub(crate) fn path() -> String {
    format!("{FOLDER}/{FILE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut record = Record::begun(
            Some("run-1".to_owned()),
            7,
            "/data",
            "/b/pre-etcd-1".to_owned(),
            "/etc/rancher/k3s/config.yaml.d/zz.yaml".to_owned(),
        );
        record.stage = Stage::Migrating;
        record.copy = Some(CopySeen {
            sha256: "ab".to_owned(),
            objects: 3,
        });
        assert_eq!(Record::parse(&record.to_text()), Ok(record));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(Record::parse("").unwrap_err().contains("not readable"));
        let newer = Record::begun(None, 1, "/d", String::new(), String::new())
            .to_text()
            .replace("\"format\":1", "\"format\":2");
        assert!(Record::parse(&newer).unwrap_err().contains("format 2"));
    }
}
