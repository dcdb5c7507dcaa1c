//! The documentation says what the types do.

use node_remove::NodeRemove;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<NodeRemove>();
}

#[test]
fn cases() {
    testbed::run_cases::<NodeRemove>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
