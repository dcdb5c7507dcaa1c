//! What the user asks for.

use crate::bad_hops;
use ansible_module::defaults::{number, yes};
use k3s_types::{K3sVersion, mask};
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

const CHANNELS: &str = "https://update.k3s.io/v1-release/channels";

/// The options; see `k3s_version.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub wanted: Wanted,
    pub binary: String,
    pub node_name: Option<String>,
    pub allow: Allow,
    pub fail_on_refusal: bool,
    pub timeout: Duration,
}

/// Where the target comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Somebody named it.
    Pinned(K3sVersion),
    /// A channel had it when it was asked earlier in the run.
    Resolved { channel: String, version: K3sVersion },
    /// A channel has to be asked.
    Channel(Channel),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub name: String,
    pub url: Url,
    pub ca_file: Option<String>,
}

/// The refusals that the user has lifted.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    pub downgrade: bool,
    /// Whether the target may have another minor than the node.
    pub minor: bool,
    pub skip_minor: bool,
    pub known_bad: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    version: Option<K3sVersion>,
    #[serde(default = "stable")]
    channel: String,
    #[serde(default = "channels")]
    channel_url: String,
    channel_version: Option<K3sVersion>,
    ca_file: Option<String>,
    #[serde(default = "k3s")]
    binary: String,
    node_name: Option<String>,
    #[serde(default)]
    allow_downgrade: bool,
    #[serde(default = "yes")]
    allow_minor: bool,
    #[serde(default)]
    allow_skip_minor: bool,
    #[serde(default)]
    allow_known_bad: Vec<String>,
    #[serde(default = "yes")]
    fail_on_refusal: bool,
    #[serde(default = "number::<30, _>")]
    timeout: u64,
}

fn stable() -> String {
    "stable".to_owned()
}

fn channels() -> String {
    CHANNELS.to_owned()
}

fn k3s() -> String {
    "k3s".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second".to_owned());
        }
        if options.binary.is_empty() {
            return Err("binary: it has to name the program to ask".to_owned());
        }
        bad_hops::check_names(&options.allow_known_bad)?;
        Ok(Self {
            vmid: options.vmid,
            wanted: wanted(
                options.version,
                options.channel_version,
                options.channel,
                &options.channel_url,
                options.ca_file,
            )?,
            binary: options.binary,
            node_name: options.node_name,
            allow: Allow {
                downgrade: options.allow_downgrade,
                minor: options.allow_minor,
                skip_minor: options.allow_skip_minor,
                known_bad: options.allow_known_bad,
            },
            fail_on_refusal: options.fail_on_refusal,
            timeout: Duration::from_secs(options.timeout),
        })
    }
}

fn wanted(
    pinned: Option<K3sVersion>,
    resolved: Option<K3sVersion>,
    name: String,
    url: &str,
    ca_file: Option<String>,
) -> Result<Wanted, String> {
    if let Some(version) = pinned {
        return Ok(Wanted::Pinned(numbered("version", version)?));
    }
    if let Some(version) = resolved {
        return Ok(Wanted::Resolved {
            channel: name,
            version: numbered("channel_version", version)?,
        });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!(
            "channel: {name:?} cannot be a channel's name (such as stable, latest, v1.33)"
        ));
    }
    let shown = mask::address(url);
    let url = Url::parse(url).map_err(|error| format!("channel_url: {shown:?} is not a URL: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(format!(
            "channel_url: {shown} must begin with https:// or http:// and name a host"
        ));
    }
    if mask::has_login(url.as_str()) {
        return Err(format!("channel_url: {shown} {}", mask::LOGIN_REFUSED));
    }
    Ok(Wanted::Channel(Channel { name, url, ca_file }))
}

/// A build from a commit runs well, but there is no release to fetch it from.
fn numbered(option: &str, version: K3sVersion) -> Result<K3sVersion, String> {
    if version.is_numbered() {
        return Ok(version);
    }
    Err(format!(
        "{option}: {version} is built from a commit and cannot be downloaded: name a release (vX.Y.Z+k3sN)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(options: Value) -> Result<Params, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_is_the_stable_channel() {
        let Wanted::Channel(channel) = read(json!({})).unwrap().wanted else {
            panic!()
        };
        assert_eq!(
            (channel.name.as_str(), channel.url.as_str()),
            ("stable", CHANNELS)
        );
    }

    #[test]
    fn a_pin_goes_before_a_channel() {
        let pinned = read(json!({"version": "v1.31.5+k3s1", "channel_version": "v1.30.1+k3s1"})).unwrap();
        assert_eq!(pinned.wanted, Wanted::Pinned("v1.31.5+k3s1".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused_by_option() {
        let refused = [
            (json!({"version": "stable"}), "is not a version"),
            (json!({"version": "v1.31.0+k3s-5d0a12a6"}), "version: "),
            (json!({"channel": "../x"}), "channel: "),
            (json!({"channel_url": "update"}), "channel_url: "),
            (json!({"channel_url": "ftp://a/b"}), "channel_url: "),
            (
                json!({"channel_url": "https://me:pw-1@mirror.example/channels"}),
                "channel_url: https://********@mirror.example/channels has a login in it",
            ),
            (json!({"allow_known_bad": ["etcd"]}), "allow_known_bad: "),
            (json!({"timeout": 0}), "timeout: "),
            (json!({"binary": ""}), "binary: "),
        ];
        for (options, words) in refused {
            let error = read(options).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
