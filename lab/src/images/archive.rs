//! An archive of images as `docker save` writes it, which `ctr images import` of every containerd reads: layers, and for
//! each image a configuration, all named in `manifest.json`.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Write;
use tar::{Builder, EntryType, Header};

/// The same at every run, so that what a node has already is found again.
const MADE: &str = "2021-01-01T00:00:00Z";
const MADE_SECONDS: u64 = 1_609_459_200;
/// The user of klipper-helm's image is there for its home: Helm's memory volumes are mounted below it.
const USERS: &str = "root:x:0:0:root:/root:/lab-pod\n\
                     klipper-helm:x:1000:1000::/home/klipper-helm:/lab-pod\n\
                     nobody:x:65534:65534:nobody:/:/lab-pod\n";
const GROUPS: &str = "root:x:0:\nklipper-helm:x:1000:\nnogroup:x:65534:\n";
/// What a pod's `command` may call by name.
const LINKS: [&str; 6] = ["web", "get", "sleep", "fail", "done", "local-path-provisioner"];

#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) name: String,
    pub(super) entrypoint: Vec<String>,
    /// A number, as only that shows a kubelet that it is not root's. None: root.
    pub(super) user: Option<u32>,
    pub(super) layers: Vec<&'a Layer>,
}

#[derive(Debug)]
pub(super) struct Layer {
    tar: Vec<u8>,
    /// Of the plain bytes: layers are not compressed, so this is the `diff_id` too.
    digest: String,
}

impl Layer {
    /// The root file system: the program, the names that it has, and the folders that a container's runtime mounts on.
    pub(super) fn root(program: &[u8]) -> Result<Self> {
        let mut tar = Builder::new(Vec::new());
        for folder in [
            "bin",
            "dev",
            "etc",
            "home",
            "home/klipper-helm",
            "proc",
            "root",
            "sys",
            "tmp",
        ] {
            let mode = if folder == "tmp" { 0o1777 } else { 0o755 };
            tar.append_data(&mut header(EntryType::Directory, mode), folder, &[][..])?;
        }
        put(&mut tar, "etc/passwd", 0o644, USERS.as_bytes())?;
        put(&mut tar, "etc/group", 0o644, GROUPS.as_bytes())?;
        put(&mut tar, "lab-pod", 0o755, program)?;
        for link in LINKS {
            tar.append_link(
                &mut header(EntryType::Symlink, 0o777),
                format!("bin/{link}"),
                "/lab-pod",
            )?;
        }
        Self::of(tar)
    }

    /// One more program, upon others.
    pub(super) fn program(path: &str, program: &[u8]) -> Result<Self> {
        let mut tar = Builder::new(Vec::new());
        put(&mut tar, path, 0o755, program)?;
        Self::of(tar)
    }

    fn of(tar: Builder<Vec<u8>>) -> Result<Self> {
        let tar = tar.into_inner()?;
        let digest = hex(&tar);
        Ok(Self { tar, digest })
    }

    fn file(&self) -> String {
        format!("{}/layer.tar", self.digest)
    }
}

/// The layers are those of which the images consist.
pub(super) fn write(file: impl Write, images: &[Image], layers: &[&Layer]) -> Result<()> {
    let mut tar = Builder::new(file);
    for layer in layers {
        put(&mut tar, &layer.file(), 0o644, &layer.tar)?;
    }
    let mut manifest = Vec::new();
    for image in images {
        let config = serde_json::to_vec(&config(image)).context("writing an image's configuration")?;
        let name = format!("{}.json", hex(&config));
        put(&mut tar, &name, 0o644, &config)?;
        let files: Vec<String> = image.layers.iter().map(|layer| layer.file()).collect();
        manifest.push(json!({"Config": name, "RepoTags": [image.name], "Layers": files}));
    }
    let manifest = serde_json::to_vec(&manifest).context("writing the list of images")?;
    put(&mut tar, "manifest.json", 0o644, &manifest)?;
    tar.into_inner()?.flush().context("writing the archive")
}

fn config(image: &Image) -> Value {
    let layers = &image.layers;
    let ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.digest))
        .collect();
    let history: Vec<Value> = layers
        .iter()
        .map(|_| json!({"created": MADE, "created_by": "the lab"}))
        .collect();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": MADE,
        "config": {
            "Env": ["PATH=/bin"],
            "Entrypoint": image.entrypoint,
            "User": image.user.map_or_else(String::new, |user| user.to_string()),
            "WorkingDir": "/",
            // Else images that play the same part would be one configuration.
            "Labels": {"stands-in-for": image.name},
        },
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": history,
    })
}

