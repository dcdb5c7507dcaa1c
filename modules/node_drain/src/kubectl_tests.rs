//! The scripts in a real shell, with a program in kubectl's place.

use super::*;
use crate::samples;
use host::LocalHost;
use testbed::Programs;

/// Notes what it is called with and what it is fed; refuses whatever has `stubborn` in its path.
const PROGRAM: &str = r#"#!/bin/sh
case "$3" in --raw) ;; *) echo "unexpected: $*" >&2; exit 2;; esac
if [ "$2" = get ]; then
  case "$4" in
  *away*) echo "The connection to the server 127.0.0.1:6443 was refused" >&2; exit 1;;
  */pods?limit=1) printf '{"metadata": {"continue": "a b"}, "items": [{"metadata": {"name": "one"}}]}';;
  */pods?limit=1\&continue=a%20b) printf '{"metadata": {}, "items": [{"metadata": {"name": "two"}}]}';;
  *) printf '{"items": null}\n';;
  esac
  exit
fi
printf '%s %s %s\n' "$2" "$4" "$(cat)" >> "${0%/*}/sent"
case "$4" in *stubborn*) printf 'it is\nrefused\n' >&2; exit 1;; esac
printf '{"kind": "Status"}'
"#;

fn setup() -> (Programs, Params) {
    let programs = Programs::new().with("kubectl", PROGRAM);
    let path = programs.folder().join("kubectl");
    let params = samples::params(json!({"kubectl": [path], "grace_period": 5}));
    (programs, params)
}

#[test]
fn documents_come_in_the_order_of_their_paths_and_pages_are_joined() {
    let (_programs, params) = setup();
    let host = LocalHost::new();
    let kubectl = Kubectl::new(&host, &params);
    let mut documents = kubectl
        .read(&["/a".to_owned(), "/pods?limit=1".to_owned(), "/b".to_owned()])
        .unwrap();
    assert!(documents.list::<Value>().unwrap().is_empty());
    let names: Vec<Value> = documents
        .list::<Value>()
        .unwrap()
        .into_iter()
        .map(|pod| pod["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["one", "two"]);
    assert!(documents.list::<Value>().unwrap().is_empty());
    assert!(
        documents
            .one::<Value>()
            .unwrap_err()
            .to_string()
            .contains("the API server's answer")
    );
}

#[test]
fn one_path_that_fails_fails_the_whole_reading() {
    let (_programs, params) = setup();
    let host = LocalHost::new();
    let kubectl = Kubectl::new(&host, &params);
    let error = kubectl
        .read(&["/a".to_owned(), "/away".to_owned(), "/b".to_owned()])
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("ended with status 1: The connection to the server"),
        "{error}"
    );
    assert!(passing(&error));
}

#[test]
fn requests_go_side_by_side_and_only_refusals_say_something() {
    let (programs, params) = setup();
    let host = LocalHost::new();
    let pod = |name: &str| PodId {
        namespace: "demo".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    };
    let mut requests: Vec<Request> = (0..8)
        .map(|number| Request {
            pod: pod(&format!("web-{number}")),
            how: How::Evict,
        })
        .collect();
    requests.push(Request {
        pod: pod("stubborn"),
        how: How::Evict,
    });
    requests.push(Request {
        pod: pod("vault"),
        how: How::Delete,
    });
    let said = Kubectl::new(&host, &params).send(&requests, "policy/v1").unwrap();
    assert_eq!(said, [(8, "it is refused".to_owned())]);

    let sent = std::fs::read_to_string(programs.folder().join("sent")).unwrap();
    assert_eq!(sent.lines().count(), 10, "{sent}");
    let line = |start: &str| sent.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    let eviction: Value =
        serde_json::from_str(line("create /api/v1/namespaces/demo/pods/web-0/eviction ")).unwrap();
    let options = json!({"gracePeriodSeconds": 5, "preconditions": {"uid": "uid-web-0"}});
    let metadata = json!({"name": "web-0", "namespace": "demo"});
    assert_eq!(
        eviction,
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options})
    );
    let deletion: Value = serde_json::from_str(line("delete /api/v1/namespaces/demo/pods/vault ")).unwrap();
    let preconditions = json!({"uid": "uid-vault"});
    assert_eq!(
        deletion,
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 5, "preconditions": preconditions})
    );
}

#[test]
fn a_program_that_is_not_there_is_no_passing_trouble() {
    let host = LocalHost::new();
    let params = samples::params(json!({"kubectl": ["/no/such/kubectl"]}));
    let error = Kubectl::new(&host, &params)
        .patch_node("n1", &json!({}))
        .unwrap_err();
    assert!(!passing(&error), "{error}");
    let error = Kubectl::new(&host, &params)
        .read(&["/a".to_owned()])
        .err()
        .unwrap();
    assert!(
        !passing(&error) && error.to_string().contains("/no/such/kubectl cannot be run"),
        "{error}"
    );
}
