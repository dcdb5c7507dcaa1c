//! The scripts in a real shell, with a program that stands for kubectl.

use super::*;
use crate::samples::{with_kubectl, with_program};
use serde_json::Value;

const PROGRAM: &str = r#"#!/bin/sh
case "$1 $2 $3" in "--request-timeout=3s get --raw") ;; "--request-timeout=3s version --client") exit 0;; *) echo "unexpected: $*" >&2; exit 2;; esac
case "$4" in
*away*) echo "The connection to the server 127.0.0.1:6443 was refused" >&2; exit 1;;
*/pods?limit=1) printf '{"metadata": {"continue": "a b"}, "items": [{"metadata": {"name": "one"}}]}';;
*/pods?limit=1\&continue=a%20b) printf '{"metadata": {}, "items": [{"metadata": {"name": "two"}}]}';;
*) printf '{"items": null}\n';;
esac
"#;

#[test]
fn documents_come_in_the_order_of_their_paths_and_pages_are_joined() {
    with_program(PROGRAM, |kubectl| {
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
    });
}

#[test]
fn fails_the_reading_when_one_path_fails() {
    with_program(PROGRAM, |kubectl| {
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
    });
}

#[test]
fn does_not_retry_a_kubectl_that_fails_whatever_it_is_asked() {
    with_program("#!/bin/sh\necho 'cannot load libc' >&2\nexit 1\n", |kubectl| {
        let error = kubectl.read(&["/a".to_owned()]).err().unwrap();
        assert!(!passing(&error), "{error}");
        assert!(
            error.to_string().contains("cannot be run: cannot load libc"),
            "{error}"
        );
    });
}

#[test]
fn a_host_without_pct_is_not_asked_again() {
    let failed = |kind| anyhow::Error::new(Failure::new(kind, "pve1", "starting pct: not found"));
    assert!(!passing(&failed(Kind::PctMissing)));
    assert!(passing(&failed(Kind::AttachFailed)));
}

#[test]
fn a_program_that_is_not_there_is_no_passing_trouble() {
    with_kubectl("/no/such/kubectl", |kubectl| {
        let error = kubectl.read(&["/a".to_owned()]).err().unwrap();
        assert!(
            !passing(&error) && error.to_string().contains("/no/such/kubectl cannot be run"),
            "{error}"
        );
        let error = kubectl.patch_node::<Value>("n1", &Value::Null).unwrap_err();
        assert!(!passing(&error), "{error}");
    });
}
