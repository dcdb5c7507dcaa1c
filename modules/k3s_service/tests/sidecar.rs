//! The documentation says what the types do, and the module does what the cases say.

use k3s_service::K3sService;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<K3sService>();
}

#[test]
fn cases() {
    testbed::run_cases::<K3sService>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
