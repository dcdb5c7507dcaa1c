//! The install record: everything needed to replay, in the container, from before the first change until the
//! proof. While it is there, it and not the files is what was before.

use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{Role, Setup};
use serde::Deserialize;
use serde_json::json;

pub(crate) const FILE: &str = "install-record.json";
/// Where it is then.
pub(crate) const PATH: &str = "/var/lib/homelab-k3s/install-record.json";

/// A newer module may write what this one cannot read.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) setup: Setup,
    /// The version that the interrupted install was for.
    pub(crate) version: String,
    pub(crate) run_id: Option<String>,
    pub(crate) saved_at: u64,
    /// When unit and environment had been written and proven. A k3s that was started later runs as it should.
    pub(crate) proven_at: Option<u64>,
}

#[derive(Deserialize)]
struct Written {
    format: u32,
    version: String,
    run_id: Option<String>,
    saved_at: u64,
    proven_at: Option<u64>,
    role: Role,
    /// Left out by those who knew no other name than the role's.
    name: Option<String>,
    #[serde(default = "default_binary")]
    binary: String,
    args: Vec<String>,
    unit: Option<String>,
    environment: Option<String>,
    enabled: bool,
}

fn default_binary() -> String {
    DEFAULT_BINARY.to_owned()
}

impl Record {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // The error's own text could repeat part of a secret.
        let written: Written = serde_json::from_str(text).map_err(|_| "it is not readable".to_owned())?;
        if written.format != FORMAT {
            return Err(format!(
                "it has format {}, and this module reads format {FORMAT}",
                written.format
            ));
        }
        Ok(Self {
            setup: Setup {
                role: written.role,
                name: written.name.unwrap_or_else(|| written.role.unit().to_owned()),
                binary: written.binary,
                args: written.args,
                unit: written.unit,
                env: written.environment,
                enabled: written.enabled,
            },
            version: written.version,
            run_id: written.run_id,
            saved_at: written.saved_at,
            proven_at: written.proven_at,
        })
    }

    /// The one function where the secrets of a setup become text again: for the file that only root reads.
    pub(crate) fn to_text(&self) -> String {
        let Setup {
            role,
            name,
            binary,
            args,
            unit,
            env,
            enabled,
        } = &self.setup;
        json!({
            "format": FORMAT,
            "version": self.version,
            "run_id": self.run_id,
            "saved_at": self.saved_at,
            "proven_at": self.proven_at,
            "role": role,
            "name": name,
            "binary": binary,
            "args": args,
            "unit": unit,
            "environment": env,
            "enabled": enabled,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let setup = Setup {
            role: Role::Agent,
            name: "k3s-node.service".to_owned(),
            binary: "/opt/bin/k3s".to_owned(),
            args: vec!["--a".to_owned(), "two\nlines".to_owned()],
            unit: None,
            env: Some("K3S_TOKEN=é\n".to_owned()),
            enabled: false,
        };
        let record = Record {
            setup,
            version: "v1.31.5+k3s1".to_owned(),
            run_id: None,
            saved_at: 7,
            proven_at: Some(9),
        };
        assert_eq!(Record::parse(&record.to_text()).as_ref(), Ok(&record));
        let older = record.to_text().replace(r#""name":"k3s-node.service","#, "");
        assert_eq!(Record::parse(&older).unwrap().setup.name, "k3s-agent.service");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_without_its_content() {
        assert!(
            !Record::parse("{\"environment\": \"s3cr3t")
                .unwrap_err()
                .contains("s3cr3t")
        );
        assert!(Record::parse("").is_err());
        let newer = r#"{"format":2,"version":"v","saved_at":1,"role":"agent","args":[],"enabled":true}"#;
        assert!(Record::parse(newer).unwrap_err().contains("format 2"));
    }
}
