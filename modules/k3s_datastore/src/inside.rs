//! What runs next to the datastores: counting and copying `SQLite`, asking etcd, and comparing the two.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the far end of a Host: it has no Host of its own"
)]

mod compare;
mod kine;

use anyhow::{Context, Result, bail};
pub use compare::{Compared, Keys};
use etcd_api::{Client, Tls};
use kine::Kine;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// One answer of etcd; a page of large objects on a slow disk takes a second.
const LIMIT: Duration = Duration::from_secs(15);

/// What is asked of the program inside. Keys and tokens are not in it: it reads them where they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Counts the objects of a database that may be in use, and has `SQLite` check it.
    Look { database: PathBuf },
    /// Copies a database and the token beside it, replacing what a killed run has left there.
    Copy {
        database: PathBuf,
        token: PathBuf,
        folder: PathBuf,
    },
    /// Whether the member of etcd here votes.
    Member {
        server: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
    },
    /// Holds what etcd held when the migration ended against the copy.
    Compare {
        copy: PathBuf,
        server: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    pub objects: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    pub bytes: u64,
    pub sha256: String,
    pub objects: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Hexadecimal, as etcd's own tools print it.
    pub id: String,
    pub name: String,
    /// A voter of a cluster that has a leader.
    pub voter: bool,
}

/// Does what was asked for, where something was; `None`: this is a call of the module.
pub fn asked(arguments: &[String]) -> Option<ExitCode> {
    host::asked_inside(arguments, answer)
}

/// The answer to a [`Request`] in JSON.
pub fn answer(request: &str) -> Result<String> {
    let request: Request = serde_json::from_str(request).context("reading what is asked for")?;
    Ok(match request {
        Request::Look { database } => serde_json::to_string(&look(&database)?)?,
        Request::Copy {
            database,
            token,
            folder,
        } => serde_json::to_string(&copy(&database, &token, &folder)?)?,
        Request::Member { server, endpoint } => {
            serde_json::to_string(&with_etcd(&server, endpoint.as_deref(), async |etcd| {
                member(&etcd).await
            })?)?
        }
        Request::Compare {
            copy,
            server,
            endpoint,
        } => {
            let copy = Kine::open_copy(&copy)?;
            serde_json::to_string(&with_etcd(&server, endpoint.as_deref(), async |etcd| {
                compare::compare(&copy, &etcd).await
            })?)?
        }
    })
}

fn look(database: &Path) -> Result<Looked> {
    let kine = Kine::open(database)?;
    kine.check()?;
    Ok(Looked {
        objects: kine.objects()?,
    })
}

/// Each file stands under its name only when it is complete and on the disk.
fn copy(database: &Path, token: &Path, folder: &Path) -> Result<Copied> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making the folder {}", folder.display()))?;
    let target = folder.join("state.db");
    // Where that is complete, the copy that an earlier run has left is of no more use.
    look(database)?;
    remove(&target)?;
    let copied = server_archive::sqlite::backup(database, &target)?;
    copy_token(token, &folder.join("token"))?;
    // Counted in the copy: etcd will be compared with it.
    let objects = Kine::open_copy(&target)?.objects()?;
    if objects == 0 {
        bail!(
            "{} holds no object of a cluster: this is not the database of a running server",
            database.display()
        );
    }
    Ok(Copied {
        bytes: copied.bytes,
        sha256: copied.sha256,
        objects,
    })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn copy_token(from: &Path, to: &Path) -> Result<()> {
    let mut token = Vec::new();
    let mut file =
        File::open(from).with_context(|| format!("opening the server's token {}", from.display()))?;
    file.read_to_end(&mut token)
        .with_context(|| format!("reading the server's token {}", from.display()))?;
    remove(to)?;
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(|| format!("creating {}", to.display()))?;
    copy.write_all(&token)
        .and_then(|()| copy.sync_all())
        .with_context(|| format!("writing {}", to.display()))
}

fn with_etcd<T>(
    server: &Path,
    endpoint: Option<&str>,
    work: impl AsyncFnOnce(Client) -> Result<T>,
) -> Result<T> {
    let endpoint = &etcd_api::endpoint(endpoint);
    let tls = Tls::of_k3s(server).context("reading etcd's certificates")?;
    etcd_api::block_on(async {
        let client = Client::new(endpoint, &tls, LIMIT)
            .with_context(|| format!("preparing to connect to etcd at {endpoint}"))?;
        work(client).await
    })
    .context("preparing to connect to etcd")?
}

async fn member(etcd: &Client) -> Result<Member> {
    let status = etcd.status().await.context("asking etcd for its status")?;
    let members = etcd.members().await.context("asking etcd for its members")?;
    let own = members
        .into_iter()
        .find(|member| member.id == status.member_id)
        .context("etcd does not count itself among its members")?;
    Ok(Member {
        id: format!("{:x}", own.id),
        name: own.name,
        voter: !own.is_learner && status.leader != 0,
    })
}

#[cfg(test)]
mod tests;
