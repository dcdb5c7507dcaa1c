//! The order of versions is total: of every two, one is older or they are the same, and it has no circles.
#![allow(clippy::unwrap_used)]

use k3s_types::K3sVersion;
use std::cmp::Ordering;

/// Every version of these parts, as k3s numbers its releases.
fn versions() -> Vec<K3sVersion> {
    let mut all = Vec::new();
    for minor in ["1.9", "1.31", "1.36", "2.0"] {
        for patch in ["0", "4", "10"] {
            for before in ["", "-rc1", "-rc2", "-rc10"] {
                for build in ["", "+k3s1", "+k3s2", "+k3s10"] {
                    all.extend(format!("v{minor}.{patch}{before}{build}").parse());
                }
            }
        }
    }
    assert!(all.len() > 100, "{}", all.len());
    all
}

#[test]
fn of_every_three_versions_the_order_has_no_circle() {
    let versions = versions();
    for one in &versions {
        assert_eq!(one.to_string().parse::<K3sVersion>().as_ref(), Ok(one));
        for other in &versions {
            let order = one.cmp(other);
            assert_eq!(order, other.cmp(one).reverse(), "{one} {other}");
            assert_eq!(order == Ordering::Equal, one == other, "{one} {other}");
            assert_eq!(one.partial_cmp(other), Some(order), "{one} {other}");
            for third in &versions {
                if one <= other && other <= third {
                    assert!(one <= third, "{one} {other} {third}");
                }
            }
        }
    }
}

#[test]
fn numbers_count_as_numbers_and_a_candidate_is_older_than_its_release() {
    let sorted = [
        "v1.9.10+k3s1",
        "v1.31.4-rc2+k3s1",
        "v1.31.4+k3s1",
        "v1.31.4+k3s2",
        "v1.31.4+k3s10",
        "v1.31.10+k3s1",
        "v2.0.0+k3s1",
    ];
    let sorted = sorted.map(|text| text.parse::<K3sVersion>().unwrap());
    assert!(sorted.is_sorted(), "{sorted:?}");
}
