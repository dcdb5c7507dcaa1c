//! The documentation says what the types do, and the module does what the cases say.

use k3s_backup::K3sBackup;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<K3sBackup>();
}

#[test]
fn cases() {
    testbed::run_cases::<K3sBackup>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
