//! The documentation says what the types do.

use pct_exec::PctExec;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<PctExec>();
}

#[test]
fn cases() {
    testbed::run_cases::<PctExec>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
