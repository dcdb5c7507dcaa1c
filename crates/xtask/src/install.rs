//! `cargo xtask install`: the program and stubs into `plugins/modules/`.

use crate::build::{Target, default_triples, native_platform, native_static};
use crate::repo::Repo;
use crate::sbom;
use crate::sidecar::Sidecar;
use crate::stub::{Spec, stub};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "plugins/modules";

/// All modules, in one program a platform.
const PROGRAM: &str = "homelab-k3s";

pub(crate) fn install(repo: &Repo, triples: &[String]) -> Result<()> {
    let modules = repo.modules()?;
    let triples = if triples.is_empty() {
        default_triples()?
    } else {
        triples.to_vec()
    };
    let mut built = Vec::new();
    for triple in &triples {
        let target = Target::available(triple)?;
        built.push(target.triple.clone());
        let folder = repo.path(FOLDER).join("__bin__").join(target.platform());
        copy(&target.build(repo, PROGRAM, &[])?, &folder.join(PROGRAM))?;
        for module in &modules {
            link(&folder.join(module))?;
        }
    }
    for module in &modules {
        write_stub(repo, module)?;
    }
    sbom::write(repo, PROGRAM, &built)?;
    remove_others(repo, &modules)
}

/// The program of one package for this machine, which needs no file but itself.
pub(crate) fn only_static(repo: &Repo, package: &str, folder: &Path) -> Result<()> {
    let target = Target::available(&native_static()?)?;
    copy(
        &target.build(repo, package, &[PROGRAM])?,
        &repo.root.join(folder).join(package),
    )
}

/// The stub as it should be now, if the program for this machine is there to be asked.
pub(crate) fn expected_stub(repo: &Repo, module: &str) -> Result<Option<String>> {
    let platform = native_platform()?;
    let program = repo.path(FOLDER).join("__bin__").join(platform).join(PROGRAM);
    if !program.is_file() {
        return Ok(None);
    }
    let spec = ask_spec(&program, module)?;
    stub(module, &Sidecar::of(repo, module)?, &spec).map(Some)
}

pub(crate) fn stub_path(module: &str) -> String {
    format!("{FOLDER}/{module}.py")
}

/// Writes the stubs anew where a program is built: their words change with the sidecars, without a build.
pub(crate) fn write_stubs(repo: &Repo) -> Result<()> {
    for module in repo.modules()? {
        if let Some(text) = expected_stub(repo, &module)? {
            put(&repo.path(&stub_path(&module)), text.as_bytes())?;
        }
    }
    Ok(())
}

fn write_stub(repo: &Repo, module: &str) -> Result<()> {
    let text = expected_stub(repo, module)?.with_context(|| {
        format!("the stub of {module} needs the program for this machine: build without --target first")
    })?;
    put(&repo.path(&stub_path(module)), text.as_bytes())
}

fn ask_spec(program: &Path, module: &str) -> Result<Spec> {
    let asking = || format!("asking {} for the --spec of {module}", program.display());
    let output = Command::new(program)
        .args([module, "--spec"])
        .output()
        .with_context(asking)?;
    ensure!(
        output.status.success(),
        "{}: it ended with {}",
        asking(),
        output.status
    );
    serde_json::from_slice(&output.stdout).with_context(asking)
}

fn copy(program: &Path, to: &Path) -> Result<()> {
    let content = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    println!("{:>9} bytes  {}", content.len(), to.display());
    put(to, &content)?;
    make_executable(to)
}

/// Completely or not at all: a play may be reading the old one.
fn put(path: &Path, content: &[u8]) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(writing)?;
    }
    fs::write(&new, content).with_context(writing)?;
    fs::rename(&new, path).with_context(writing)
}

/// A module's name for the program beside it: the copy that Ansible makes is named after the link.
#[cfg(unix)]
fn link(path: &Path) -> Result<()> {
    let linking = || format!("linking {} to {PROGRAM}", path.display());
    let new = path.with_extension("new");
    if new.is_symlink() {
        fs::remove_file(&new).with_context(linking)?;
    }
    std::os::unix::fs::symlink(PROGRAM, &new).with_context(linking)?;
    fs::rename(&new, path).with_context(linking)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

/// What a module that has gone, or was renamed, left behind.
fn remove_others(repo: &Repo, modules: &[String]) -> Result<()> {
    let folder = repo.path(FOLDER);
    let mut folders = vec![folder.clone()];
    folders.extend(entries(&folder.join("__bin__")));
    for path in folders.iter().flat_map(|folder| entries(folder)) {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_file() && name != PROGRAM && !modules.contains(&name) {
            println!("removing {}", path.display());
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map_or_else(
        |_| Vec::new(),
        |entries| entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
    )
}
