//! The documentation says what the types do.

use preflight::Preflight;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<Preflight>();
}

#[test]
fn cases() {
    testbed::run_cases::<Preflight>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
