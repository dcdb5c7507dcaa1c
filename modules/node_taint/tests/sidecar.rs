//! The documentation says what the types do.

use node_taint::NodeTaint;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<NodeTaint>();
}

#[test]
fn cases() {
    testbed::run_cases::<NodeTaint>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
