//! A container's configuration in effect.

use super::{QUERY_LIMIT, call, missing, says_missing};
use crate::Host;
use anyhow::Result;

/// The lines `key: value` of `pct config --current 1`: what is pending is not in effect. Raw `lxc.*` keys may come more
/// than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    lines: Vec<(String, String)>,
}

pub fn config(host: &dyn Host, vmid: u32) -> Result<Config> {
    let doing = format!("reading the configuration of container {vmid}");
    let argv = ["config", &vmid.to_string(), "--current", "1"];
    let output = call(host, &argv, QUERY_LIMIT, &doing)?;
    if !output.ok() && says_missing(&output, vmid) {
        return Err(missing(host, vmid).into());
    }
    Ok(Config::parse(&output.succeed(&host.location(), &doing)?.text()))
}

/// Where Proxmox keeps it, and where raw lines have to be written by hand.
pub fn config_path(vmid: u32) -> String {
    format!("/etc/pve/lxc/{vmid}.conf")
}

impl Config {
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (key, value) = line.split_once(':')?;
            Some((key.trim().to_owned(), unquoted(value.trim()).to_owned()))
        };
        Self {
            lines: text.lines().filter_map(pair).collect(),
        }
    }

    /// The last value of a key; it is what counts.
    pub fn value(&self, key: &str) -> Option<&str> {
        let lines = self.lines.iter().rev();
        lines
            .filter(|(found, _)| found == key)
            .map(|(_, value)| value.as_str())
            .next()
    }

    /// Whether a key that may come several times is given with this word among its values.
    pub fn has_word(&self, key: &str, word: &str) -> bool {
        self.lines
            .iter()
            .any(|(found, value)| found == key && value.split_whitespace().any(|one| one == word))
    }

    pub fn is_unprivileged(&self) -> bool {
        self.value("unprivileged") == Some("1")
    }

    /// `features: keyctl=1,nesting=1`.
    pub fn has_feature(&self, name: &str) -> bool {
        let features = self.value("features").unwrap_or_default();
        features
            .split(',')
            .any(|feature| feature.trim().strip_prefix(name) == Some("=1"))
    }
}

/// LXC takes a matching pair of quotes off a value.
fn unquoted(value: &str) -> &str {
    let pair = ['"', '\''].into_iter().find_map(|quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    });
    pair.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_by_key() {
        let config = Config::parse(
            "arch: amd64\nfeatures: keyctl=1, nesting=1,fuse=0\nunprivileged: 1\nlxc.mount.auto: \"proc:rw sys:rw\"\n\
             lxc.mount.entry: /a a none bind 0 0\nlxc.cap.drop: \nlxc.mount.entry: /b b none bind 0 0\n",
        );
        assert!(config.is_unprivileged());
        assert!(config.has_feature("nesting") && config.has_feature("keyctl") && !config.has_feature("fuse"));
        assert!(config.has_word("lxc.mount.auto", "proc:rw") && !config.has_word("lxc.mount.auto", "proc"));
        assert!(config.has_word("lxc.mount.entry", "/a") && config.has_word("lxc.mount.entry", "/b"));
        assert_eq!(config.value("lxc.cap.drop"), Some(""));
        assert_eq!(config.value("lxc.apparmor.profile"), None);
    }

    #[test]
    fn a_feature_is_not_its_name_s_beginning() {
        let config = Config::parse("features: nesting=10\n");
        assert!(!config.has_feature("nest") && !config.has_feature("nesting"));
    }
}
