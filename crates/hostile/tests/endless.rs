//! Answers without an end, and answers that are small as text and large in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

use cluster::{Kubectl, List, Object, Pod};
use hostile::Liar;
use std::time::Duration;

fn listed(answer: &str) -> String {
    let program = cluster::k3s_kubectl();
    let host = Liar::new(answer.as_bytes());
    let kubectl = Kubectl {
        host: &host,
        program: &program,
        request_timeout: Duration::from_secs(1),
    };
    let read = kubectl.list::<Object>(cluster::pages("/api/v1/pods"));
    format!("{:#}", read.unwrap_err())
}

#[test]
fn refuses_an_api_server_that_always_names_a_further_page() {
    let error = listed("0{\"metadata\": {\"continue\": \"more\"}, \"items\": [{}]}");
    assert!(
        error.contains("/api/v1/pods") && error.contains("it goes on after 300 pages"),
        "{error}"
    );
}

#[test]
fn refuses_more_objects_in_one_answer_than_were_asked_for() {
    let error = listed(&format!("0{{\"items\": [{}]}}", vec!["{}"; 100_000].join(",")));
    assert!(error.contains("more than 20000 objects in one answer"), "{error}");
    let enough = format!("{{\"items\": [{}]}}", vec!["{}"; 20_000].join(","));
    assert_eq!(
        serde_json::from_str::<List<Pod>>(&enough).unwrap().items.len(),
        20_000
    );
    assert!(
        serde_json::from_str::<List<Pod>>("{\"items\": null}")
            .unwrap()
            .items
            .is_empty()
    );
}
