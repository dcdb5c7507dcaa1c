//! Files that come from the machine that the module runs on, in place of downloads: the binary, and an archive of images.

use crate::params::{LocalFile, Params};
use crate::run::done;
use crate::script;
use crate::staging::{Expected, Node};
use crate::state::State;
use anyhow::{Context as _, Result};
use host::{Command, Host};
use k3s_node::changes::parent;
use k3s_node::{Changes, FOLDER, Facts, Probe};
use std::time::Duration;

/// Receives a file; it is nobody's to read before it is verified.
const RECEIVE: &str = "umask 077; mkdir -p \"$1\" && exec cat >\"$1/$2\"";

impl LocalFile {
    /// `option` is the one that has its sum.
    fn expected<'a>(&'a self, option: &'a str) -> Expected<'a> {
        Expected {
            from: &self.path,
            sha256: &self.sha256,
            says: option,
        }
    }
}

/// Where the archive goes, unless it is there.
pub(crate) fn missing_images(params: &Params, state: &State) -> Option<(LocalFile, String)> {
    let images = params.images.as_ref()?;
    let dest = format!("{}/agent/images/{}", state.paths.data, images.name());
    let mark = format!("{} {dest}", images.sha256);
    (state.images.as_ref() != Some(&mark)).then(|| (images.clone(), dest))
}

/// Returns where the verified binary lies.
pub(crate) fn bring_binary(node: &Node, file: &LocalFile) -> Result<String> {
    let part = node.part();
    receive(node.params, node.host, file, node.bin, name_of(&part))?;
    let staged = brought(
        node,
        &Changes::new().remove_matching(node.bin, ".k3s-*.staged"),
        file,
        &part,
    )
    .and_then(|facts| node.stage(&facts, &file.expected("binary_sha256")));
    node.or_remove(staged, &Changes::new().remove(&[&part]))
}

/// The sum of a file that was brought.
fn brought(node: &Node, changes: &Changes, file: &LocalFile, part: &str) -> Result<Facts> {
    let questions = Probe::new().sum("sum", part);
    node.visit(
        changes,
        &questions,
        node.limit(),
        &format!("verifying {}", file.path),
    )
}

pub(crate) fn bring_images(
    params: &Params,
    host: &dyn Host,
    file: &LocalFile,
    dest: &str,
    binary: &str,
) -> Result<()> {
    let node = Node {
        params,
        host,
        bin: script::folder_of(binary),
    };
    // Beside the folder that k3s imports from, on the same disk.
    let folder = parent(parent(dest));
    let part = format!("{folder}/.homelab-k3s-images.part");
    receive(params, host, file, folder, name_of(&part))?;
    let kept = brought(&node, &Changes::new(), file, &part).and_then(|facts| {
        let expected = file.expected("images_sha256");
        expected
            .check(&facts, &part)
            .map_err(|detail| node.refuse(detail))?;
        let mark = format!("{} {dest}\n", file.sha256);
        let changes = Changes::new()
            .own_folder()
            .folder_of(dest)
            .put_in_place(&part, dest)
            .write(&format!("{FOLDER}/images.source"), 0o600, &mark);
        done(
            host,
            &changes.command(params.lock_timeout, node.limit()),
            &format!("keeping {}", file.path),
        )
    });
    node.or_remove(kept, &Changes::new().remove(&[&part])).map(|_| ())
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn receive(params: &Params, host: &dyn Host, file: &LocalFile, folder: &str, name: &str) -> Result<()> {
    let command = Command::new(["/bin/sh", "-c", RECEIVE, "receive", folder, name])
        .send(&file.path)
        .within(Duration::from_secs(params.download_timeout));
    let doing = format!("bringing {}", file.path);
    done(host, &command, &doing)
        .with_context(|| format!("{}: {doing}", host.outside().location()))
        .map(|_| ())
}
