//! The documentation says what the types do.

use ha_report::HaReport;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<HaReport>();
}

#[test]
fn cases() {
    testbed::run_cases::<HaReport>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
