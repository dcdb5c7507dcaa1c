//! The documentation says what the types do.

use run_check::RunCheck;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<RunCheck>();
}

#[test]
fn cases() {
    testbed::run_cases::<RunCheck>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
