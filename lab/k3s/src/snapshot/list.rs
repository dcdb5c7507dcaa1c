//! Lists of snapshots: a table, and objects.

use super::file::Snapshot;
use anyhow::{Context as _, Result};
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

/// Columns as wide as needed.
pub fn table(snapshots: &[Snapshot]) -> String {
    let heading = ["Name", "Location", "Size", "Created"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(heading)
        .chain(snapshots.iter().map(row))
        .collect();
    aligned(&rows)
}

fn row(snapshot: &Snapshot) -> [String; 4] {
    [
        snapshot.name.clone(),
        snapshot.location(),
        snapshot.size.to_string(),
        snapshot.created_at(),
    ]
}

fn aligned(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let line = |[name, location, size, created]: &[String; 4]| {
        let [a, b, c] = widths;
        format!("{name:<a$} {location:<b$} {size:<c$} {created}\n")
    };
    rows.iter().map(line).collect()
}

pub fn objects(snapshots: &[Snapshot], node: &str) -> Value {
    let of = |snapshot: &Snapshot| {
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
        "items": snapshots.iter().map(of).collect::<Vec<_>>(),
    })
}

/// Indented by four spaces.
pub fn json(snapshots: &[Snapshot], node: &str) -> Result<String> {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    objects(snapshots, node).serialize(&mut Serializer::with_formatter(&mut text, formatter))?;
    String::from_utf8(text).context("writing the snapshots as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_as_recorded() {
        let one = |name: &str, size| Snapshot {
            name: name.to_owned(),
            path: format!("/s/{name}").into(),
            size,
            created: 1_795_366_133,
        };
        let wanted = "Name                      Location                            Size   Created\n\
                      on-demand-n1-1795366133   file:///s/on-demand-n1-1795366133   688160 2026-11-22T16:48:53Z\n\
                      pre-upgrade-n1-1795366134 file:///s/pre-upgrade-n1-1795366134 692256 2026-11-22T16:48:53Z\n";
        let snapshots = [
            one("on-demand-n1-1795366133", 688_160),
            one("pre-upgrade-n1-1795366134", 692_256),
        ];
        assert_eq!(table(&snapshots), wanted);
    }
}
