//! Looks at an imitated cluster, in virtual time: waiting, paging, and what cannot be had.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ansible_module::{Call, params, run};
use anyhow::Result;
use cluster_health::ClusterHealth;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

const REFUSED: &str =
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";
const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/pods";
const VERSION: &str = "v1.31.4+k3s1";

/// What a path answers, from its second on.
type Phases = Vec<(u64, Result<Value, String>)>;

/// An API server behind `kubectl`, whose answers change with time.
struct Cluster {
    answers: BTreeMap<String, Phases>,
    asked: RefCell<Vec<String>>,
    elapsed: Cell<Duration>,
    failure: Option<Kind>,
}

impl Cluster {
    fn new() -> Self {
        let lease = json!({"items": [{"metadata": {"name": "n1"}, "spec": {"renewTime": "2026-01-01T00:00:00Z", "leaseDurationSeconds": 4000}}]});
        let mut cluster = Self {
            answers: BTreeMap::new(),
            asked: RefCell::default(),
            elapsed: Cell::default(),
            failure: None,
        };
        cluster.set("/readyz?verbose", json!("[+]ping ok\nreadyz check passed\n"));
        cluster.set("/version", json!({"gitVersion": VERSION}));
        cluster.set("/apis", json!({"groups": []}));
        cluster.list(NODES, &[node("n1", "True")]);
        cluster.set(
            &first("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"),
            lease,
        );
        for path in [
            PODS,
            "/apis/apps/v1/deployments",
            "/apis/apps/v1/statefulsets",
            "/apis/apps/v1/daemonsets",
            "/apis/batch/v1/jobs",
        ] {
            cluster.list(path, &[]);
        }
        cluster
    }

    fn set(&mut self, path: &str, answer: Value) {
        self.answers.insert(path.to_owned(), vec![(0, Ok(answer))]);
    }

    fn list(&mut self, path: &str, items: &[Value]) {
        self.set(&first(path), json!({"items": items}));
    }

    fn phases(mut self, path: &str, phases: Phases) -> Self {
        self.answers.insert(path.to_owned(), phases);
        self
    }

    fn run(&self, options: Value) -> Value {
        let call = Call::parse(options.to_string().as_bytes()).unwrap();
        let params = params::<ClusterHealth>(&call).unwrap();
        run::<ClusterHealth>(&params, &call, self).into_json()
    }

    fn answer(&self, path: &str) -> Result<Value, String> {
        self.asked.borrow_mut().push(path.to_owned());
        let phases = self
            .answers
            .get(path)
            .unwrap_or_else(|| panic!("unexpected: {path}"));
        let now = self.elapsed.get().as_secs();
        phases
            .iter()
            .rev()
            .find(|(from, _)| *from <= now)
            .unwrap()
            .1
            .clone()
    }

    /// Plays the script of questions.
    fn play(&self, script: &str) -> Output {
        let mark = script
            .split("printf '\\n%s %s\\n' ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for line in script.lines() {
            let Some(question) = line.strip_prefix("a ") else {
                continue;
            };
            let (status, document, said) = match question.split('\'').nth(1) {
                // There is no etcd here.
                None => (44, String::new(), String::new()),
                Some(path) => match self.answer(path) {
                    Ok(Value::String(text)) => (0, text, String::new()),
                    Ok(document) => (0, document.to_string(), String::new()),
                    Err(said) => (1, String::new(), said),
                },
            };
            writeln!(stdout, "{document}\n{mark} {status}").unwrap();
            writeln!(stderr, "{said}\n{mark}").unwrap();
            if status != 0 && line.ends_with("|| exit 0") {
                break;
            }
        }
        Output {
            stdout: stdout.into_bytes(),
            stderr: stderr.into_bytes(),
            ..Output::default()
        }
    }
}

impl Host for Cluster {
    fn place(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        if let Some(kind) = self.failure {
            return Err(Failure::new(kind, self.place(), "it is not there").into());
        }
        match command.program() {
            "/bin/sh" => Ok(self.play(std::str::from_utf8(&command.stdin)?)),
            "systemctl" => Ok(Output {
                stdout: b"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n".to_vec(),
                ..Output::default()
            }),
            "journalctl" => Err(Failure::new(Kind::CommandNotFound, self.place(), "no journalctl").into()),
            other => panic!("unexpected: {other}"),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        panic!("unexpected: read {path}")
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        panic!("unexpected: write {}", file.path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        panic!("unexpected: remove {path}")
    }

    fn now(&self) -> SystemTime {
        // 2026-01-01T00:00:00Z
        SystemTime::UNIX_EPOCH + Duration::from_hours(490_896) + self.elapsed.get()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        self.elapsed.set(self.elapsed.get() + duration);
    }

    fn unique(&self) -> String {
        "mark".to_owned()
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _: &LockRequest) -> Result<Held> {
        panic!("nothing is changed, so nobody is waited for")
    }
}

fn first(path: &str) -> String {
    format!("{path}?limit=500")
}

fn node(name: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "nodeInfo": {"kubeletVersion": VERSION}},
    })
}

