//! The table of builds, from a checkout of k3s's documentation: the first table of each page of release notes.

use crate::repo::Repo;
use anyhow::{Context, Result, ensure};
use k3s_types::K3sVersion;
use k3s_types::builds::Build;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "modules/k3s_version/builds.json";

/// Where the pages are: those of minors that are out of support are moved.
const PAGES: [&str; 2] = ["release-notes", "release-notes-old"];

/// The first minor whose builds anybody asks for.
const FIRST: (u32, u32) = (1, 30);

/// Adds what the pages say to the table. A build that they do not name stays, with the source that it has.
pub(crate) fn write(repo: &Repo, docs: &Path) -> Result<()> {
    let published = published(docs)?;
    ensure!(
        !published.is_empty(),
        "{} has no release notes of k3s: it must be a checkout of k3s-io/docs",
        docs.display()
    );
    let old: Vec<Build> = serde_json::from_str(&repo.read(TABLE)?).context("reading the old table")?;
    let text = render(&merge(old, published))?;
    fs::write(repo.path(TABLE), text).with_context(|| format!("writing {TABLE}"))
}

fn merge(old: Vec<Build>, published: Vec<Build>) -> Vec<Build> {
    let all = old.into_iter().chain(published);
    let by_version: BTreeMap<K3sVersion, Build> = all.map(|build| (build.version.clone(), build)).collect();
    by_version.into_values().collect()
}

/// One build a line, so that a change is one line of a diff.
fn render(builds: &[Build]) -> Result<String> {
    let lines: Result<Vec<String>> = builds
        .iter()
        .map(|build| Ok(format!("  {}", serde_json::to_string(build)?)))
        .collect();
    Ok(format!("[\n{}\n]\n", lines?.join(",\n")))
}

fn published(docs: &Path) -> Result<Vec<Build>> {
    let mut builds = Vec::new();
    for folder in PAGES {
        for page in pages(&docs.join("docs").join(folder)) {
            let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
            let name = page.file_stem().unwrap_or_default().to_string_lossy();
            let source = format!("https://docs.k3s.io/{folder}/{name}");
            let read = rows(&text, &source).with_context(|| format!("reading {}", page.display()))?;
            builds.extend(read);
        }
    }
    builds.retain(|build| build.version.minor_version() >= FIRST);
    Ok(builds)
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages
}

/// The builds of a page. Columns are found by their heading: over the years some came, and others may.
fn rows(text: &str, source: &str) -> Result<Vec<Build>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| Version"));
    let Some(heading) = lines.next().map(cells) else {
        return Ok(Vec::new());
    };
    let table = lines.take_while(|line| line.starts_with('|'));
    table
        .map(cells)
        .filter(|row| row.first().is_some_and(|first| first.starts_with('v')))
        .map(|row| build(&heading, &row, source))
        .collect()
}

fn build(heading: &[String], row: &[String], source: &str) -> Result<Build> {
    let cell = |name: &str| {
        let column = heading.iter().position(|title| title == name)?;
        let text = row.get(column)?.trim_start_matches('v');
        text.starts_with(|first: char| first.is_ascii_digit())
            .then(|| text.to_owned())
    };
    let version = row[0]
        .parse()
        .with_context(|| format!("in the row of {}", row[0]))?;
    Ok(Build {
        version,
        etcd: cell("Etcd"),
        containerd: cell("Containerd"),
        runc: cell("Runc"),
        traefik: cell("Traefik"),
        coredns: cell("CoreDNS"),
        helm_controller: cell("Helm-controller"),
        source: vec![source.to_owned()],
    })
}

/// The cells of a line of a table, each link as its text.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_matches('|');
    line.split('|').map(|cell| link_text(cell.trim())).collect()
}

