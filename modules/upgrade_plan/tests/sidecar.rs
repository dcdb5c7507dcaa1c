//! The documentation, compared with the types; some answers, from arguments to JSON.

use upgrade_plan::UpgradePlan;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<UpgradePlan>();
}

#[test]
fn transcripts() {
    testbed::run_cases::<UpgradePlan>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
