//! The command's question and the running server's answer.

use super::Options;
use super::file::{self, Snapshot};
use crate::clock;
use crate::etcd;
use crate::files;
use crate::json::{items, text};
use crate::log;
use crate::token::Token;
use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SERVER: &str = "https://127.0.0.1:6443";

pub async fn run(options: &Options) -> Result<()> {
    match options.command.as_str() {
        "save" => {
            let answer = ask(options, "save").await?;
            for name in texts(&answer, "/created") {
                log::info(&format!("Snapshot {name} saved."));
            }
        }
        "ls" => {
            ensure!(
                options.output == "json",
                "the stand-in lists snapshots as JSON alone: -o json"
            );
            println!(
                "{:#}",
                objects(&snapshots(&ask(options, "list").await?), &options.node)
            );
        }
        "delete" => {
            let answer = ask(options, "delete").await?;
            let deleted = texts(&answer, "/deleted");
            for name in &options.names {
                if deleted.contains(&name.as_str()) {
                    log::info(&format!("Snapshot {name} deleted."));
                } else {
                    log::warn(&format!("Snapshot {name} not found."));
                }
            }
        }
        other => bail!("No help topic for '{other}'"),
    }
    Ok(())
}

fn texts<'a>(answer: &'a Value, pointer: &str) -> Vec<&'a str> {
    items(answer, pointer).iter().filter_map(Value::as_str).collect()
}

/// As recorded of `ls -o json`.
fn objects(snapshots: &[Snapshot], node: &str) -> Value {
    let object = |snapshot: &Snapshot| {
        json!({
            "kind": "ETCDSnapshotFile", "apiVersion": "k3s.cattle.io/v1",
            "metadata": {
                "name": format!("local-{}", snapshot.name),
                "labels": {"etcd.k3s.cattle.io/snapshot-storage-node": node},
            },
            "spec": {"snapshotName": snapshot.name, "nodeName": node, "location": snapshot.location()},
            "status": {"size": snapshot.size.to_string(), "creationTime": snapshot.created_at(), "readyToUse": true},
        })
    };
    json!({
        "kind": "List", "apiVersion": "v1", "metadata": {},
        "items": snapshots.iter().map(object).collect::<Vec<_>>(),
    })
}

/// With the server's token, as root on the server can read it.
async fn ask(options: &Options, operation: &str) -> Result<Value> {
    let token = files::read(&options.server_dir().join("token"))?;
    let ca = files::read(&options.server_dir().join("tls/server-ca.crt"))?;
    let secret = Token::parse(token.trim())?.secret;
    let address = crate::balancer::address(SERVER)?;
    let client =
        crate::client::Client::new(&address, crate::tls::client(&ca, None)?).with_login("server", &secret);
    let request = json!({
        "operation": operation, "name": options.names, "dir": [options.folder], "base": options.name,
    });
    let answer = client
        .send(Method::POST, "/db/snapshot", Some(("application/json", &request)))
        .await;
    let answer = answer.context("see server log for details")?;
    let message = String::from_utf8_lossy(&answer.body).trim().to_owned();
    ensure!(
        answer.is_ok(),
        "{}/db/snapshot: {}: {message}: see server log for details",
        SERVER,
        answer.status_text()
    );
    Ok(answer.json())
}

fn snapshots(answer: &Value) -> Vec<Snapshot> {
    let of = |record: &Value| Snapshot {
        name: text(record, "/name").to_owned(),
        path: PathBuf::from(text(record, "/location").trim_start_matches("file://")),
        size: record["size"].as_u64().unwrap_or_default(),
        created: record["created"].as_i64().unwrap_or_default(),
    };
    items(answer, "/snapshots").iter().map(of).collect()
}

/// The server's answer to a request.
pub async fn serve(server_dir: &Path, node: &str, request: &Value) -> Result<Value> {
    ensure!(etcd::is_initialized(server_dir), "{}", etcd::NOT_INITIALIZED);
    let folder = PathBuf::from(text(request, "/dir/0"));
    let base = format!("{}-{node}", text(request, "/base"));
    Ok(match text(request, "/operation") {
        "save" => {
            file::prepare(&folder, server_dir)?;
            let name = format!("{base}-{}", clock::unix());
            log::info(&format!(
                "Saving etcd snapshot to {}",
                folder.join(&name).display()
            ));
            let snapshot = file::take(server_dir, &folder.join(name)).await?;
            json!({"created": [snapshot.name]})
        }
        "delete" => {
            let names = items(request, "/name").iter().filter_map(Value::as_str);
            let mut deleted = Vec::new();
            for name in names {
                if file::remove(&folder, name)? {
                    deleted.push(name.to_owned());
                }
            }
            json!({"deleted": deleted})
        }
        "list" => {
            let record = |s: &Snapshot| json!({"name": s.name, "location": s.location(), "size": s.size, "created": s.created});
            json!({"snapshots": file::all(&folder)?.iter().map(record).collect::<Vec<_>>()})
        }
        other => bail!("unknown operation {other:?}"),
    })
}
