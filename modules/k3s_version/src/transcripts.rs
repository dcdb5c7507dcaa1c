//! The documentation compared with the types; the transcripts, from arguments to answer.

use crate::{Channels, Reply, Request, VersionCheck};
use anyhow::Result;

/// The channel server of the transcripts.
struct Service;

const CHANNELS: [(&str, &str); 3] = [
    ("/stable", "v1.31.5+k3s1"),
    ("/latest", "v1.32.13+k3s1"),
    ("/v1.31", "v1.31.14+k3s1"),
];

impl Channels for Service {
    fn get(request: &Request) -> Result<Reply> {
        let asked = |(name, _): &&(&str, &str)| request.url.path().ends_with(name);
        if let Some((_, version)) = CHANNELS.iter().find(asked) {
            return Ok(Reply {
                status: 302,
                location: Some(format!("https://github.com/k3s-io/k3s/releases/tag/{version}")),
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
