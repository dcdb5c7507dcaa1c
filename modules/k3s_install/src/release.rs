//! Where the files of a release are, and what they have to be: as the install script itself says it, and the list of sums beside the binary.

use k3s_types::K3sVersion;

/// The binary of an architecture: its suffix, and the name that the list of sums has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    name: &'static str,
    suffix: &'static str,
}

impl Architecture {
    /// `machine` is what `uname -m` prints.
    pub(crate) fn of(machine: &str) -> Result<Self, String> {
        let (name, suffix) = match machine {
            "x86_64" | "amd64" => ("amd64", ""),
            "aarch64" | "arm64" => ("arm64", "-arm64"),
            "s390x" => ("s390x", "-s390x"),
            arm if arm.starts_with("arm") => ("arm", "-armhf"),
            _ => return Err(format!("there is no k3s for the architecture {machine}")),
        };
        Ok(Self { name, suffix })
    }

    pub(crate) fn file(self) -> String {
        format!("k3s{}", self.suffix)
    }

    pub(crate) fn sums(self) -> String {
        format!("sha256sum-{}.txt", self.name)
    }
}

/// Where the files of a version are. Since 2026 the script has it as `INSTALL_K3S_ARTIFACT_URL`, before as `GITHUB_URL`.
pub(crate) fn folder(script: &str, download_url: Option<&str>, version: &K3sVersion) -> Option<String> {
    if let Some(url) = download_url {
        return Some(format!("{url}/download/{version}"));
    }
    if let Some(base) = default_of(script, "INSTALL_K3S_ARTIFACT_URL") {
        return Some(format!("{base}/{}", version.to_string().replace('+', "%2B")));
    }
    default_of(script, "GITHUB_URL").map(|base| format!("{base}/download/{version}"))
}

/// The URL that a variable of the script has by default: `NAME=${NAME:-https://…}`, or plain. Anything but a URL is `None`.
fn default_of<'a>(script: &'a str, name: &str) -> Option<&'a str> {
    let value = script
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let quote = ['"', '\''];
    let bare = |text: &'a str| text.strip_prefix(quote).unwrap_or(text);
    let value = bare(value);
    let own = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_prefix(name)?.strip_prefix(":-"));
    let value = bare(own.unwrap_or(value));
    let end = value.find(['"', '\'', '}']).unwrap_or(value.len());
    let value = &value[..end];
    let is_url = ["https://", "http://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    is_url.then_some(value)
}

/// The sum of a file in a list as `sha256sum` writes it.
pub(crate) fn sum_of<'a>(list: &'a str, file: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let (sum, name) = line.split_once([' ', '\t'])?;
        let name = name.trim_start_matches([' ', '\t']);
        let name = name.strip_prefix('*').unwrap_or(name);
        (name == file && is_sum(sum)).then_some(sum)
    })
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The protocols that a download may use, for redirects too: what begins encrypted stays so.
pub(crate) fn protocols(url: &str) -> &'static str {
    if url.starts_with("https://") {
        "=https"
    } else {
        "=http,https"
    }
}

/// What was downloaded instead, for a message.
pub(crate) fn beginning(text: &str) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.map_or_else(
        || "it is empty".to_owned(),
        |line| format!("it begins with: {}", line.chars().take(120).collect::<String>()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> K3sVersion {
        "v1.31.5+k3s1".parse().unwrap()
    }

    #[test]
    fn each_architecture_has_its_binary() {
        for (machine, file, sums) in [
            ("x86_64", "k3s", "sha256sum-amd64.txt"),
            ("amd64", "k3s", "sha256sum-amd64.txt"),
            ("aarch64", "k3s-arm64", "sha256sum-arm64.txt"),
            ("arm64", "k3s-arm64", "sha256sum-arm64.txt"),
            ("armv7l", "k3s-armhf", "sha256sum-arm.txt"),
            ("s390x", "k3s-s390x", "sha256sum-s390x.txt"),
        ] {
            let architecture = Architecture::of(machine).unwrap();
            assert_eq!(
                (architecture.file(), architecture.sums()),
                (file.to_owned(), sums.to_owned())
            );
        }
        assert_eq!(
            Architecture::of("riscv64").unwrap_err(),
            "there is no k3s for the architecture riscv64"
        );
    }

    #[test]
    fn the_script_says_where_its_releases_are() {
        let old = "https://github.com/k3s-io/k3s/releases";
        for line in [
            "GITHUB_URL=https://github.com/k3s-io/k3s/releases",
            "GITHUB_URL='https://github.com/k3s-io/k3s/releases'",
            "GITHUB_URL=${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}",
            "GITHUB_URL=\"${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}\"",
            "GITHUB_URL=${GITHUB_URL:-\"https://github.com/k3s-io/k3s/releases\"}",
        ] {
            let script = format!("#!/bin/sh\n# GITHUB_URL=x\n{line}\nGITHUB_URL=https://later\n");
            let folder = folder(&script, None, &version()).unwrap();
            assert_eq!(folder, format!("{old}/download/v1.31.5+k3s1"), "{line}");
        }
        let new = "GITHUB_URL=https://old\nINSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-https://new/download}\n";
        assert_eq!(
            folder(new, None, &version()).unwrap(),
            "https://new/download/v1.31.5%2Bk3s1"
        );
        assert_eq!(
            folder(new, Some("http://mirror"), &version()).unwrap(),
            "http://mirror/download/v1.31.5+k3s1"
        );
    }

    #[test]
    fn reads_the_address_of_releases_from_urls_only() {
        for line in [
            "",
            "GITHUB_URL=",
            "GITHUB_URL=$OTHER",
            "GITHUB_URL=-K/etc/passwd",
            "  GITHUB_URL=https://a",
        ] {
            assert_eq!(folder(line, None, &version()), None, "{line}");
        }
    }

    #[test]
    fn the_sum_is_that_of_the_file_and_no_other() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let list = format!("{two}  k3s-airgap-images-amd64.tar\n{one}  k3s\n{two} *k3s-arm64\n");
        assert_eq!(sum_of(&list, "k3s"), Some(one.as_str()));
        assert_eq!(sum_of(&list, "k3s-arm64"), Some(two.as_str()));
        assert_eq!(sum_of(&list, "k3s-armhf"), None);
        for line in [
            format!("{}  k3s", "A".repeat(64)),
            format!("{}  k3s", &one[1..]),
            one.clone(),
        ] {
            assert_eq!(sum_of(&line, "k3s"), None, "{line}");
        }
    }

    #[test]
    fn a_download_that_begins_encrypted_stays_so() {
        assert_eq!(protocols("https://get.k3s.io"), "=https");
        assert_eq!(protocols("http://10.0.0.1/k3s"), "=http,https");
    }
}
