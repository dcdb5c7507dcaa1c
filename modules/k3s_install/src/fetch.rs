//! Fetching ahead of the first change: the install script, and the binary where it is wanted. Only what was verified leaves its `.part` name.

use crate::airgap;
use crate::download::Download;
use crate::params::{Params, Script};
use crate::release::{self, Architecture};
use crate::report::Journal;
use crate::run::done;
use crate::script::{self, Fetch, folder_of};
use crate::staging::{Expected, Node, sum};
use anyhow::{Context, Result, anyhow};
use host::{Command, Host};
use k3s_node::{Changes, FOLDER, Facts, Probe};

/// No script and no list of sums has more, and no binary.
const SMALL_MIB: u64 = 1;
const BINARY_MIB: u64 = 512;

pub(crate) fn fetch(params: &Params, host: &dyn Host, wanted: &Fetch, journal: &mut Journal) -> Result<()> {
    let node = Node {
        params,
        host,
        bin: folder_of(&wanted.path),
    };
    let begun = begin(&node, wanted)?;
    let staged = node.or_remove(fetched(&node, wanted, &begun), &forget(&node))?;
    let staged = match &params.binary {
        Some(file) if wanted.binary => Some(airgap::bring_binary(&node, file)?),
        _ => staged,
    };
    journal.staged = staged;
    Ok(())
}

/// The text of a file, with anything but UTF-8 in it replaced.
fn text(facts: &Facts, name: &str) -> String {
    String::from_utf8_lossy(facts.bytes(name).unwrap_or_default()).into_owned()
}

/// What an earlier run has left half fetched.
fn parts(bin: &str) -> Changes {
    Changes::new()
        .remove_matching(FOLDER, "*.part")
        .remove_matching(bin, ".k3s-*.part")
}

/// A script whose binary could not be had is of no use either.
fn forget(node: &Node) -> Changes {
    parts(node.bin)
        .remove(&[&script::script_path(), &script::source_path()])
        .remove_empty(&[FOLDER])
}

fn script_part() -> String {
    format!("{}.part", script::script_path())
}

/// Makes room, and brings the script where it is wanted; the answers have its text. Where this fails nothing was fetched.
fn begin(node: &Node, wanted: &Fetch) -> Result<Facts> {
    let (params, part) = (node.params, script_part());
    let room = Changes::new().own_folder().folder(node.bin).and(&parts(node.bin));
    let ask = |probe: Probe, path: &str| {
        probe
            .print("machine", &["uname", "-m"])
            .file("script", path)
            .sum("sum", path)
    };
    let usual = Command::USUAL_LIMIT;
    match &params.script {
        _ if !wanted.script => node.visit(
            &room,
            &ask(Probe::new(), &script::script_path()),
            usual,
            "reading the install script",
        ),
        Script::Path(path) => {
            let text = local_script(node.host.outside(), path)?;
            let written = room.write(&part, 0o600, &text);
            node.visit(
                &written,
                &ask(Probe::new(), &part),
                usual,
                "writing the install script",
            )
        }
        Script::Url(url) => {
            let download = of_script(url, &part);
            let questions = ask(download.questions(params), &part);
            node.visit(
                &with_proxies(room, wanted),
                &questions,
                node.limit(),
                &download.doing(),
            )
        }
    }
}

fn of_script<'a>(url: &'a str, part: &'a str) -> Download<'a> {
    Download {
        what: "the install script",
        url,
        path: part,
        mib: SMALL_MIB,
    }
}

fn with_proxies(changes: Changes, wanted: &Fetch) -> Changes {
    let exports = wanted.proxies.iter();
    exports.fold(changes, |changes, (key, value)| changes.export(key, value))
}

/// Verifies what was begun, and goes on to the binary; returns where that lies.
fn fetched(node: &Node, wanted: &Fetch, begun: &Facts) -> Result<Option<String>> {
    let params = node.params;
    let mut changes = Changes::new();
    if wanted.script {
        if let Script::Url(url) = &params.script {
            of_script(url, &script_part())
                .check(begun)
                .map_err(|detail| node.refuse(detail))?;
        }
        let text = text(begun, "script");
        check_script(params, &text, &sum(begun, &script_part())).map_err(|detail| node.refuse(detail))?;
        changes = changes
            .remove(&[&script::source_path()])
            .put_in_place(&script_part(), &script::script_path())
            .write(&script::source_path(), 0o600, &script::source_mark(params));
    }
    if wanted.binary && params.binary.is_none() {
        return binary(node, wanted, begun, changes).map(Some);
    }
    if wanted.script {
        let command = changes.command(params.lock_timeout, Command::USUAL_LIMIT);
        done(node.host, &command, "keeping the install script")?;
    }
    Ok(None)
}