/// A pod that nobody makes anew, not ready since the clock began.
fn pod(name: &str, ready: &str, state: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "demo"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "containerStatuses": [{"name": "app", "state": state}],
        },
    })
}

fn crashing(name: &str) -> Value {
    pod(name, "False", json!({"waiting": {"reason": "CrashLoopBackOff"}}))
}

fn list(items: &[Value]) -> Result<Value, String> {
    Ok(json!({"items": items}))
}

fn verdicts(answer: &Value) -> Vec<String> {
    let word = |verdict: &Value, key: &str| verdict[key].as_str().unwrap().to_owned();
    let verdicts = answer["verdicts"].as_array().unwrap().iter();
    verdicts
        .map(|verdict| format!("{} {}", word(verdict, "object"), word(verdict, "reason")))
        .collect()
}

#[test]
fn a_pod_that_recovers_within_the_wait_passes() {
    let well = pod("web", "True", json!({"running": {}}));
    let cluster = Cluster::new().phases(
        &first(PODS),
        vec![(0, list(&[crashing("web")])), (12, list(&[well]))],
    );
    let answer = cluster.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["failed"], &answer["healthy"]),
        (&json!(false), &json!(true)),
        "{answer:#}"
    );
    assert_eq!(answer["waited"], 15.0);
}

#[test]
fn what_is_still_wrong_when_the_wait_is_over_is_told() {
    let cluster = Cluster::new().phases(&first(PODS), vec![(0, list(&[crashing("web")]))]);
    let answer = cluster.run(json!({"wait": 60, "interval": 20}));
    assert_eq!(
        (&answer["failed"], &answer["waited"]),
        (&json!(true), &json!(60.0)),
        "{answer:#}"
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("found trouble after 60 s of waiting: Pod demo/web: CrashLoopBackOff: container app"),
        "{msg}"
    );
    let looks = cluster
        .asked
        .borrow()
        .iter()
        .filter(|path| *path == "/version")
        .count();
    assert_eq!(looks, 4, "at 0, 20, 40 and 60 s");
}

#[test]
fn what_is_about_to_start_is_waited_for_and_fails_nothing() {
    let starting = pod("web", "False", json!({"running": {}}));
    let well = pod("web", "True", json!({"running": {}}));
    let cluster = Cluster::new().phases(
        &first(PODS),
        vec![(0, list(&[starting.clone()])), (12, list(&[well]))],
    );
    assert_eq!(cluster.run(json!({"wait": 60}))["waited"], 15.0);

    let never = Cluster::new().phases(&first(PODS), vec![(0, list(&[starting]))]);
    let answer = never.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["failed"], &answer["waited"]),
        (&json!(false), &json!(60.0)),
        "{answer:#}"
    );
    assert_eq!(answer["counts"]["settling"], 1);
    // Without a wait, one look is enough.
    assert_eq!(never.run(json!({}))["waited"], 0.0);
}

#[test]
fn an_election_is_waited_for() {
    let away = || Err("Error from server: etcdserver: request timed out".to_owned());
    let cluster = Cluster::new().phases(
        "/version",
        vec![(0, away()), (20, Ok(json!({"gitVersion": VERSION})))],
    );
    let answer = cluster.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["healthy"], &answer["waited"]),
        (&json!(true), &json!(20.0)),
        "{answer:#}"
    );
}

#[test]
fn known_trouble_is_not_waited_for() {
    let before = Cluster::new()
        .phases(&first(PODS), vec![(0, list(&[crashing("web")]))])
        .run(json!({"fail_on": "never"}));
    assert_eq!(
        (&before["failed"], &before["healthy"]),
        (&json!(false), &json!(false))
    );
    let cluster = Cluster::new().phases(&first(PODS), vec![(0, list(&[crashing("web")]))]);
    let answer = cluster.run(json!({"wait": 60, "baseline": before}));
    assert_eq!(
        (&answer["healthy"], &answer["waited"]),
        (&json!(true), &json!(0.0)),
        "{answer:#}"
    );
    assert_eq!(answer["verdicts"][0]["before"], 1);
}

