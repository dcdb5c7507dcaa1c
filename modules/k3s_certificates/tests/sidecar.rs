//! The documentation, held against the types; some answers, through the whole road.

use k3s_certificates::K3sCertificates;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<K3sCertificates>();
}

#[test]
fn transcripts() {
    testbed::run_cases::<K3sCertificates>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
