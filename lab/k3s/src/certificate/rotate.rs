//! `k3s certificate rotate`: copies the certificates away and removes them. Nothing asks whether the service is stopped.

use super::Options;
use crate::clock;
use crate::files;
use crate::log;
use crate::paths;
use crate::pki::listener;
use crate::pki::services::{LISTENER, Service};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn run(options: &Options) -> Result<()> {
    let server_tls = options.data_dir.join("server/tls");
    if options.services.is_empty() {
        log::info(if options.is_server() {
            "Server detected, rotating agent and server certificates"
        } else {
            "Agent detected, rotating agent certificates"
        });
    }
    let services = options.chosen();
    let backup = back_up(options, &services)?;
    wait_while_paused();
    if services.iter().any(|service| service.name == LISTENER) {
        files::write(&listener::marker(&server_tls), "", 0o600)?;
        log::info("Rotating dynamic listener certificate");
    }
    for service in &services {
        if service.name != LISTENER {
            log::info(&format!("Rotating certificates for {}", service.name));
        }
        for file in pairs(options, service) {
            // Not every node has every file.
            let _ = fs::remove_file(file);
        }
    }
    log::info(&format!(
        "Successfully backed up certificates to {}, please restart k3s server or agent to rotate certificates",
        backup.display()
    ));
    Ok(())
}

/// A handle of the lab: a renewal that can be killed half-way.
fn wait_while_paused() {
    while paths::etc("lab/rotate-pause").exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn pairs(options: &Options, service: &Service) -> Vec<PathBuf> {
    let file =
        |stem: &&str| ["crt", "key"].map(|extension| options.data_dir.join(format!("{stem}.{extension}")));
    service.stems.iter().flat_map(file).collect()
}

/// A copy of the server folder, and beside it the agent's files that will go.
fn back_up(options: &Options, services: &[&'static Service]) -> Result<PathBuf> {
    let name = format!("tls-{}", clock::unix());
    let agent = options.data_dir.join("agent");
    let server_tls = options.data_dir.join("server/tls");
    let backup = if server_tls.exists() {
        let backup = options.data_dir.join("server").join(name);
        copy(&server_tls, &backup)?;
        backup
    } else {
        agent.join(name)
    };
    let files = services.iter().flat_map(|service| pairs(options, service));
    for file in files.filter(|file| file.starts_with(&agent) && file.exists()) {
        if let Some(own) = file.file_name() {
            files::folder_with_mode(&backup, 0o700)?;
            fs::copy(&file, backup.join(own)).with_context(|| format!("copying {}", file.display()))?;
        }
    }
    Ok(backup)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    files::folder_with_mode(to, 0o700)?;
    let entries = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", from.display()))?
            .path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}
