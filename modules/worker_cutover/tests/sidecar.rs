//! The documentation says what the types do, and the module does what the cases say.

use worker_cutover::WorkerCutover;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<WorkerCutover>();
}

#[test]
fn cases() {
    testbed::run_cases::<WorkerCutover>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
