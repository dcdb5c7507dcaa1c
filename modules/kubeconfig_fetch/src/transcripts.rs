//! The documentation says what the types do, and the module does what the cases say.

use crate::{Api, Cause, KubeconfigFetch, Obstacle, Request};

/// The network of the cases: a host with `unknown` in its name has no address, nobody is left at 192.0.2.*, every other
/// one answers.
struct Network;

impl Api for Network {
    fn ask(request: &Request) -> Result<u16, Obstacle> {
        if request.url.contains("unknown") {
            return Err(Obstacle {
                cause: Cause::Name,
                detail: "no such host".to_owned(),
            });
        }
        if request.url.contains("://192.0.2.") {
            return Err(Obstacle {
                cause: Cause::TimedOut,
                detail: "no answer".to_owned(),
            });
        }
        Ok(200)
    }
}

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<KubeconfigFetch>();
}

#[test]
fn cases() {
    testbed::run_cases::<KubeconfigFetch<Network>>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
