//! Releases from where their makers publish them, each checked against its published checksum and kept.

use crate::paths;
use crate::process::Program;
use crate::progress::step;
use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const RELEASES: &str = "https://github.com/k3s-io/k3s/releases/download";
pub(super) const SCRIPT: &str = "https://get.k3s.io";
/// A release has 70 MB.
const LIMIT: Duration = Duration::from_mins(15);
/// What the release calls this architecture's files.
const SUMS: &str = if cfg!(target_arch = "aarch64") {
    "sha256sum-arm64.txt"
} else {
    "sha256sum-amd64.txt"
};
const BINARY: &str = if cfg!(target_arch = "aarch64") {
    "k3s-arm64"
} else {
    "k3s"
};
/// The names of the images that its own pods run from.
const IMAGES: &str = "k3s-images.txt";

/// Where a version is until it is complete: not beside the others, for none of which it may be taken.
const UNFINISHED: &str = "unfinished";

/// Where downloaded versions are kept: a folder as `LAB_K3S` names one.
pub(super) fn folder() -> PathBuf {
    paths::cache("k3s")
}

/// Has these versions in the folder.
pub(super) fn versions(releases: &str, versions: &[String], folder: &Path) -> Result<()> {
    for version in versions {
        if super::Version::parse(version).is_none() {
            bail!("downloading k3s {version}: not a release such as v1.31.4+k3s1");
        }
        let target = folder.join(version);
        if !target.exists() {
            step(&format!("downloading k3s {version}"), || {
                one(releases, version, &target)
            })?;
        }
    }
    Ok(())
}

fn one(releases: &str, version: &str, target: &Path) -> Result<()> {
    let partial = target.with_file_name(UNFINISHED).join(version);
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
    // An address has another spelling of a version's plus sign.
    let address = format!(
        "{}/{}",
        releases.trim_end_matches('/'),
        version.replace('+', "%2B")
    );
    let sums = partial.join("sums");
    fetch(&format!("{address}/{SUMS}"), &sums)?;
    let sums = fs::read_to_string(&sums).with_context(|| format!("reading the checksums of {version}"))?;
    for (published, name) in [(BINARY, "k3s"), (IMAGES, IMAGES)] {
        let file = partial.join(name);
        fetch(&format!("{address}/{published}"), &file)?;
        check(&sums, published, &file)
            .with_context(|| format!("downloading k3s {version} from {address}"))?;
    }
    fs::set_permissions(partial.join("k3s"), fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making k3s {version} executable"))?;
    fs::rename(&partial, target).with_context(|| format!("keeping k3s {version} in {}", target.display()))
}

fn check(sums: &str, published: &str, file: &Path) -> Result<()> {
    let wanted = sum_of(sums, published).with_context(|| format!("{SUMS} has no line for {published}"))?;
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let found = format!("{:x}", Sha256::digest(bytes));
    if found != wanted {
        bail!("{published} has the SHA-256 {found}, but {SUMS} says {wanted}");
    }
    Ok(())
}

fn sum_of<'a>(sums: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = sums.lines().filter_map(|line| line.split_once("  "));
    lines.find(|(_, file)| *file == name).map(|(sum, _)| sum)
}

pub(super) fn script(address: &str) -> Result<PathBuf> {
    let target = paths::cache("k3s-install.sh");
    fs::create_dir_all(paths::CACHE).context("making the folder for the install script")?;
    step("downloading the install script", || fetch(address, &target))?;
    Ok(target)
}

