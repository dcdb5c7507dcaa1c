//! What kubectl would see: all files of KUBECONFIG as one, where the first to have a name wins.

use crate::kubeconfig::{Kind, Kubeconfig};
use k3s_certs::{Certificate, base64, certificates};
use std::collections::{BTreeMap, BTreeSet};
use yaml_tree::Map;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub path: String,
    pub config: Kubeconfig,
}

/// The file to write, if it exists, and those that are only read.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub dest: Option<Document>,
    pub others: Vec<Document>,
    /// Certificates that entries name by a path, by their absolute paths.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// One entry, and the file that it is in.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub map: &'a Map,
    document: &'a Document,
}

impl View {
    fn documents(&self) -> impl Iterator<Item = &Document> {
        self.dest.iter().chain(&self.others)
    }

    /// Each name once, in the order in which kubectl comes upon it, with what it holds; `None`: nothing.
    pub(crate) fn entries(&self, kind: Kind) -> Vec<(&str, Option<Found<'_>>)> {
        let mut seen = BTreeSet::new();
        let all = self.documents().flat_map(|document| {
            let entries = document.config.entries(kind);
            entries.map(move |(name, map)| (name, map.map(|map| Found { map, document })))
        });
        all.filter(|(name, _)| seen.insert(*name)).collect()
    }

    pub(crate) fn has(&self, kind: Kind, name: &str) -> bool {
        self.documents().any(|document| document.config.has(kind, name))
    }

    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<Found<'_>> {
        let document = self
            .documents()
            .find(|document| document.config.has(kind, name))?;
        let map = document.config.entry(kind, name)?;
        Some(Found { map, document })
    }

    /// What a key of a context says; empty where there is no such thing.
    pub(crate) fn of_context(&self, context: &str, key: &str) -> &str {
        let found = self.find(Kind::Context, context);
        found.and_then(|found| found.map.text(key)).unwrap_or_default()
    }

    pub(crate) fn current(&self) -> Option<&str> {
        self.documents().find_map(|document| document.config.current())
    }

    /// The certificates of an entry, in it or beside it; `None`: there are none that can be read.
    pub(crate) fn certificates(&self, found: Found, key: &str) -> Option<Vec<Certificate>> {
        if let Some(data) = found.map.text(&format!("{key}-data")) {
            return certificates(&base64(data, key).ok()?, key).ok();
        }
        let path = absolute(&found.document.path, found.map.text(key)?);
        certificates(self.files.get(&path)?, key).ok()
    }
}

/// The certificates that the entries of a file name by their path.
pub(crate) fn referenced(document: &Document) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (kind, key) in [
        (Kind::Cluster, "certificate-authority"),
        (Kind::User, "client-certificate"),
    ] {
        for name in document.config.names(kind) {
            let entry = document.config.entry(kind, name);
            let path = entry
                .filter(|entry| entry.text(&format!("{key}-data")).is_none())
                .and_then(|entry| entry.text(key));
            paths.extend(path.map(|path| absolute(&document.path, path)));
        }
    }
    paths
}

/// A path in a kubeconfig counts from the kubeconfig's folder.
fn absolute(kubeconfig: &str, path: &str) -> String {
    match kubeconfig.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path.to_owned(),
    }
}
