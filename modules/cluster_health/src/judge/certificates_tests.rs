use crate::samples::{cluster, now};
use crate::state::Seen;
use k3s_certs::testing::{Authority, Leaf, NOW};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// A node whose leaf ends after so many days, with its authority behind it in two files.
fn with_leaf(from: i64, until: i64) -> Seen {
    assert_eq!(SystemTime::UNIX_EPOCH + NOW, now());
    let authority = Authority::new("k3s-server-ca@1");
    let leaf = authority.sign(
        &Leaf::new("system:admin")
            .organization("system:masters")
            .days(from, until),
    );
    let mut seen = cluster();
    seen.certificates.pem(
        "/tls/client-admin.crt",
        None,
        (leaf.pem + &authority.pem).as_bytes(),
    );
    seen.certificates
        .pem("/tls/server-ca.crt", None, authority.pem.as_bytes());
    seen
}

#[test]
fn reports_certificates_before_and_after_they_expire() {
    let admin = "Certificate CN=system:admin,O=system:masters";
    let table = [
        (-1, 31, None),
        (-1, 30, Some(format!("warning {admin}: ExpiresSoon"))),
        (-365, -1, Some(format!("error {admin}: Expired"))),
        (1, 365, Some(format!("error {admin}: NotYetValid"))),
    ];
    for (from, until, expected) in table {
        let expected: Vec<String> = expected.into_iter().collect();
        assert_eq!(
            with_leaf(from, until).verdicts(json!({})),
            expected,
            "{from} {until}"
        );
    }
    let soon = json!({"certificate_warn_days": 60});
    assert_eq!(
        with_leaf(-1, 31).verdicts(soon),
        [format!("warning {admin}: ExpiresSoon")]
    );
}

#[test]
fn one_certificate_in_many_files_is_one() {
    let mut seen = with_leaf(-1, 300);
    seen.now += Duration::from_hours(24 * 20 * 365);
    assert_eq!(
        seen.verdicts(json!({"ignore": [{"kind": "Node"}]})),
        [
            "error Certificate CN=k3s-server-ca@1: Expired",
            "error Certificate CN=system:admin,O=system:masters: Expired"
        ]
    );
}

#[test]
fn reports_expired_certificates_beside_a_silent_api() {
    let mut seen = with_leaf(-365, -1);
    seen.api.version = None;
    assert_eq!(
        seen.verdicts(json!({})),
        [
            "error Api kube-apiserver: Unreachable",
            "error Certificate CN=system:admin,O=system:masters: Expired"
        ]
    );
}

#[test]
fn ignores_leftover_certificates_and_reports_unreadable_ones() {
    let ended = Authority::new("ca").sign(&Leaf::new("ccm").days(-365, -1)).pem;
    let well = Authority::new("ca").sign(&Leaf::new("ccm").days(-1, 300)).pem;
    let mut seen = cluster();
    seen.certificates
        .pem("/tls/client-cloud-controller.crt", None, ended.as_bytes());
    assert_eq!(seen.verdicts(json!({})), ["error Certificate CN=ccm: Expired"]);
    seen.certificates
        .pem("/tls/client-k3s-cloud-controller.crt", None, well.as_bytes());
    assert!(seen.verdicts(json!({})).is_empty());
    seen.certificates.fault("/tls/x.crt", "it is empty");
    assert_eq!(
        seen.verdicts(json!({})),
        ["warning Certificate /tls/x.crt: CannotBeRead"]
    );
}
