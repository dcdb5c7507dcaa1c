//! The documentation says what the types do, and the module does what the cases say.

use k3s_config::K3sConfig;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<K3sConfig>();
}

#[test]
fn cases() {
    testbed::run_cases::<K3sConfig>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