#[test]
fn lists_are_read_to_their_last_page() {
    let page = |items: &[Value], next: &str| Ok(json!({"items": items, "metadata": {"continue": next}}));
    let cluster = Cluster::new()
        .phases(&first(PODS), vec![(0, page(&[crashing("a")], "x/1"))])
        .phases(
            &format!("{}&continue=x%2F1", first(PODS)),
            vec![(0, page(&[crashing("b")], "x/2"))],
        )
        .phases(
            &format!("{}&continue=x%2F2", first(PODS)),
            vec![(0, page(&[crashing("c")], ""))],
        )
        .phases(&first(NODES), vec![(0, page(&[node("n1", "True")], "n"))])
        .phases(
            &format!("{}&continue=n", first(NODES)),
            vec![(0, page(&[node("n2", "False")], ""))],
        );
    let answer = cluster.run(json!({}));
    assert_eq!(
        verdicts(&answer),
        [
            "n2 NotReady",
            "a CrashLoopBackOff",
            "b CrashLoopBackOff",
            "c CrashLoopBackOff"
        ]
    );
    assert_eq!(
        (&answer["counts"]["pods"], &answer["counts"]["nodes"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn a_kind_that_cannot_be_read_is_told_beside_the_others() {
    let refused = || Err("Error from server (InternalError): an error".to_owned());
    let cluster = Cluster::new()
        .phases(&first(PODS), vec![(0, refused())])
        .phases(&first("/apis/batch/v1/jobs"), vec![(0, Ok(json!("no JSON")))])
        .phases(&first(NODES), vec![(0, list(&[node("n1", "False")]))]);
    let answer = cluster.run(json!({}));
    assert_eq!(
        verdicts(&answer),
        ["jobs CannotBeRead", "pods CannotBeRead", "n1 NotReady"]
    );
    assert_eq!(
        (&answer["failed"], &answer["complete"]),
        (&json!(true), &json!(false))
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("/api/v1/pods?limit=500 ended with status 1: Error from server (InternalError)"),
        "{msg}"
    );
}

#[test]
fn a_server_that_is_down_is_asked_no_further() {
    let down = || vec![(0, Err(REFUSED.to_owned()))];
    let cluster = Cluster::new()
        .phases("/readyz?verbose", down())
        .phases("/version", down());
    let answer = cluster.run(json!({"fail_on": "never"}));
    assert_eq!(*cluster.asked.borrow(), ["/readyz?verbose", "/version"]);
    assert_eq!(verdicts(&answer), ["kube-apiserver Unreachable"]);
    assert_eq!(
        (&answer["failed"], &answer["healthy"], &answer["complete"]),
        (&json!(false), &json!(false), &json!(false))
    );
    assert_eq!(
        (&answer["api"]["said"], &answer["api"]["service"]["active"]),
        (&json!(REFUSED), &json!("failed"))
    );
}

#[test]
fn a_server_that_is_not_ready_is_read_all_the_same() {
    let said = r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed") has prevented the request from succeeding"#;
    let cluster = Cluster::new().phases("/readyz?verbose", vec![(0, Err(said.to_owned()))]);
    let answer = cluster.run(json!({}));
    assert_eq!(verdicts(&answer), ["etcd CheckFailed"]);
    assert_eq!(
        (&answer["api"]["checks"], &answer["api"]["checks_failed"]),
        (&json!(2), &json!(["etcd"]))
    );
    assert_eq!(answer["counts"]["nodes"], 1);
}

#[test]
fn a_container_that_is_out_of_reach_is_an_answer_too() {
    for kind in [Kind::ContainerStopped, Kind::ContainerMissing, Kind::TimedOut] {
        let mut cluster = Cluster::new();
        cluster.failure = Some(kind);
        let answer = cluster.run(json!({}));
        assert_eq!(
            (&answer["failed"], verdicts(&answer)),
            (&json!(true), vec!["kube-apiserver Unreachable".to_owned()])
        );
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains("nothing can be asked: container 101 on pve1: it is not there"),
            "{msg}"
        );
        assert_eq!(answer["api"]["failure"], json!(kind));
    }
}

#[test]
fn what_k3s_brings_along_is_asked_for_where_it_is_served() {
    let addons = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons";
    let charts = "/apis/helm.cattle.io/v1/helmcharts";
    let addon = json!({"metadata": {"name": "coredns", "namespace": "kube-system"}});
    let chart = json!({"metadata": {"name": "traefik", "namespace": "kube-system"}});
    let cluster = Cluster::new()
        .phases(
            "/apis",
            vec![(
                0,
                Ok(json!({"groups": [{"name": "k3s.cattle.io"}, {"name": "helm.cattle.io"}]})),
            )],
        )
        .phases(&first(addons), vec![(0, list(&[addon]))])
        .phases(&first(charts), vec![(0, list(&[chart]))]);
    assert_eq!(
        verdicts(&cluster.run(json!({}))),
        ["coredns Missing", "traefik Missing"]
    );
}
