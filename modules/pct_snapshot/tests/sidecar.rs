//! The documentation says what the types do, and the module does what the cases say.

use pct_snapshot::PctSnapshot;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<PctSnapshot>();
}

#[test]
fn cases() {
    testbed::run_cases::<PctSnapshot>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
