//! An imitated API server behind `kubectl`, whose answers change with time. Its clock is virtual.

use ansible_module::{Call, params, run};
use anyhow::Result;
use cluster_health::ClusterHealth;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

pub(crate) const REFUSED: &str =
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";
pub(crate) const NODES: &str = "/api/v1/nodes";
/// Not a path: a command asks for it.
pub(crate) const RELEASES: &str = "releases";
pub(crate) const PODS: &str = "/api/v1/pods";
pub(crate) const VERSION: &str = "v1.31.4+k3s1";

/// What a path answers, from its second on.
pub(crate) type Phases = Vec<(u64, Said)>;

#[derive(Clone)]
pub(crate) enum Said {
    Document(Value),
    Refused(&'static str),
}

/// An API server behind `kubectl`, whose answers change with time.
pub(crate) struct Cluster {
    answers: BTreeMap<String, Phases>,
    pub(crate) asked: RefCell<Vec<String>>,
    /// Every command with its standard input.
    pub(crate) commands: RefCell<Vec<String>>,
    /// How k3s is installed, as frames; empty: nobody can say.
    pub(crate) node: String,
    elapsed: Cell<Duration>,
    pub(crate) failure: Option<Kind>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let lease = json!({"items": [{"metadata": {"name": "n1"}, "spec": {"renewTime": "2026-01-01T00:00:00Z", "leaseDurationSeconds": 4000}}]});
        let mut cluster = Self {
            answers: BTreeMap::new(),
            asked: RefCell::default(),
            commands: RefCell::default(),
            node: String::new(),
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
        self.answers
            .insert(path.to_owned(), vec![(0, Said::Document(answer))]);
    }

    pub(crate) fn list(&mut self, path: &str, items: &[Value]) {
        self.set(&first(path), json!({"items": items}));
    }

    pub(crate) fn phases(mut self, path: &str, phases: Phases) -> Self {
        self.answers.insert(path.to_owned(), phases);
        self
    }

    pub(crate) fn run(&self, options: Value) -> Value {
        let call = Call::parse(options.to_string().as_bytes()).unwrap();
        let params = params::<ClusterHealth>(&call).unwrap();
        run::<ClusterHealth>(&params, &call, self).into_json()
    }

    fn answer(&self, path: &str) -> Said {
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

    /// Plays the script of questions, or that which reads certificates: there are none.
    fn play(&self, script: &str) -> Output {
        if !script.contains("\na() {") {
            let node = script.contains("/etc/machine-id").then_some(self.node.as_str());
            return Output {
                stdout: format!("{}@end 0\n\n", node.unwrap_or_default()).into_bytes(),
                ..Output::default()
            };
        }
        let mark = script
            .split("printf '\\n%s %s\\n' ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let mut stdout = String::new();
        for line in script.lines() {
            let Some(question) = line.strip_prefix("a ") else {
                continue;
            };
            let asked = question.starts_with("k get secrets ").then_some(RELEASES);
            let (status, document, said) = match asked.or(question.split('\'').nth(1)) {
                // There is no etcd here.
                None => (44, String::new(), String::new()),
                Some(path) => match self.answer(path) {
                    Said::Document(Value::String(text)) => (0, text, String::new()),
                    Said::Document(document) => (0, document.to_string(), String::new()),
                    Said::Refused(said) => (1, String::new(), said.to_owned()),
                },
            };
            writeln!(stdout, "{document}\n{mark} said\n{said}\n{mark} {status}").unwrap();
            if status != 0 && line.ends_with("|| exit 0") {
                break;
            }
        }
        Output {
            stdout: stdout.into_bytes(),
            ..Output::default()
        }
    }
}

impl Host for Cluster {
    fn location(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        if let Some(kind) = self.failure {
            return Err(Failure::new(kind, self.location(), "it is not there").into());
        }
        let stdin = std::str::from_utf8(&command.stdin)?;
        let words = format!("{}\n{stdin}", command.argv.join(" "));
        self.commands.borrow_mut().push(words);
        match command.program() {
            "/bin/sh" => Ok(self.play(stdin)),
            "systemctl" => Ok(Output {
                stdout: b"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n".to_vec(),
                ..Output::default()
            }),
            "journalctl" => Err(Failure::new(Kind::CommandNotFound, self.location(), "no journalctl").into()),
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

pub(crate) fn first(path: &str) -> String {
    format!("{path}?limit=500")
}

pub(crate) fn node(name: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "nodeInfo": {"kubeletVersion": VERSION}},
    })
}

/// A pod that nobody makes anew, not ready since the clock began.
pub(crate) fn pod(name: &str, ready: &str, state: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "demo"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "containerStatuses": [{"name": "app", "state": state}],
        },
    })
}

pub(crate) fn crashing(name: &str) -> Value {
    pod(name, "False", json!({"waiting": {"reason": "CrashLoopBackOff"}}))
}

pub(crate) fn list(items: &[Value]) -> Said {
    Said::Document(json!({"items": items}))
}

pub(crate) fn verdicts(answer: &Value) -> Vec<String> {
    let word = |verdict: &Value, key: &str| verdict[key].as_str().unwrap().to_owned();
    let verdicts = answer["verdicts"].as_array().unwrap().iter();
    verdicts
        .map(|verdict| format!("{} {}", word(verdict, "object"), word(verdict, "reason")))
        .collect()
}