fn link_text(cell: &str) -> String {
    let text = cell.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    text.map_or(cell, |(text, _)| text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "---\ntitle: v1.34.X\n---\n\n\
        | Version | Release date | Etcd | Containerd | Runc | Traefik | CoreDNS | New | Helm-controller |\n\
        | ----- | ----- | ----- | ----- | ----- | ----- | ----- | ----- | -----  |\n\
        | [v1.34.9+k3s1](v1.34.X.md#a) | Jun 24 2026| [v3.6.12-k3s1](https://a.example/x) | v2.2.5-k3s2 | [v1.4.2](u) | [v3.7.4](u) | [v1.14.4](u) | x | [v0.17.1](u)  |\n\
        | [v1.34.1+k3s1](v1.34.X.md#b) | Sep 22 2025| [v3.6.4-k3s3](u) | [v2.1.4-k3s2](u) |  | [v3.3.6](u) | [v1.12.3](u) | x | [v0.16.13](u)  |\n\
        \n## Release [v1.34.9+k3s1](u)\n\n| Version | Etcd |\n| --- | --- |\n| v1.34.8+k3s1 | v9 |\n";

    fn checkout() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("docs/release-notes/v1.34.X.md", PAGE.to_owned()),
            ("docs/release-notes/index.md", "no table\n".to_owned()),
            (
                "docs/release-notes-old/v1.29.X.md",
                PAGE.replace("1.34.", "1.29."),
            ),
            (
                "docs/release-notes-old/v1.30.X.md",
                PAGE.replace("1.34.", "1.30."),
            ),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_first_table_of_a_page_has_what_its_builds_carry() {
        let builds = rows(PAGE, "source").unwrap();
        let versions: Vec<String> = builds.iter().map(|build| build.version.to_string()).collect();
        assert_eq!(versions, ["v1.34.9+k3s1", "v1.34.1+k3s1"]);
        let newest = &builds[0];
        assert_eq!(newest.etcd.as_deref(), Some("3.6.12-k3s1"));
        assert_eq!(newest.containerd.as_deref(), Some("2.2.5-k3s2"));
        assert_eq!(
            newest.helm_controller.as_deref(),
            Some("0.17.1"),
            "a new column shifts nothing"
        );
        assert_eq!(builds[1].runc, None, "an empty cell is not known");
        assert_eq!(newest.source, ["source"]);
    }

    #[test]
    fn names_a_row_without_a_build_of_k3s() {
        let error = rows(&PAGE.replace("v1.34.9+k3s1", "v1.34.9+rke2r1"), "s").unwrap_err();
        assert!(format!("{error:#}").contains("v1.34.9+rke2r1"), "{error:#}");
    }

    #[test]
    fn pages_of_both_folders_are_read_from_1_30_on() {
        let folder = checkout();
        let builds = published(folder.path()).unwrap();
        let of = |version: &str| {
            builds
                .iter()
                .find(|build| build.version == version.parse().unwrap())
                .map(|build| build.source[0].as_str())
        };
        assert_eq!(builds.len(), 4);
        assert_eq!(
            of("v1.34.9+k3s1"),
            Some("https://docs.k3s.io/release-notes/v1.34.X")
        );
        assert_eq!(
            of("v1.30.1+k3s1"),
            Some("https://docs.k3s.io/release-notes-old/v1.30.X")
        );
    }

    #[test]
    fn what_is_published_replaces_what_was_known_and_leaves_the_rest() {
        let by_hand = |version: &str| Build {
            version: version.parse().unwrap(),
            etcd: None,
            containerd: None,
            runc: None,
            traefik: None,
            coredns: None,
            helm_controller: None,
            source: vec!["by hand".to_owned()],
        };
        let old = vec![by_hand("v1.34.10+k3s1"), by_hand("v1.34.9+k3s1")];
        let text = render(&merge(old, rows(PAGE, "notes").unwrap())).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "one build a line: {text}");
        assert!(lines[1].contains("v1.34.1+k3s1") && lines[2].contains("3.6.12-k3s1"));
        assert!(lines[3].contains("v1.34.10+k3s1") && lines[3].contains("by hand"));
    }

    #[test]
    fn a_folder_without_release_notes_changes_nothing() {
        let empty = tempfile::tempdir().unwrap();
        let error = write(&Repo::here(), empty.path()).unwrap_err().to_string();
        assert!(error.contains("a checkout of k3s-io/docs"), "{error}");
    }
}
