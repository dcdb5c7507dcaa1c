//! The command does the work itself: 1.20 to 1.29.

use super::file::{self, Snapshot};
use super::{Options, Style};
use crate::client::Client;
use crate::clock;
use crate::files;
use crate::json::text;
use crate::log;
use crate::tls;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ENDPOINT: &str = crate::etcd::OWN_ENDPOINT;
const MAP: &str = "/api/v1/namespaces/kube-system/configmaps/k3s-etcd-snapshots";

pub async fn save(options: &Options, style: Style) -> Result<()> {
    log::info("Managed etcd cluster bootstrap already complete and initialized");
    if style == Style::Subcommands {
        // Asks the API for something first, and so fails here when k3s does not run.
        reach(options).await?;
    }
    let group = if style == Style::Single {
        options.name.clone()
    } else {
        format!("{}-{}", options.name, options.node)
    };
    let path = options.folder.join(format!("{group}-{}", clock::unix()));
    file::prepare(&options.folder, &options.server_dir())?;
    log::info(&format!("Saving etcd snapshot to {}", path.display()));
    let begin = Instant::now();
    let snapshot = file::take(&options.server_dir(), &path).await?;
    report(&snapshot, begin.elapsed());
    if style == Style::Subcommands {
        publish(options).await
    } else {
        Ok(())
    }
}

fn report(snapshot: &Snapshot, took: Duration) {
    let path = snapshot.path.display().to_string();
    let part = json!(format!("{path}.part"));
    let (size, took) = (snapshot.size / 1000, took.as_millis());
    println!(r#"{{"level":"info","msg":"created temporary db file","path":{part}}}"#);
    println!(r#"{{"level":"info","msg":"fetching snapshot","endpoint":"{ENDPOINT}"}}"#);
    println!(
        r#"{{"level":"info","msg":"fetched snapshot","endpoint":"{ENDPOINT}","size":"{size} kB","took":"{took}ms"}}"#
    );
    println!(r#"{{"level":"info","msg":"saved","path":{}}}"#, json!(path));
}

fn admin(options: &Options) -> Result<Client> {
    let tls_dir = options.server_dir().join("tls");
    let read = |name: &str| files::read(&tls_dir.join(name));
    let (ca, chain, key) = (
        read("server-ca.crt")?,
        read("client-admin.crt")?,
        read("client-admin.key")?,
    );
    Ok(Client::new(
        "127.0.0.1:6444",
        tls::client(&ca, Some((&chain, &key)))?,
    ))
}

async fn reach(options: &Options) -> Result<()> {
    let path = "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions";
    let answer = admin(options)?.get("/apis").await;
    answer.map(drop).map_err(|error| {
        let cause = error
            .chain()
            .map(ToString::to_string)
            .find(|text| text.starts_with("dial tcp"));
        let cause = cause.unwrap_or_else(|| error.root_cause().to_string());
        anyhow::anyhow!("Get \"https://127.0.0.1:6444{path}\": {cause}: connect: connection refused")
    })
}

/// The set of snapshots in the `ConfigMap`.
pub async fn publish(options: &Options) -> Result<()> {
    log::info("Saving current etcd snapshot set to k3s-etcd-snapshots ConfigMap");
    let mut data = json!({});
    for snapshot in file::all(&options.folder)? {
        data[&snapshot.name] = json!(snapshot.record(&options.node).to_string());
    }
    let client = admin(options)?;
    let patch = json!([{"op": "add", "path": "/data", "value": data}]);
    let answer = client
        .send(Method::PATCH, MAP, Some(("application/json-patch+json", &patch)))
        .await?;
    if answer.is_ok() {
        return Ok(());
    }
    let map = json!({"metadata": {"name": "k3s-etcd-snapshots", "namespace": "kube-system"}, "data": data});
    let folder = MAP.trim_end_matches("/k3s-etcd-snapshots");
    let made = client
        .send(Method::POST, folder, Some(("application/json", &map)))
        .await;
    let made = made.context("saving the list of snapshots")?;
    ensure!(
        made.is_ok(),
        "saving the list of snapshots: {}",
        text(&made.json() as &Value, "/message")
    );
    Ok(())
}
