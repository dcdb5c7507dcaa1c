//! What the user asks for.

use ansible_module::defaults::{number, yes};
use k3s_node::settings::DEFAULT_DATA;
use k3s_types::K3sVersion;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What an operator may accept by name. Without systemd or a package manager that is known, nothing works here.
pub(crate) const RULES: [&str; 8] = [
    "nesting",
    "proc_sys",
    "kmsg",
    "cgroup",
    "cgroup_v1",
    "kernel",
    "disk",
    "profile",
];

/// The options; see `k3s_prereqs.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    /// Of the k3s that is to be installed.
    pub version: Option<K3sVersion>,
    /// What `k3s_config` is to write.
    pub config: Option<Map<String, Value>>,
    pub nfs_client: bool,
    pub packages: Vec<String>,
    pub min_free_mb: u64,
    pub profile: Profile,
    pub allow: Vec<String>,
    pub fail_on_refusal: bool,
    pub package_timeout: u64,
    pub package_lock_wait: u64,
    pub lock_timeout: u64,
}

/// What the operating system has to be, where that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub os_id: Option<String>,
    pub os_version: Option<String>,
    pub min_kernel: Option<String>,
    pub cgroup_version: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    version: Option<K3sVersion>,
    config: Option<Map<String, Value>>,
    #[serde(default = "yes")]
    nfs_client: bool,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default = "number::<512, _>")]
    min_free_mb: u64,
    os_id: Option<String>,
    os_version: Option<String>,
    min_kernel: Option<String>,
    cgroup_version: Option<u8>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default = "yes")]
    fail_on_refusal: bool,
    #[serde(default = "number::<600, _>")]
    package_timeout: u64,
    #[serde(default = "number::<120, _>")]
    package_lock_wait: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if let Some(name) = options.packages.iter().find(|name| !is_package(name)) {
            return Err(format!("packages: {name:?} is not a name of a package"));
        }
        for (option, version) in [
            ("os_version", &options.os_version),
            ("min_kernel", &options.min_kernel),
        ] {
            if let Some(version) = version.as_ref().filter(|version| numbers(version).is_none()) {
                return Err(format!(
                    "{option}: {version:?} is not a version: numbers with points between them"
                ));
            }
        }
        if let Some(version) = options.cgroup_version.filter(|version| !matches!(version, 1 | 2)) {
            return Err(format!("cgroup_version: {version} is neither 1 nor 2"));
        }
        if let Some(rule) = options.allow.iter().find(|rule| !RULES.contains(&rule.as_str())) {
            return Err(format!(
                "allow: there is no rule {rule}; the rules are {}",
                RULES.join(", ")
            ));
        }
        if options.package_timeout == 0 {
            return Err("package_timeout: must be at least 1 second".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            version: options.version,
            config: options.config,
            nfs_client: options.nfs_client,
            packages: options.packages,
            min_free_mb: options.min_free_mb,
            profile: Profile {
                os_id: options.os_id,
                os_version: options.os_version,
                min_kernel: options.min_kernel,
                cgroup_version: options.cgroup_version,
            },
            allow: options.allow,
            fail_on_refusal: options.fail_on_refusal,
            package_timeout: options.package_timeout,
            package_lock_wait: options.package_lock_wait,
            lock_timeout: options.lock_timeout,
        })
    }
}

impl Params {
    /// Where k3s keeps its data, by what is to be written.
    pub(crate) fn data_dir(&self) -> &str {
        let named = self.config.as_ref().and_then(|config| config.get("data-dir"));
        named.and_then(Value::as_str).unwrap_or(DEFAULT_DATA)
    }
}

/// What Debian and RPM both call a name. It becomes a word of a command: no blank, and no `-` at its beginning.
fn is_package(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c))
}

/// `6.12.4-1-pve` begins with 6, 12, 4. `None`: with no number.
pub(crate) fn numbers(version: &str) -> Option<Vec<u64>> {
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let parts = version[..end].trim_end_matches('.').split('.');
    parts.map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(options: serde_json::Value) -> String {
        serde_json::from_value::<Params>(options).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (options, said) in [
            (json!({"packages": ["-o"]}), "packages: \"-o\" is not a name"),
            (json!({"packages": ["a b"]}), "packages: \"a b\""),
            (
                json!({"os_version": "trixie"}),
                "os_version: \"trixie\" is not a version",
            ),
            (json!({"min_kernel": ""}), "min_kernel"),
            (json!({"cgroup_version": 3}), "cgroup_version: 3"),
            (
                json!({"allow": ["all"]}),
                "allow: there is no rule all; the rules are nesting, ",
            ),
            (json!({"version": "1.37"}), "\"1.37\" is not a version of k3s"),
            (json!({"package_timeout": 0}), "package_timeout"),
        ] {
            let refused = refused(options);
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_version_is_the_numbers_that_it_begins_with() {
        assert_eq!(numbers("6.12.4-1-pve"), Some(vec![6, 12, 4]));
        assert_eq!(numbers("10"), Some(vec![10]));
        assert_eq!(numbers("6.1.0+deb"), Some(vec![6, 1, 0]));
        assert_eq!(numbers("trixie"), None);
    }
}
