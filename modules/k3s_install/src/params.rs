//! What the user asks for.

use ansible_module::defaults::{number, yes};
use host::Secret;
use k3s_node::env_file::{self, Variables};
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{Role, Setup};
use k3s_types::{K3sVersion, mask};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Installed, running, proven.
    #[default]
    Present,
    /// Downloaded and verified only, so that a drained node need not wait for it.
    Prefetched,
}

/// Where the install script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    Url(String),
    /// A file on the machine that the module runs on.
    Path(String),
}

/// A file on the machine that the module runs on, and the sum that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    pub path: String,
    pub sha256: String,
}

impl LocalFile {
    fn of(option: &str, path: Option<String>, sha256: Option<String>) -> Result<Option<Self>, String> {
        match (path, sha256) {
            (None, None) => Ok(None),
            (Some(path), Some(sha256)) if is_sum(&sha256) && path.starts_with('/') => Ok(Some(Self {
                path,
                sha256: sha256.to_ascii_lowercase(),
            })),
            (Some(path), Some(_)) if !path.starts_with('/') => {
                Err(format!("{option}_path: {path} is not an absolute path"))
            }
            (Some(_), Some(_)) => Err(format!("{option}_sha256: 64 hexadecimal digits were expected")),
            _ => Err(format!(
                "{option}_path and {option}_sha256 go together: what root will run is verified"
            )),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

fn is_sum(sum: &str) -> bool {
    sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit())
}

/// The options; see `k3s_install.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub state: Wanted,
    pub version: K3sVersion,
    pub role: Option<Role>,
    pub node_name: Option<String>,
    /// Given: a fresh install is meant where nothing is installed yet.
    pub args: Option<Vec<String>>,
    pub environment: BTreeMap<String, Secret>,
    pub script: Script,
    pub script_sha256: Option<String>,
    /// Replaces a download.
    pub binary: Option<LocalFile>,
    pub images: Option<LocalFile>,
    pub download_url: Option<String>,
    pub download_timeout: u64,
    pub prefetch: bool,
    pub allow_downgrade: bool,
    pub min_free_mb: u64,
    pub timeout: u64,
    pub settle: Option<u64>,
    pub lock_timeout: u64,
    pub run_id: Option<String>,
}

impl Params {
    /// What is to be installed where nothing is yet; `None` where these options are not meant for that.
    pub(crate) fn fresh(&self) -> Option<Setup> {
        let variables = self
            .environment
            .iter()
            .map(|(key, value)| (key.clone(), value.expose().to_owned()));
        let variables: Variables = variables.collect();
        Some(Setup {
            role: self.role?,
            name: self.role?.unit().to_owned(),
            binary: DEFAULT_BINARY.to_owned(),
            args: self.args.clone()?,
            unit: None,
            env: (!variables.is_empty()).then(|| env_file::render(&variables)),
            enabled: true,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default)]
    state: Wanted,
    version: K3sVersion,
    role: Option<Role>,
    node_name: Option<String>,
    args: Option<Vec<String>>,
    #[serde(default)]
    environment: BTreeMap<String, Secret>,
    #[serde(default = "published_script")]
    script_url: String,
    script_path: Option<String>,
    script_sha256: Option<String>,
    binary_path: Option<String>,
    binary_sha256: Option<String>,
    images_path: Option<String>,
    images_sha256: Option<String>,
    download_url: Option<String>,
    #[serde(default = "number::<600, _>")]
    download_timeout: u64,
    #[serde(default = "yes")]
    prefetch: bool,
    #[serde(default)]
    allow_downgrade: bool,
    #[serde(default = "number::<512, _>")]
    min_free_mb: u64,
    // An agent whose networking has started needs up to 463 s until its unit is active: 450 s to the next heartbeat
    // (`LATEST_HEARTBEAT` in readiness.rs), 10.4 s of the kubelet's loop (`nodeStatusUpdateFrequency` with its jitter) and 2 s
    // of k3s's poll (pkg/agent/netpol/netpol.go). That leaves 2 min for what comes before: to unpack k3s, import images and
    // join. The Node is Ready long before the unit is active, and then the wait ends.
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    settle: Option<u64>,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
    run_id: Option<String>,
}

fn published_script() -> String {
    "https://get.k3s.io".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        options.check()?;
        let script = options
            .script_path
            .map_or(Script::Url(options.script_url), Script::Path);
        let binary = LocalFile::of("binary", options.binary_path, options.binary_sha256)?;
        if binary.is_some() && !options.prefetch {
            return Err(
                "binary_path: with prefetch set to false the install script would download another one"
                    .to_owned(),
            );
        }
        Ok(Self {
            binary,
            images: LocalFile::of("images", options.images_path, options.images_sha256)?,
            vmid: options.vmid,
            state: options.state,
            version: options.version,
            role: options.role,
            node_name: options.node_name,
            args: options.args,
            environment: options.environment,
            script,
            script_sha256: options.script_sha256.map(|sum| sum.to_ascii_lowercase()),
            download_url: options
                .download_url
                .map(|url| url.trim_end_matches('/').to_owned()),
            download_timeout: options.download_timeout,
            prefetch: options.prefetch,
            allow_downgrade: options.allow_downgrade,
            min_free_mb: options.min_free_mb,
            timeout: options.timeout,
            settle: options.settle,
            lock_timeout: options.lock_timeout,
            run_id: options.run_id,
        })
    }
}

impl Options {
    fn check(&self) -> Result<(), String> {
        if !self.version.is_numbered() {
            return Err(format!(
                "version: {} is a build of a commit, which no release server has",
                self.version
            ));
        }
        for (name, seconds) in [
            ("timeout", self.timeout),
            ("download_timeout", self.download_timeout),
        ] {
            if seconds == 0 {
                return Err(format!("{name}: must be at least 1 second"));
            }
        }
        if self.script_sha256.as_ref().is_some_and(|sum| !is_sum(sum)) {
            return Err("script_sha256: 64 hexadecimal digits were expected".to_owned());
        }
        let urls = [
            ("script_url", Some(&self.script_url)),
            ("download_url", self.download_url.as_ref()),
        ];
        for (name, url) in urls.into_iter().filter_map(|(name, url)| Some((name, url?))) {
            // It becomes an argument of curl or wget, which must not take it for an option.
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            let shown = mask::address(url);
            if !is_web || url.contains(char::is_whitespace) {
                return Err(format!(
                    "{name}: {shown:?} must begin with https:// or http://, and contain no blank"
                ));
            }
            if mask::has_login(url) {
                return Err(format!("{name}: {shown} {}", mask::LOGIN_REFUSED));
            }
        }
        self.check_fresh_install()
    }

