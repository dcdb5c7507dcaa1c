//! The script in a real shell, with a program that stands for kubectl.

use super::*;
use crate::samples::{with_kubectl, with_program};
use host::{Failure, Kind};
use serde_json::Value;

const PROGRAM: &str = r#"#!/bin/sh
case "$*" in
"--request-timeout=3s get --raw /readyz?verbose") printf '[+]ping ok\nreadyz check passed\n';;
"--request-timeout=3s get --raw /down") printf 'The connection\nwas refused\n' >&2; exit 1;;
"--request-timeout=3s get --raw /list") echo '{"items": [1]}';;
"--request-timeout=3s get --raw /half") printf '{"items": [';;
"--request-timeout=3s --server http://else get --raw /health") printf '{"health":"true"}';;
*) echo "unexpected: $*" >&2; exit 2;;
esac
"#;

#[test]
fn each_question_has_its_own_answer() {
    with_program(PROGRAM, |kubectl| {
        let answers = Questions::new(kubectl)
            .with("e() { k --server http://else get --raw \"$1\"; }\n")
            .path("/readyz?verbose")
            .path("/down")
            .path("/list")
            .path("/half")
            .command("etcd", "e /health")
            .ask("asking")
            .unwrap();
        let answer = |number| answers.get(number).unwrap();
        assert_eq!(answer(0).text().trim(), "[+]ping ok\nreadyz check passed");
        assert_eq!(
            (answer(1).status, answer(1).said),
            (1, "The connection\nwas refused")
        );
        assert_eq!(answer(2).parse::<Value>().unwrap()["items"][0], 1);
        assert_eq!(answer(4).parse::<Value>().unwrap()["health"], "true");
        assert!(answers.get(5).is_none());

        let refused = answer(1).parse::<Value>().unwrap_err().to_string();
        assert_eq!(refused, "/down ended with status 1: The connection\nwas refused");
        let half = answer(3).parse::<Value>().unwrap_err().to_string();
        assert_eq!(half, "reading the answer to /half");
    });
}

#[test]
fn where_the_server_is_down_it_is_not_asked_on_and_on() {
    with_program(PROGRAM, |kubectl| {
        let answers = Questions::new(kubectl)
            .path("/down")
            .path("/down")
            .or_end()
            .path("/list")
            .ask("asking")
            .unwrap();
        assert!(answers.get(1).is_some() && answers.get(2).is_none());
    });
}

#[test]
fn reports_a_missing_program() {
    with_kubectl("/no/such/kubectl", |kubectl| {
        let error = Questions::new(kubectl).path("/list").ask("asking").err().unwrap();
        assert_eq!(Failure::of(&error).unwrap().kind, Kind::CommandNotFound);
        assert!(
            error.to_string().contains("/no/such/kubectl cannot be run"),
            "{error}"
        );
    });
}

#[test]
fn what_is_said_is_bounded() {
    with_program(
        "#!/bin/sh\nhead -c 10000 /dev/zero | tr '\\0' x >&2\nexit 1\n",
        |kubectl| {
            let answers = Questions::new(kubectl).path("/list").ask("asking").unwrap();
            assert_eq!(answers.get(0).unwrap().said.len(), SAID);
        },
    );
}
