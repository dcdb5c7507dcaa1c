//! What runs next to etcd: asking it, and removing a member.

mod etcd;
mod nodes;

use crate::state::{Datastore, Etcd, Nodes, Seen};
use anyhow::{Context, Result, bail, ensure};
use host::LocalHost;
use k3s_node::NodeSettings;
use k3s_node::settings::Datastore as Kept;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

/// What is asked of the program inside. Keys are not in it: it reads them where they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Look {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_dir: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        kubectl: Vec<String>,
    },
    Remove {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_dir: Option<String>,
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
        } => serde_json::to_string(&look(data_dir.as_deref(), endpoint.as_deref(), &kubectl)?)?,
        Request::Remove {
            data_dir,
            endpoint,
            id,
        } => serde_json::to_string(&etcd::remove(
            &found(data_dir.as_deref())?.0,
            &etcd_api::endpoint(endpoint.as_deref()),
            id,
        )?)?,
    })
}

fn look(data_dir: Option<&str>, endpoint: Option<&str>, kubectl: &[String]) -> Result<Seen> {
    let (server, datastore) = found(data_dir)?;
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

/// The server's folder, and what it keeps the cluster in. The node's settings are read only where they decide: an etcd that was begun is
/// used whatever they say.
fn found(data_dir: Option<&str>) -> Result<(PathBuf, Datastore)> {
    let given = data_dir.map(|path| Path::new(path).join("server"));
    if let Some(server) = given.as_deref().filter(|server| has_wal(server)) {
        return Ok((server.to_owned(), Datastore::Etcd));
    }
    let node = NodeSettings::look(&LocalHost::new())?;
    let server = match (given, node.unreadable()) {
        (Some(server), _) => server,
        (None, Some(why)) => bail!("{why}"),
        (None, None) => Path::new(&node.settings().data_dir()).join("server"),
    };
    let datastore = datastore(&server, &node)?;
    Ok((server, datastore))
}

/// `member/wal`, not the folder, shows that etcd is in use: the folder and the certificates are there on `SQLite`
/// servers too.
fn has_wal(server: &Path) -> bool {
    server.join("db/etcd/member/wal").is_dir()
}

/// What k3s uses by its settings. A `state.db` beside an external datastore is in nobody's use.
fn datastore(server: &Path, node: &NodeSettings) -> Result<Datastore> {
    ensure!(
        server.is_dir(),
        "there is no k3s server here: there is no folder {}. Where its data is elsewhere, give data_dir (the playbooks: k3s_data_dir)",
        server.display()
    );
    Ok(match node.settings().datastore(has_wal(server)) {
        Kept::Etcd if has_wal(server) => Datastore::Etcd,
        Kept::Sqlite | Kept::Etcd if server.join("db/state.db").is_file() => Datastore::Sqlite,
        _ => Datastore::External,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_node::{Facts, settings::DEFAULT_CONFIG};

    fn node(config: &str) -> NodeSettings {
        let frames = [
            ("hostname", "n1"),
            ("config:/etc/rancher/k3s/config.yaml", config),
            ("end", ""),
        ];
        let frames = frames.map(|(name, text)| format!("@{name} {}\n{text}\n", text.len()));
        NodeSettings::read(&Facts::parse(frames.concat().as_bytes()).unwrap(), DEFAULT_CONFIG).unwrap()
    }

    #[test]
    fn the_write_ahead_log_decides_not_the_folder_and_then_what_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let server = folder.path().join("server");
        let (plain, external) = (node(""), node("datastore-endpoint: postgres://u:p@db/k3s\n"));
        let kept = |node: &NodeSettings| datastore(&server, node).map_err(|error| error.to_string());
        assert!(kept(&plain).unwrap_err().contains("no k3s server here"));
        std::fs::create_dir_all(server.join("db/etcd")).unwrap();
        assert_eq!(kept(&plain), Ok(Datastore::External));
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(server.join("db/state.db"))
            .unwrap();
        assert_eq!(kept(&plain), Ok(Datastore::Sqlite));
        assert_eq!(kept(&node("cluster-init: true\n")), Ok(Datastore::Sqlite));
        assert_eq!(kept(&external), Ok(Datastore::External));
        assert_eq!(kept(&node("disable-etcd: yes\n")), Ok(Datastore::External));
        std::fs::create_dir_all(server.join("db/etcd/member/wal")).unwrap();
        assert_eq!(kept(&external), Ok(Datastore::Etcd));
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
