//! How far the restore of a server has come: kept in its container from before the first change until after the last.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How far a server has come. Each goes on from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is stopped, or about to be; its database is unchanged.
    Stopped,
    /// Its database is being replaced, and may be anything.
    Replacing,
    /// Its old database is set aside; instead there is the backup's, or none, for a server that joins.
    Replaced,
    /// It was started with it.
    Started,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub backup: String,
    /// When the restore began; what is set aside is named by it.
    pub stamp: String,
    /// Whether this server gets the backup, rather than joins the one that does.
    pub first: bool,
    pub stage: Stage,
    /// Whether it started with the machine before, and whether it ran.
    pub enabled: bool,
    pub active: bool,
}

/// The last restore that was finished here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub backup: String,
    /// RFC 3339.
    pub at: String,
}

impl Record {
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context(
            "reading the record of an unfinished restore (/var/lib/homelab-k3s/restore.json in the container): it is damaged. \
             It says how far the restore has come; see k3s/docs/backup.md before you remove it",
        )
    }

    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }

    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The folder, in that of the server, for what is set aside.
    pub fn aside(&self) -> String {
        format!("before-restore-{}", self.stamp)
    }
}
