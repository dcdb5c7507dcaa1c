//! Answers without an end, and answers that are small as text and large in memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests, which measure the time"
)]

mod common;

use cluster::{Kubectl, List, Object, Pod};
use common::used;
use hostile::HostileHost;
use std::time::Duration;

fn listed(answer: &str) -> String {
    let program = cluster::k3s_kubectl();
    let host = HostileHost::new(answer.as_bytes());
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

/// A kubeconfig of so many clusters that arrives, and is merged into another one like it.
fn many(clusters: usize) -> Vec<u8> {
    let list = |key: &str, kind: &str, value: &str| {
        let item = |number: usize| format!("- {{name: n{number}, {kind}: {{{value}}}}}");
        let items: Vec<String> = (0..clusters).map(item).collect();
        format!("{key}:\n{}\n", items.join("\n"))
    };
    let text = list("clusters", "cluster", "server: \"https://x:1\"")
        + &list("users", "user", "token: abc")
        + &list("contexts", "context", "cluster: n1, user: n1");
    text.into_bytes()
}

#[test]
fn kubeconfigs_of_many_clusters_and_keys_are_read_in_moments() {
    let seeds = (hostile::target("kubeconfig").seeds)();
    let arriving = seeds
        .iter()
        .map(|seed| seed.split(|byte| *byte == 0x1c).next().unwrap_or_default())
        .find(|content| String::from_utf8_lossy(content).contains("client-key-data"))
        .unwrap_or_default()
        .to_vec();
    assert!(!arriving.is_empty());
    let keys: Vec<String> = (0..48_000).map(|number| format!("k{number}: 1")).collect();
    // Of 12,000 clusters there are more values than a kubeconfig may have: that is said at once too.
    for dest in [many(5_000), many(12_000), keys.join("\n").into_bytes()] {
        let input = [arriving.as_slice(), &dest].join(&0x1c);
        let before = used();
        (hostile::target("kubeconfig").run)(&input);
        (hostile::target("yaml").run)(&dest);
        let took = used().saturating_sub(before);
        eprintln!("{} bytes: {took:?}", dest.len());
        // Quadratic, the first of them took half a minute.
        assert!(took < Duration::from_secs(20), "{} bytes: {took:?}", dest.len());
    }
}
