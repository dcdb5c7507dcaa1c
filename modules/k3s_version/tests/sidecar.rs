//! The documentation compared with the types; the transcripts, from arguments to answer.

use anyhow::Result;
use k3s_version::{Channels, Reply, Request, VersionCheck};

/// The channel server of the transcripts: `stable` stands at v1.31.5+k3s1, there is nothing else.
struct Service;

impl Channels for Service {
    fn get(request: &Request) -> Result<Reply> {
        if request.url.path().ends_with("/stable") {
            let location = Some("https://github.com/k3s-io/k3s/releases/tag/v1.31.5+k3s1".to_owned());
            return Ok(Reply {
                status: 302,
                location,
                ..Reply::default()
            });
        }
        Ok(Reply {
            status: 404,
            ..Reply::default()
        })
    }
}

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<VersionCheck>();
}

#[test]
fn transcripts() {
    testbed::run_cases::<VersionCheck<Service>>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
