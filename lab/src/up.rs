//! `lab up`: from nothing to a lab, or to nothing again.

use crate::cluster;
use crate::container;
use crate::down;
use crate::history;
use crate::images;
use crate::layout::{self, Options};
use crate::namespace;
use crate::paths;
use crate::process;
use crate::progress::{say, step};
use crate::release;
use crate::setup;
use crate::sshd;
use crate::state::{self, State};
use crate::sysctl;
use crate::template;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::Read as _;
use std::time::Instant;

pub fn bring_up(options: Options) -> Result<()> {
    setup::require_root()?;
    setup::require_packages()?;
    let unknown = layout::unknown_empty(&options);
    if !unknown.is_empty() {
        bail!(
            "leaving containers empty: this lab will have no {}",
            unknown.join(", ")
        );
    }
    let _lock = state::lock("up")?;
    refuse_second_lab()?;
    process::catch_signals()?;
    let begun = Instant::now();
    if let Err(error) = build(options) {
        if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
            say("KEEP=1: what was made is left; `lab down` removes it");
            return Err(error);
        }
        say("taking down what was made (KEEP=1 would keep it)");
        process::stop_listening();
        down::take_down()?;
        return Err(error);
    }
    say(&format!("up after {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

fn refuse_second_lab() -> Result<()> {
    match state::find()? {
        None if fs::exists(paths::RUN).unwrap_or(false) => {
            bail!(
                "looking for a lab: {} is left over; `lab down` removes it",
                paths::RUN
            )
        }
        None => Ok(()),
        Some(found) => {
            let how = if found.ready {
                "is up"
            } else {
                "was left half-made"
            };
            let count = found.nodes().len();
            bail!(
                "looking for a lab: one with {count} containers {how} (`lab status`); `lab down` removes it"
            )
        }
    }
}

fn build(mut options: Options) -> Result<()> {
    template::ensure()?;
    let versions = release::versions()?;
    options.version.get_or_insert_with(|| versions.default.clone());
    let mut state = State {
        options,
        pid: std::process::id(),
        ready: false,
        token: random_token()?,
        sysctls: sysctl::to_raise()?,
    };
    fs::create_dir_all(paths::RUN).with_context(|| format!("making {}", paths::RUN))?;
    // Before the first change: a `lab down` after a crash must know what to put back.
    state.save()?;
    sysctl::raise(&state.sysctls)?;
    images::make(&versions)?;
    step("hosts", || make_hosts(&state))?;
    step("containers", || make_containers(&state))?;
    if !state.options.no_cluster {
        step("release server", || release::start(&state, &versions))?;
        history::start(&state)?;
        cluster::install(&state)?;
    }
    state.ready = true;
    state.save()
}

fn make_hosts(state: &State) -> Result<()> {
    let hosts = state.hosts();
    let sbin = paths::run("sbin");
    fs::create_dir_all(&sbin).context("making the folder of stand-ins")?;
    fs::create_dir_all(paths::run("faults")).context("making the folder of faults")?;
    fs::copy(release::program("pct")?, sbin.join("pct")).context("installing pct")?;
    make_pmxcfs(state)?;
    fs::write(paths::run("pmxcfs/vmlist"), "").context("making the list of guests")?;
    sshd::make_key()?;
    namespace::prepare()?;
    for host in &hosts {
        namespace::create(host).with_context(|| format!("making host {}", host.name))?;
    }
    namespace::connect(&hosts)?;
    hosts.iter().try_for_each(sshd::start)
}

/// The file system that Proxmox hosts share: every host's guests, seen from every host.
fn make_pmxcfs(state: &State) -> Result<()> {
    for host in state.hosts() {
        for kind in ["lxc", "qemu-server"] {
            let folder = paths::run("pmxcfs/nodes").join(&host.name).join(kind);
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        }
    }
    let vm = "boot: order=scsi0\ncores: 1\nmemory: 512\nname: a-vm\nscsi0: local-lvm:vm-900-disk-0,size=4G\n";
    fs::write(paths::run("pmxcfs/nodes/pve1/qemu-server/900.conf"), vm).context("defining VM 900")
}

/// Proxmox's list of all guests, made from the configurations. Written in place: it is mounted as a file.
pub fn write_vmlist(state: &State) -> Result<()> {
    let mut ids = serde_json::Map::new();
    for host in state.hosts() {
        for (folder, kind) in [("lxc", "lxc"), ("qemu-server", "qemu")] {
            let folder = paths::run("pmxcfs/nodes").join(&host.name).join(folder);
            let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
            for name in entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
            {
                if let Some(vmid) = name.strip_suffix(".conf") {
                    let entry =
                        serde_json::json!({"node": host.name, "type": kind, "version": ids.len() + 1});
                    ids.insert(vmid.to_owned(), entry);
                }
            }
        }
    }
    let text = serde_json::to_string_pretty(&serde_json::json!({"version": ids.len(), "ids": ids}))?;
    fs::write(paths::run("pmxcfs/vmlist"), text).context("writing the list of guests")
}

fn make_containers(state: &State) -> Result<()> {
    let nodes = state.nodes();
    for node in &nodes {
        container::define(node, &state.options)?;
        container::start(node)?;
    }
    write_vmlist(state)?;
    nodes.iter().try_for_each(container::wait_for_systemd)
}

/// A token of its own for every lab: a test that finds it in a log has found a leak.
fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("making a token")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// For machines that are prepared before they are used.
pub fn only_template() -> Result<()> {
    setup::require_root()?;
    setup::require_packages()?;
    let _lock = state::lock("template")?;
    process::catch_signals()?;
    template::ensure().map(drop)
}
