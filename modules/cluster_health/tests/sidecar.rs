//! The documentation says what the types do.

use cluster_health::ClusterHealth;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<ClusterHealth>();
}

#[test]
fn cases() {
    testbed::run_cases::<ClusterHealth>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
