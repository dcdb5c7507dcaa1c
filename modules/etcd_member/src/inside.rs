//! What runs next to etcd: asking it, and removing a member.

mod etcd;
mod nodes;

use crate::state::{Datastore, Etcd, Nodes, Seen};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

/// What is asked of the program inside. Keys are not in it: it reads them where they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Look {
        data_dir: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        kubectl: Vec<String>,
    },
    Remove {
        data_dir: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        id: u64,
    },
}

/// Does what was asked for, where something was; `None`: this is a call of the module.
pub(crate) fn asked(arguments: &[String]) -> Option<ExitCode> {
    host::asked_inside(arguments, answer)
}

fn answer(request: &str) -> Result<String> {
    let request = serde_json::from_str(request).context("reading what is asked for")?;
    Ok(match request {
        Request::Look {
            data_dir,
            endpoint,
            kubectl,
        } => serde_json::to_string(&look(Path::new(&data_dir), endpoint.as_deref(), &kubectl)?)?,
        Request::Remove {
            data_dir,
            endpoint,
            id,
        } => serde_json::to_string(&etcd::remove(
            &Path::new(&data_dir).join("server"),
            &etcd_api::endpoint(endpoint.as_deref()),
            id,
        )?)?,
    })
}

fn look(data_dir: &Path, endpoint: Option<&str>, kubectl: &[String]) -> Result<Seen> {
    let server = data_dir.join("server");
    let datastore = datastore(&server)?;
    // Side by side: where etcd is in trouble, the API server keeps its askers waiting too.
    let (etcd, nodes) = thread::scope(|scope| {
        let nodes = scope.spawn(|| nodes::read(kubectl));
        let etcd = match datastore {
            Datastore::Etcd => etcd::look(&server, &etcd_api::endpoint(endpoint)),
            Datastore::Sqlite | Datastore::External => Ok(Etcd::None),
        };
        let nodes = nodes
            .join()
            .unwrap_or_else(|_| Nodes::Unknown("reading the Nodes failed".to_owned()));
        (etcd, nodes)
    });
    Ok(Seen {
        datastore,
        etcd: etcd?,
        nodes,
    })
}

/// `member/wal`, not the folder, shows that etcd is in use: the folder and the certificates are there on `SQLite`
/// servers too.
fn datastore(server: &Path) -> Result<Datastore> {
    if server.join("db/etcd/member/wal").is_dir() {
        return Ok(Datastore::Etcd);
    }
    if server.join("db/state.db").is_file() {
        return Ok(Datastore::Sqlite);
    }
    if server.is_dir() {
        return Ok(Datastore::External);
    }
    bail!(
        "there is no k3s server here: there is no folder {}. Where its data is elsewhere, give data_dir (the playbooks: k3s_data_dir)",
        server.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_ahead_log_decides_not_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let server = folder.path().join("server");
        let error = datastore(&server).unwrap_err().to_string();
        assert!(error.contains("no k3s server here"), "{error}");
        std::fs::create_dir_all(server.join("db/etcd")).unwrap();
        assert_eq!(datastore(&server).unwrap(), Datastore::External);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(server.join("db/state.db"))
            .unwrap();
        assert_eq!(datastore(&server).unwrap(), Datastore::Sqlite);
        std::fs::create_dir_all(server.join("db/etcd/member/wal")).unwrap();
        assert_eq!(datastore(&server).unwrap(), Datastore::Etcd);
    }

    #[test]
    fn reports_an_invalid_request() {
        assert!(answer("{}").is_err());
        assert!(
            answer(r#"{"look":{"data_dir":"/nowhere","endpoint":"https://127.0.0.1:1","kubectl":["true"]}}"#)
                .is_err()
        );
    }
}
