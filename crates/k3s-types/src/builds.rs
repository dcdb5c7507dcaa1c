//! What the builds of k3s carry: the table that `cargo xtask builds` writes and `k3s_version` reads.

use crate::K3sVersion;
use serde::{Deserialize, Serialize};

/// A release of k3s and the published versions of the components inside it, without the leading `v`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub version: K3sVersion,
    /// `None` where no source says.
    pub etcd: Option<String>,
    pub containerd: Option<String>,
    pub runc: Option<String>,
    pub traefik: Option<String>,
    pub coredns: Option<String>,
    pub helm_controller: Option<String>,
    /// Where this was read.
    pub source: Vec<String>,
}

/// A component whose version decides whether an upgrade is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Etcd,
    Traefik,
}

impl Build {
    pub fn component(&self, component: Component) -> Option<&str> {
        match component {
            Component::Etcd => self.etcd.as_deref(),
            Component::Traefik => self.traefik.as_deref(),
        }
    }
}

/// The numbers that a component's version begins with: `3.6.12` of `3.6.12-k3s1`.
pub fn numbers(version: &str) -> Vec<u32> {
    version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_compare_by_number_and_not_by_letter() {
        assert_eq!(numbers("3.6.12-k3s1.36"), [3, 6, 12]);
        assert!(numbers("3.6.7") < numbers("3.6.11") && numbers("3.5.26") < numbers("3.6"));
        assert!(numbers("0.16.1-0.20240502205943-2f32059d43e6") < numbers("0.16.2"));
    }

    #[test]
    fn a_build_is_read_and_written_alike() {
        let text = r#"{"version":"v1.34.12+k3s1","etcd":null,"containerd":"2.2.7-k3s1","runc":null,"traefik":"3.7.13","coredns":null,"helm_controller":null,"source":["https://a.example"]}"#;
        let build: Build = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&build).unwrap(), text);
        assert_eq!(build.component(Component::Traefik), Some("3.7.13"));
        assert_eq!(build.component(Component::Etcd), None);
    }
}
