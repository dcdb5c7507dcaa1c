//! The documentation says what the types do, and the module does what the cases say.

use etcd_member::EtcdMember;

#[test]
fn the_sidecar_describes_the_options() {
    testbed::assert_sidecar_describes::<EtcdMember>();
}

#[test]
fn cases() {
    testbed::run_cases::<EtcdMember>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
}
