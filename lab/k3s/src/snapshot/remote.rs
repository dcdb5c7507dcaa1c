//! The command's question and the running server's answer.

use super::file::{self, Snapshot};
use super::{Options, list};
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

pub async fn run(options: &Options) -> Result<()> {
    match options.command.as_str() {
        "" | "save" => {
            let answer = ask(options, "save").await?;
            for name in items(&answer, "/created").iter().filter_map(Value::as_str) {
                log::info(&format!("Snapshot {name} saved."));
            }
        }
        "ls" | "list" | "l" => {
            let found = snapshots(&ask(options, "list").await?);
            match options.output.as_str() {
                "json" => println!("{}", list::json(&found, &options.node)?),
                "yaml" => print!(
                    "{}",
                    serde_yaml_ng::to_string(&list::objects(&found, &options.node))?
                ),
                _ => print!("{}", list::table(&found)),
            }
        }
        "delete" => {
            let answer = ask(options, "delete").await?;
            let deleted: Vec<&str> = items(&answer, "/deleted")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            for name in &options.names {
                if deleted.contains(&name.as_str()) {
                    log::info(&format!("Snapshot {name} deleted."));
                } else {
                    log::warn(&format!("Snapshot {name} not found."));
                }
            }
        }
        "prune" => {
            let answer = ask(options, "prune").await?;
            for name in items(&answer, "/deleted").iter().filter_map(Value::as_str) {
                log::info(&format!("Snapshot {name} deleted."));
            }
        }
        other => bail!("No help topic for '{other}'"),
    }
    Ok(())
}

/// With the server's token, as root on the server can read it.
async fn ask(options: &Options, operation: &str) -> Result<Value> {
    let token = files::read(&options.server_dir().join("token"))?;
    let ca = files::read(&options.server_dir().join("tls/server-ca.crt"))?;
    let secret = Token::parse(token.trim())?.secret;
    let address = crate::balancer::address(&options.server)?;
    let client =
        crate::client::Client::new(&address, crate::tls::client(&ca, None)?).with_login("server", &secret);
    let request = json!({
        "operation": operation, "name": options.names, "dir": [options.folder], "compress": options.compress,
        "retention": [options.retention], "base": options.name,
    });
    let answer = client
        .send(Method::POST, "/db/snapshot", Some(("application/json", &request)))
        .await;
    let answer = answer.context("see server log for details")?;
    let told = String::from_utf8_lossy(&answer.body).trim().to_owned();
    ensure!(
        answer.is_ok(),
        "{}/db/snapshot: {}: {told}: see server log for details",
        options.server,
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
        "prune" => {
            let retention = usize::try_from(request["retention"][0].as_u64().unwrap_or(5))?;
            json!({"deleted": file::prune(&folder, &base, retention)?})
        }
        "list" => {
            let record = |s: &Snapshot| json!({"name": s.name, "location": s.location(), "size": s.size, "created": s.created});
            json!({"snapshots": file::all(&folder)?.iter().map(record).collect::<Vec<_>>()})
        }
        other => bail!("unknown operation {other:?}"),
    })
}