    fn check_fresh_install(&self) -> Result<(), String> {
        if self
            .args
            .as_ref()
            .and_then(|args| args.first())
            .is_some_and(|first| !first.starts_with('-'))
        {
            return Err("args: the first one must be a flag; server or agent is said by role".to_owned());
        }
        if self.args.iter().flatten().any(|arg| arg.contains('\0')) {
            return Err("args: an argument cannot hold a NUL byte".to_owned());
        }
        for key in self.environment.keys() {
            if !is_variable_name(key) {
                return Err(format!(
                    "environment: {key:?} cannot be the name of a variable (letters, digits and _ only)"
                ));
            }
            if key.starts_with("INSTALL_K3S_") || key.starts_with("GITHUB_") {
                return Err(format!(
                    "environment: {key} is the install script's own; this is the environment of k3s"
                ));
            }
        }
        Ok(())
    }
}

fn is_variable_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(more: Value) -> Result<Params, String> {
        let mut all = json!({"version": "v1.31.5+k3s1"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).map_err(|error| error.to_string())
    }

    #[test]
    fn an_invalid_combination_cannot_be_made() {
        let cases = [
            (json!({"version": "v1.31.0+k3s-5d0a12a6"}), "version:"),
            (json!({"version": "stable"}), "is not a version"),
            (json!({"timeout": 0}), "timeout:"),
            (json!({"download_timeout": 0}), "download_timeout:"),
            (json!({"script_sha256": "abc"}), "script_sha256:"),
            (
                json!({"binary_path": "/k3s"}),
                "binary_path and binary_sha256 go together",
            ),
            (
                json!({"images_path": "/i", "images_sha256": "abc"}),
                "images_sha256:",
            ),
            (
                json!({"binary_path": "k3s", "binary_sha256": "a".repeat(64)}),
                "binary_path: k3s is not an absolute path",
            ),
            (
                json!({"binary_path": "/k3s", "binary_sha256": "a".repeat(64), "prefetch": false}),
                "prefetch set to false",
            ),
            (json!({"script_url": "get.k3s.io"}), "script_url:"),
            (json!({"download_url": "-o/etc/passwd ://"}), "download_url:"),
            (json!({"script_url": "file:///etc/shadow"}), "script_url:"),
            (
                json!({"script_url": "https://me:pw-1@mirror.example/install.sh"}),
                "script_url: https://********@mirror.example/install.sh has a login in it",
            ),
            (
                json!({"download_url": "https://me:pw-1@mirror.example/k3s"}),
                "download_url: https://********@mirror.example/k3s has a login in it",
            ),
            (json!({"script_url": "https://get.k3s.io/ -K/x"}), "script_url:"),
            (json!({"args": ["server", "--x"]}), "args:"),
            (json!({"environment": {"A-B": "x"}}), "environment:"),
            (json!({"environment": {"INSTALL_K3S_EXEC": "x"}}), "environment:"),
        ];
        for (more, message) in cases {
            let error = read(more.clone()).unwrap_err();
            assert!(error.contains(message), "{more}: {error}");
        }
    }

    #[test]
    fn replaces_the_url_with_a_path() {
        assert_eq!(
            read(json!({})).unwrap().script,
            Script::Url("https://get.k3s.io".to_owned())
        );
        assert_eq!(
            read(json!({"script_path": "/x"})).unwrap().script,
            Script::Path("/x".to_owned())
        );
    }

    #[test]
    fn an_empty_list_of_arguments_is_not_the_same_as_none() {
        assert_eq!(read(json!({})).unwrap().args, None);
        assert_eq!(read(json!({"args": []})).unwrap().args, Some(vec![]));
    }
}
