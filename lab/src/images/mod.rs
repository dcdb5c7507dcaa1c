//! Images for the pods of a real k3s, made on the spot: no registry, and nothing in them but `lab-pod`, which plays the
//! programs of k3s's own images. Containers get the archive where k3s looks for images at each start
//! (`files/container-define.sh`).

mod archive;

use crate::paths;
use crate::progress::step;
use crate::release::{self, REAL, Versions};
use anyhow::{Context as _, Result};
use archive::{Image, Layer};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The image for the tests' own workloads; `homelab/pod:1` in a pod's spec.
const OWN: &str = "docker.io/homelab/pod:1";
/// Published by every release of k3s, beside its binary.
const LIST: &str = "k3s-images.txt";

/// The archive on the machine, at the same path on every host of the lab.
pub fn file() -> PathBuf {
    paths::run("images.tar")
}

/// Makes the archive if the lab is to run a real k3s; a stand-in's pods run no program.
pub fn make(versions: &Versions) -> Result<()> {
    let Some(folder) = env::var_os(REAL).map(PathBuf::from) else {
        return Ok(());
    };
    step("images of pods", || {
        let program = release::program("static/lab-pod").context("making images (`make lab` builds it)")?;
        let program = fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
        let names = names(&folder, &versions.offered)?;
        let images: Vec<Image> = names.iter().map(|name| image(name)).collect();
        let path = file();
        let written = fs::File::create(&path)
            .map_err(anyhow::Error::from)
            .and_then(|file| archive::write(file, &images, &[Layer::with_program(&program)?]));
        written.with_context(|| format!("writing {}", path.display()))
    })
}

/// What the releases ask for, each name once, and our own.
fn names(folder: &Path, versions: &[String]) -> Result<Vec<String>> {
    let mut names = vec![OWN.to_owned()];
    for version in versions {
        let path = folder.join(version).join(LIST);
        let text = fs::read_to_string(&path).with_context(|| missing(&path, version))?;
        let listed = text.lines().map(str::trim).filter(|line| !line.is_empty());
        names.extend(listed.map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn missing(path: &Path, version: &str) -> String {
    format!(
        "reading {}: the names of the images that k3s {version} runs in its pods, which the lab's images must have. \
         Every release has this file beside its binary (github.com/k3s-io/k3s/releases, {LIST}): put it there",
        path.display()
    )
}

/// Which part `lab-pod` plays in the image of that name. A pod's own `command` goes before it, `args` follow it.
fn image(name: &str) -> Image {
    let last = name.rsplit('/').next().unwrap_or_default();
    let short = last.split([':', '@']).next().unwrap_or_default();
    let short = short.trim_start_matches("mirrored-");
    let part = match short {
        "pod" => None,
        "coredns-coredns" => Some("coredns"),
        "library-traefik" => Some("traefik"),
        "metrics-server" | "local-path-provisioner" | "pause" | "klipper-lb" | "klipper-helm" => Some(short),
        _ => Some("sleep"),
    };
    let mut entrypoint = vec!["/lab-pod".to_owned()];
    entrypoint.extend(part.map(str::to_owned));
    Image {
        name: name.to_owned(),
        entrypoint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_of_k3s_plays_its_part() {
        for (name, entrypoint) in [
            ("docker.io/homelab/pod:1", "/lab-pod"),
            ("docker.io/rancher/coredns-coredns:1.8.0", "/lab-pod coredns"),
            (
                "docker.io/rancher/mirrored-coredns-coredns:1.8.4",
                "/lab-pod coredns",
            ),
            (
                "docker.io/rancher/mirrored-metrics-server:v0.5.0",
                "/lab-pod metrics-server",
            ),
            (
                "docker.io/rancher/mirrored-library-traefik:2.5.0",
                "/lab-pod traefik",
            ),
            (
                "docker.io/rancher/klipper-helm:v0.6.6-build20211022",
                "/lab-pod klipper-helm",
            ),
            ("docker.io/rancher/klipper-lb:v0.3.4", "/lab-pod klipper-lb"),
            ("docker.io/rancher/mirrored-pause:3.1", "/lab-pod pause"),
            ("docker.io/rancher/library-busybox:1.32.1", "/lab-pod sleep"),
        ] {
            assert_eq!(image(name).entrypoint.join(" "), entrypoint, "{name}");
        }
    }

    #[test]
    fn the_names_are_those_of_every_version_and_our_own() {
        let folder = tempfile::tempdir().unwrap();
        for (version, list) in [
            ("v1.20.8+k3s1", "a/b:1\na/c:1\n"),
            ("v1.21.2+k3s1", "a/b:1\n\na/c:2\n"),
        ] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join(LIST), list).unwrap();
        }
        let versions = ["v1.20.8+k3s1", "v1.21.2+k3s1"].map(str::to_owned);
        let names = names(folder.path(), &versions).unwrap();
        assert_eq!(names, ["a/b:1", "a/c:1", "a/c:2", OWN]);
    }

    #[test]
    fn a_version_without_its_list_is_refused_with_what_it_is_and_where_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("v1.20.8+k3s1")).unwrap();
        let error = names(folder.path(), &["v1.20.8+k3s1".to_owned()]).unwrap_err();
        let told = format!("{error:#}");
        for part in [
            "v1.20.8+k3s1/k3s-images.txt",
            "names of the images",
            "releases",
            "No such file",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
