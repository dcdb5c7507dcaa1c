//! The documentation says what the types do; transcripts of whole runs.

use k3s_install::K3sInstall;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<K3sInstall>();
}

#[test]
fn cases() {
    testbed::run_cases::<K3sInstall>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
