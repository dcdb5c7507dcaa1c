//! The documentation says what the types do.

use node_drain::NodeDrain;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<NodeDrain>();
}

#[test]
fn cases() {
    testbed::run_cases::<NodeDrain>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
