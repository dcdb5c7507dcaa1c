//! A custom resource definition: what its resources are, and where.

use cluster::{Meta, null_is_empty};
use serde::Deserialize;

/// A custom resource definition, without its schemas.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Definition {
    pub(crate) metadata: Meta,
    #[serde(default)]
    pub(crate) spec: DefinitionSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DefinitionSpec {
    pub(crate) group: String,
    pub(crate) names: Names,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) versions: Vec<Version>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Names {
    pub(crate) plural: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) served: bool,
    pub(crate) storage: bool,
}

impl Definition {
    /// The path of all its resources, in the version that they are stored in if that is served. `None`: none is.
    pub(crate) fn list(&self) -> Option<String> {
        let served = || self.spec.versions.iter().filter(|version| version.served);
        let version = served()
            .find(|version| version.storage)
            .or_else(|| served().next())?;
        let DefinitionSpec { group, names, .. } = &self.spec;
        Some(format!("/apis/{group}/{}/{}", version.name, names.plural))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_are_read_in_the_version_that_they_are_stored_in() {
        let definition = |versions| {
            let spec =
                json!({"group": "traefik.io", "names": {"plural": "middlewares"}, "versions": versions});
            let read: Definition = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            read.list()
        };
        let version = |name, served, storage| json!({"name": name, "served": served, "storage": storage});
        assert_eq!(
            definition(json!([version("v1", true, false), version("v2", true, true)])).as_deref(),
            Some("/apis/traefik.io/v2/middlewares")
        );
        assert_eq!(
            definition(json!([version("v1", true, false), version("v2", false, true)])).as_deref(),
            Some("/apis/traefik.io/v1/middlewares")
        );
        assert_eq!(definition(json!(null)), None);
    }
}