fn check_script(params: &Params, text: &str, sum: &str) -> Result<(), String> {
    let source = script::source(params);
    if !text.starts_with("#!") {
        let beginning = release::beginning(text);
        return Err(format!("{source} is not a shell script; {beginning}"));
    }
    match params.script_sha256.as_deref() {
        Some(expected) if expected != sum => Err(format!(
            "{source} has the SHA-256 sum {sum}, where script_sha256 is {expected}: it was not used"
        )),
        _ => Ok(()),
    }
}

/// Downloads the binary and the sum that it has to have. `changes` come first.
fn binary(node: &Node, wanted: &Fetch, begun: &Facts, changes: Changes) -> Result<String> {
    let (params, version) = (node.params, &node.params.version);
    let refuse = |detail: String| node.refuse(detail);
    let machine = begun.lossy("machine").unwrap_or_default();
    let architecture = Architecture::of(&machine).map_err(refuse)?;
    let folder = release::folder(&text(begun, "script"), params.download_url.as_deref(), version);
    let folder = folder.ok_or_else(|| {
        refuse(format!(
            "{} has no line INSTALL_K3S_ARTIFACT_URL or GITHUB_URL that says where releases are: give download_url, or set prefetch to false",
            script::source(params)
        ))
    })?;
    let get = |changes: Changes, download: &Download, more: Probe| -> Result<Facts> {
        let questions = download.questions(params).and(&more);
        let changes = with_proxies(changes, wanted);
        let facts = node.visit(&changes, &questions, node.limit(), &download.doing())?;
        download.check(&facts).map_err(refuse)?;
        Ok(facts)
    };

    let (url, path) = (
        format!("{folder}/{}", architecture.sums()),
        format!("{FOLDER}/sums.part"),
    );
    let sums = Download {
        what: &format!("the SHA-256 sums of k3s {version}"),
        url: &url,
        path: &path,
        mib: SMALL_MIB,
    };
    let facts = get(changes, &sums, Probe::new().file("sums", &path))?;
    let list = text(&facts, "sums");
    let file = architecture.file();
    let sha256 = release::sum_of(&list, &file).ok_or_else(|| {
        let beginning = release::beginning(&list);
        refuse(format!("{url} names no {file}; {beginning}"))
    })?;

    let (from, part) = (format!("{folder}/{file}"), node.part());
    let binary = Download {
        what: &format!("k3s {version}"),
        url: &from,
        path: &part,
        mib: BINARY_MIB,
    };
    // What was staged for another version makes room.
    let room = Changes::new().remove_matching(node.bin, ".k3s-*.staged");
    let facts = get(room, &binary, Probe::new().sum("sum", &part))?;
    let expected = Expected {
        from: &from,
        sha256,
        says: &url,
    };
    node.stage(&facts, &expected)
}

fn local_script(outside: &dyn Host, path: &str) -> Result<String> {
    let content = outside.read(path)?.with_context(|| {
        format!(
            "{}: reading the install script {path}: there is no such file",
            outside.location()
        )
    })?;
    String::from_utf8(content).map_err(|_| {
        anyhow!(
            "{}: reading the install script {path}: it is not text",
            outside.location()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::params;
    use serde_json::json;

    #[test]
    fn a_script_begins_as_one_and_has_the_sum_that_was_asked_for() {
        let params = |sum: Option<&str>| params(json!({"script_sha256": sum}));
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        assert_eq!(check_script(&params(None), "#!/bin/sh\n", &two), Ok(()));
        assert_eq!(check_script(&params(Some(&two)), "#!/bin/sh\n", &two), Ok(()));
        let another = check_script(&params(Some(&one)), "#!/bin/sh\n", &two).unwrap_err();
        assert!(another.contains(&format!("{two}, where script_sha256 is {one}: it was not used")));
        let page = check_script(&params(None), "<html>\n#!/bin/sh\n", &two).unwrap_err();
        assert!(
            page.ends_with("is not a shell script; it begins with: <html>"),
            "{page}"
        );
        for nothing in ["", "\n \n"] {
            let empty = check_script(&params(None), nothing, &two).unwrap_err();
            assert!(empty.ends_with("is not a shell script; it is empty"), "{empty}");
        }
    }
}