/// As Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn put(tar: &mut Builder<impl Write>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content)
        .with_context(|| format!("writing {path}"))
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(MADE_SECONDS);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    fn image<'a>(name: &str, layers: Vec<&'a Layer>) -> Image<'a> {
        Image {
            name: name.to_owned(),
            entrypoint: vec!["/lab-pod".to_owned(), "pause".to_owned()],
            user: name.contains("klipper-helm").then_some(1000),
            layers,
        }
    }

    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap();
        let read = entries.map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        read.collect()
    }

    fn written() -> BTreeMap<String, Vec<u8>> {
        let mut tar = Vec::new();
        let root = Layer::root(b"the program").unwrap();
        let helm = Layer::program("bin/helm", b"helm").unwrap();
        let images = [
            image("docker.io/homelab/pod:1", vec![&root]),
            image(
                "docker.io/rancher/klipper-helm:v0.13.3-build20260727",
                vec![&root, &helm],
            ),
        ];
        write(&mut tar, &images, &[&root, &helm]).unwrap();
        files(&tar)
    }

    #[test]
    fn the_manifest_names_each_image_with_its_configuration_and_layers_which_are_there() {
        let files = written();
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let tags: Vec<&str> = manifest
            .as_array()
            .unwrap()
            .iter()
            .map(|image| image["RepoTags"][0].as_str().unwrap())
            .collect();
        assert_eq!(
            tags,
            [
                "docker.io/homelab/pod:1",
                "docker.io/rancher/klipper-helm:v0.13.3-build20260727"
            ]
        );
        for image in manifest.as_array().unwrap() {
            assert!(files.contains_key(image["Config"].as_str().unwrap()));
            for layer in image["Layers"].as_array().unwrap() {
                assert!(files.contains_key(layer.as_str().unwrap()));
            }
        }
        assert_ne!(manifest[0]["Config"], manifest[1]["Config"]);
        assert_eq!(manifest[0]["Layers"][0], manifest[1]["Layers"][0]);
        // Two configurations, two layers, and the manifest.
        assert_eq!(files.len(), 5);
    }

    #[test]
    fn a_configuration_is_named_by_its_digest_and_its_diff_id_is_the_layer_s() {
        let files = written();
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let name = manifest[0]["Config"].as_str().unwrap();
        assert_eq!(name, format!("{}.json", hex(&files[name])));
        let config: Value = serde_json::from_slice(&files[name]).unwrap();
        let layer = &files[manifest[0]["Layers"][0].as_str().unwrap()];
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([format!("sha256:{}", hex(layer))])
        );
        assert_eq!(config["config"]["Entrypoint"], json!(["/lab-pod", "pause"]));
        assert_eq!(config["os"], "linux");
    }

    #[test]
    fn the_user_is_a_number_and_has_a_home_in_the_layer() {
        let files = written();
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let user = |image: &Value| {
            let config: Value = serde_json::from_slice(&files[image["Config"].as_str().unwrap()]).unwrap();
            config["config"]["User"].clone()
        };
        assert_eq!(user(&manifest[0]), "");
        assert_eq!(user(&manifest[1]), "1000");
        let layer = files_of(&Layer::root(b"").unwrap());
        let users = String::from_utf8(layer["etc/passwd"].clone()).unwrap();
        assert!(
            users
                .lines()
                .any(|line| line.starts_with("klipper-helm:x:1000:1000::/home/klipper-helm:"))
        );
        assert!(layer.contains_key("home/klipper-helm"));
    }

    fn files_of(layer: &Layer) -> BTreeMap<String, Vec<u8>> {
        files(&layer.tar)
    }

    #[test]
    fn the_layer_has_the_program_its_names_and_the_folders_to_mount_on() {
        let layer = Layer::root(b"the program").unwrap();
        let files = files(&layer.tar);
        assert_eq!(files["lab-pod"], b"the program");
        for path in [
            "proc",
            "sys",
            "dev",
            "tmp",
            "etc/passwd",
            "bin/sleep",
            "bin/local-path-provisioner",
        ] {
            assert!(files.contains_key(path), "{path}");
        }
        let mut archive = tar::Archive::new(layer.tar.as_slice());
        let program = archive.entries().unwrap().find(|entry| {
            let path = entry.as_ref().unwrap().path().unwrap().into_owned();
            path.as_os_str() == "lab-pod"
        });
        assert_eq!(program.unwrap().unwrap().header().mode().unwrap(), 0o755);
    }

    #[test]
    fn the_archive_is_the_same_at_every_run() {
        assert_eq!(written(), written());
    }
}