fn fetch(address: &str, target: &Path) -> Result<()> {
    let target = target.display().to_string();
    let curl = [
        "curl",
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--retry",
        "3",
        "--output",
        &target,
        "--",
        address,
    ];
    Program::new(curl).limit(LIMIT).run().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    const VERSION: &str = "v1.31.4+k3s1";

    /// A server on the loopback that has these files; its address.
    fn serve(files: HashMap<String, String>) -> String {
        serve_until(files, |_| usize::MAX)
    }

    /// One that goes away after so many bytes of a path.
    fn serve_until(files: HashMap<String, String>, bytes: fn(&str) -> usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/download", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                for line in lines {
                    if line.unwrap().is_empty() {
                        break;
                    }
                }
                let path = request.split(' ').nth(1).unwrap();
                let (status, body) = match files.get(path) {
                    Some(body) => ("200 OK", body.as_str()),
                    None => ("404 Not Found", ""),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let sent = &body[..body.len().min(bytes(path))];
                stream.write_all(format!("{head}{sent}").as_bytes()).unwrap();
            }
        });
        address
    }

    fn release(binary: &str, published: &str) -> HashMap<String, String> {
        let sum = |text: &str| format!("{:x}", Sha256::digest(text));
        let sums = format!(
            "{}  {BINARY}\n{}  {IMAGES}\n",
            sum(published),
            sum("docker.io/rancher/pause:1\n")
        );
        [
            (BINARY, binary),
            (IMAGES, "docker.io/rancher/pause:1\n"),
            (SUMS, &sums),
        ]
        .map(|(name, body)| (format!("/download/v1.31.4%2Bk3s1/{name}"), body.to_owned()))
        .into()
    }

    #[test]
    fn a_release_is_kept_with_the_names_of_its_images_and_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let address = serve(release("a binary", "a binary"));
        versions(&address, &[VERSION.to_owned()], folder.path()).unwrap();
        let kept = folder.path().join(VERSION);
        assert_eq!(fs::read_to_string(kept.join("k3s")).unwrap(), "a binary");
        assert_eq!(
            fs::metadata(kept.join("k3s")).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::read_to_string(kept.join(IMAGES)).unwrap(),
            "docker.io/rancher/pause:1\n"
        );
        versions("http://127.0.0.1:1", &[VERSION.to_owned()], folder.path()).unwrap();
    }

    #[test]
    fn an_interrupted_download_leaves_no_version_and_the_next_one_starts_over() {
        let folder = tempfile::tempdir().unwrap();
        let complete = release("a binary", "a binary");
        let cut = serve_until(complete.clone(), |path| {
            if path.ends_with(BINARY) { 4 } else { usize::MAX }
        });
        let message = versions(&cut, &[VERSION.to_owned()], folder.path()).unwrap_err();
        assert!(format!("{message:#}").contains("exit status 18"), "{message:#}");
        // So does a kill; and a run that is about other versions must not stumble over it.
        let other = "v1.32.2+k3s1";
        fs::create_dir(folder.path().join(other)).unwrap();
        fs::write(folder.path().join(other).join("k3s"), "another").unwrap();
        let names = || {
            let found = crate::real::binaries::at_hand(folder.path()).unwrap();
            found.into_iter().map(|version| version.name).collect::<Vec<_>>()
        };
        assert_eq!(names(), [other]);
        let left: Vec<_> = walk(folder.path())
            .into_iter()
            .filter(|path| path.ends_with("k3s") && !path.starts_with(folder.path().join(other)))
            .collect();
        assert_eq!(
            left.len(),
            1,
            "the interrupted download is to be left for this test: {left:?}"
        );
        fs::write(left[0].with_file_name("more"), "of an older lab").unwrap();
        versions(&serve(complete), &[VERSION.to_owned()], folder.path()).unwrap();
        assert_eq!(names(), [VERSION, other]);
        let kept = folder.path().join(VERSION);
        assert_eq!(fs::read_to_string(kept.join("k3s")).unwrap(), "a binary");
        assert!(!kept.join("more").exists() && !left[0].exists());
    }

    fn walk(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
            .collect()
    }

    #[test]
    fn what_is_not_what_was_published_is_refused_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let address = serve(release("another binary", "a binary"));
        let error = versions(&address, &[VERSION.to_owned()], folder.path()).unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.starts_with("downloading k3s v1.31.4+k3s1 from http://127.0.0.1:"),
            "{message}"
        );
        assert!(message.contains("has the SHA-256"), "{message}");
        assert!(!folder.path().join(VERSION).exists());
    }

    #[test]
    fn names_a_missing_release_and_an_invalid_name() {
        let folder = tempfile::tempdir().unwrap();
        let address = serve(HashMap::new());
        let message = format!(
            "{:#}",
            versions(&address, &[VERSION.to_owned()], folder.path()).unwrap_err()
        );
        assert!(message.contains("404"), "{message}");
        let message = format!(
            "{:#}",
            versions(&address, &["stable".to_owned()], folder.path()).unwrap_err()
        );
        assert!(
            message.starts_with("downloading k3s stable: not a release"),
            "{message}"
        );
    }

    #[test]
    fn a_sum_is_found_by_the_full_name() {
        let sums = "aa  k3s-airgap-images-amd64.tar\nbb  k3s\ncc  k3s-images.txt\n";
        assert_eq!(sum_of(sums, "k3s"), Some("bb"));
        assert_eq!(sum_of(sums, "k3s-images.txt"), Some("cc"));
        assert_eq!(sum_of(sums, "k3s-arm64"), None);
    }
}
