//! The certificates that a kubeconfig holds or names. Keys in it are passed over.

use anyhow::{Result, anyhow, ensure};
use host::Host;
use k3s_certs::All;
use serde::Deserialize;
use serde_yaml_ng::Value;

/// Kubeconfigs of hundreds of clusters have a tenth of this.
const LIMIT: usize = 4 << 20;

/// Both lists are null where kubectl has deleted the last entry.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    clusters: Option<Vec<Named>>,
    #[serde(default)]
    users: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    #[serde(alias = "user")]
    cluster: Option<Fields>,
}

/// The fields that hold certificates, of a cluster or of a user.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Fields {
    certificate_authority_data: Option<Value>,
    certificate_authority: Option<Value>,
    client_certificate_data: Option<Value>,
    client_certificate: Option<Value>,
}

/// Adds what the kubeconfig at `path` has. One that is not there is noted, since a machine may well have none.
pub(crate) fn read(all: &mut All, host: &dyn Host, path: &str) {
    let content = match host.read(path) {
        Ok(Some(content)) => content,
        Ok(None) => {
            all.notes.push(format!(
                "there is no {path} on {}: it was passed over",
                host.location()
            ));
            return;
        }
        Err(error) => return all.fault(path, format!("{error:#}")),
    };
    let config = match parse(&content) {
        Ok(config) => config,
        Err(error) => return all.fault(path, format!("{error:#}")),
    };
    let before = (all.found.len(), all.faults.len());
    for (kind, list) in [("clusters", &config.clusters), ("users", &config.users)] {
        for named in list.iter().flatten() {
            let entry = format!("{kind}[{}]", named.name.as_deref().unwrap_or_default());
            if let Some(fields) = &named.cluster {
                fields_of(all, host, path, &entry, fields);
            }
        }
    }
    if (all.found.len(), all.faults.len()) == before {
        all.notes.push(format!("{path} holds and names no certificate"));
    }
}

fn parse(content: &[u8]) -> Result<Config> {
    ensure!(
        content.len() <= LIMIT,
        "{} bytes are too many for a kubeconfig",
        content.len()
    );
    ensure!(!content.trim_ascii().is_empty(), "it is empty");
    // JSON is YAML too. The parser's own message may repeat a piece of the file, so only its position is reported.
    serde_yaml_ng::from_slice(content).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        anyhow!("it is not a kubeconfig (the fault is in line {line})")
    })
}

fn fields_of(all: &mut All, host: &dyn Host, path: &str, entry: &str, fields: &Fields) {
    let inline = [
        ("certificate-authority-data", &fields.certificate_authority_data),
        ("client-certificate-data", &fields.client_certificate_data),
    ];
    for (field, value) in inline {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => all.field(path, &format!("{entry}.{field}"), text),
            Some(_) => all.fault(path, format!("{entry}.{field}: it is not text")),
        }
    }
    let by_path = [
        (
            "certificate-authority",
            &fields.certificate_authority,
            &fields.certificate_authority_data,
        ),
        (
            "client-certificate",
            &fields.client_certificate,
            &fields.client_certificate_data,
        ),
    ];
    for (field, value, data) in by_path {
        // What is inside goes before what is named.
        if let (Some(Value::String(file)), None) = (value, data) {
            named(all, host, path, &format!("{entry}.{field}"), file);
        }
    }
}

/// A file that a kubeconfig names, from the kubeconfig's own folder on.
fn named(all: &mut All, host: &dyn Host, path: &str, entry: &str, file: &str) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let at = if file.starts_with('/') {
        file.to_owned()
    } else {
        format!("{folder}/{file}")
    };
    let entry = format!("{entry} ({at})");
    match host.read(&at) {
        Ok(Some(content)) => all.pem(path, Some(&entry), &content),
        Ok(None) => all.fault(path, format!("{entry}: there is no such file")),
        Err(error) => all.fault(path, format!("{entry}: {error:#}")),
    }
}
