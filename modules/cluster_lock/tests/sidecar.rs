//! The documentation says what the types do, and the module does what the cases say.

use cluster_lock::ClusterLock;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<ClusterLock>();
}

#[test]
fn cases() {
    testbed::run_cases::<ClusterLock>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
