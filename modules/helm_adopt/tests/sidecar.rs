//! The documentation says what the types do, and the module does what the cases say.

use helm_adopt::HelmAdopt;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<HelmAdopt>();
}

#[test]
fn cases() {
    testbed::run_cases::<HelmAdopt>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
