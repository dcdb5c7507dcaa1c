//! Files that come from the machine that the module runs on, in place of downloads: the binary, and an archive of images.

use crate::params::{LocalFile, Params};
use crate::run::done;
use crate::script;
use crate::state::State;
use anyhow::{Context as _, Result};
use host::{Command, Host};
use k3s_node::Program;
use std::time::Duration;

/// Receives a file; it is nobody's to read before it is verified.
const RECEIVE: &str = "umask 077; mkdir -p \"$1\" && exec cat >\"$1/$2\"";
const STAGE: &str = include_str!("programs/stage.sh");

/// Where the archive goes, unless it is there.
pub(crate) fn missing_images(params: &Params, state: &State) -> Option<(LocalFile, String)> {
    let images = params.images.as_ref()?;
    let dest = format!("{}/agent/images/{}", state.places.data, images.name());
    let mark = format!("{} {dest}", images.sha256);
    (state.images.as_ref() != Some(&mark)).then(|| (images.clone(), dest))
}

/// Returns where the verified binary lies.
pub(crate) fn bring_binary(
    params: &Params,
    host: &dyn Host,
    file: &LocalFile,
    binary: &str,
) -> Result<String> {
    let name = format!(".k3s-{}.part", params.version);
    let folder = script::folder_of(binary);
    receive(params, host, file, folder, &name)?;
    let program = Program::new(binary)
        .with("version", &params.version.to_string())
        .with("part", &format!("{folder}/{name}"))
        .with("from", &file.path)
        .with("sha256", &file.sha256);
    let body = [STAGE, include_str!("programs/stage-brought.sh")].concat();
    let command = program.end_after_turn(params.lock_timeout, &body, Command::USUAL_LIMIT);
    done(host, &command, &format!("verifying {}", file.path))
}

pub(crate) fn bring_images(
    params: &Params,
    host: &dyn Host,
    file: &LocalFile,
    dest: &str,
    binary: &str,
) -> Result<()> {
    // Beside the folder that k3s imports from, on the same disk.
    let folder = dest.rsplitn(3, '/').nth(2).unwrap_or("/");
    let name = ".homelab-k3s-images.part";
    receive(params, host, file, folder, name)?;
    let command = Program::new(binary)
        .with("part", &format!("{folder}/{name}"))
        .with("from", &file.path)
        .with("dest", dest)
        .with("sha256", &file.sha256)
        .end_after_turn(
            params.lock_timeout,
            include_str!("programs/keep-images.sh"),
            Duration::from_secs(params.download_timeout),
        );
    done(host, &command, &format!("verifying {}", file.path)).map(|_| ())
}

fn receive(params: &Params, host: &dyn Host, file: &LocalFile, folder: &str, name: &str) -> Result<()> {
    let command = Command::new(["/bin/sh", "-c", RECEIVE, "receive", folder, name])
        .send(&file.path)
        .within(Duration::from_secs(params.download_timeout));
    let doing = format!("bringing {}", file.path);
    done(host, &command, &doing)
        .with_context(|| format!("{}: {doing}", host.outside().place()))
        .map(|_| ())
}
