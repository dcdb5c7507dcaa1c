//! A small working imitation of a cluster behind `kubectl`: nodes, pods that take time to end and to start,
//! budgets that are kept, an API server that goes away. Its clock is virtual.

use crate::world::{COMMAND, Inner, Pod, REFUSED, start};
use ansible_module::{Call, params, run};
use anyhow::Result;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use node_drain::NodeDrain;
use node_drain::cordon::Record;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

pub(crate) const OURS: &str = Record::ANNOTATION;

pub(crate) struct Cluster {
    inner: RefCell<Inner>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let node = |name: &str| {
            let labels = json!({"kubernetes.io/hostname": name});
            let node = json!({
                "metadata": {"name": name, "resourceVersion": "1", "labels": labels, "annotations": {}},
                "spec": {},
                "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
            });
            (name.to_owned(), node)
        };
        let inner = Inner {
            nodes: [node("n1"), node("n2")].into(),
            page: 100,
            away: (-1.0, -1.0),
            ..Inner::default()
        };
        Self {
            inner: RefCell::new(inner),
        }
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        change(&mut self.inner.borrow_mut());
        self
    }

    pub(crate) fn deployment(self, name: &str, replicas: usize, nodes: &[&str]) -> Self {
        self.with(|inner| {
            inner.deployments.insert(name.to_owned(), replicas);
            for (number, node) in nodes.iter().enumerate() {
                inner.pods.push(Pod {
                    name: format!("{name}-{}", number + 1),
                    owner: Some(("ReplicaSet", name.to_owned())),
                    node: Some((*node).to_owned()),
                    ..Pod::default()
                });
            }
        })
    }

    pub(crate) fn daemonset(self, name: &str) -> Self {
        self.with(|inner| {
            let owner = Some(("DaemonSet", name.to_owned()));
            inner.pods.push(Pod {
                name: format!("{name}-1"),
                owner,
                node: Some("n1".to_owned()),
                ..Pod::default()
            });
        })
    }

    pub(crate) fn naked(self, name: &str, node: &str) -> Self {
        self.add_naked(name, node);
        self
    }

    pub(crate) fn add_naked(&self, name: &str, node: &str) {
        let pod = Pod {
            name: name.to_owned(),
            node: Some(node.to_owned()),
            ..Pod::default()
        };
        self.inner.borrow_mut().pods.push(pod);
    }

    pub(crate) fn budget(self, deployment: &str, min_available: usize) -> Self {
        self.with(|inner| {
            inner.budgets.insert(deployment.to_owned(), min_available);
        })
    }

    fn change(self, pod: &str, change: fn(&mut Pod)) -> Self {
        self.with(|inner| {
            let pod = inner.pods.iter_mut().find(|other| other.name == pod);
            change(pod.unwrap());
        })
    }

    pub(crate) fn pin(self, pod: &str) -> Self {
        self.change(pod, |pod| pod.pinned = true)
    }

    pub(crate) fn stuck(self, pod: &str) -> Self {
        self.change(pod, |pod| pod.stuck = true)
    }

    pub(crate) fn not_ready(self, node: &str) -> Self {
        let unknown = json!([{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]);
        self.with(|inner| inner.nodes.get_mut(node).unwrap()["status"]["conditions"] = unknown)
    }

    pub(crate) fn away(self, from: f64, until: f64) -> Self {
        self.with(|inner| inner.away = (from, until))
    }

    pub(crate) fn hangs(self, from: f64, until: f64) -> Self {
        self.away(from, until).with(|inner| inner.hangs = true)
    }

    pub(crate) fn storm(self) -> Self {
        self.with(|inner| inner.storm = true)
    }

    pub(crate) fn budgets_twice(self) -> Self {
        self.with(|inner| inner.twice = true)
    }

    pub(crate) fn conflicts(self, count: usize) -> Self {
        self.with(|inner| inner.conflicts = count)
    }

    pub(crate) fn loses_an_answer(self) -> Self {
        self.with(|inner| inner.loses_an_answer = true)
    }

    pub(crate) fn pages_of(self, count: usize) -> Self {
        self.with(|inner| inner.page = count)
    }

    pub(crate) fn at_first_patch(&self, hook: impl Fn(&Self) + 'static) {
        self.inner.borrow_mut().at_first_patch = Some(Box::new(hook));
    }

    pub(crate) fn scale(&self, deployment: &str, replicas: usize) {
        self.inner
            .borrow_mut()
            .deployments
            .insert(deployment.to_owned(), replicas);
    }

    pub(crate) fn operator_cordons(&self, node: &str) {
        self.inner.borrow_mut().nodes.get_mut(node).unwrap()["spec"]["unschedulable"] = true.into();
    }

    pub(crate) fn annotate(&self, node: &str, key: &str, value: &str) {
        self.inner.borrow_mut().nodes.get_mut(node).unwrap()["metadata"]["annotations"][key] = value.into();
    }

    pub(crate) fn unschedulable(&self, node: &str) -> bool {
        self.inner.borrow().nodes[node]["spec"]["unschedulable"] == true
    }

    pub(crate) fn record(&self, node: &str) -> Option<Value> {
        let text = self.inner.borrow().nodes[node]["metadata"]["annotations"][OURS]
            .as_str()?
            .to_owned();
        serde_json::from_str(&text).ok()
    }

    /// The pods on a node, those that are going included.
    pub(crate) fn on(&self, node: &str) -> Vec<String> {
        self.inner
            .borrow()
            .pods
            .iter()
            .filter(|pod| pod.node.as_deref() == Some(node))
            .map(|pod| pod.name.clone())
            .collect()
    }

    pub(crate) fn ready(&self, deployment: &str) -> usize {
        self.inner.borrow().ready(deployment)
    }

    pub(crate) fn least_ready(&self, deployment: &str) -> usize {
        self.inner.borrow().least_ready[deployment]
    }

    pub(crate) fn changes(&self) -> usize {
        self.inner.borrow().changes
    }

    pub(crate) fn last_body(&self) -> Value {
        self.inner.borrow().last_body.clone()
    }

    pub(crate) fn run(&self, arguments: &Value) -> Value {
        let call = Call::parse(arguments.to_string().as_bytes()).unwrap();
        let params = params::<NodeDrain>(&call).unwrap();
        run::<NodeDrain>(&params, &call, self).into_json()
    }

    pub(crate) fn elapsed(&self) -> f64 {
        self.inner.borrow().clock
    }
}

/// The single-quoted words of a line; none of them holds a quote.
fn quoted(line: &str) -> Vec<String> {
    line.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

impl Cluster {
    fn script(&self, text: &str) -> String {
        let mut printed = String::new();
        for line in text.lines() {
            if line.starts_with("g '") {
                printed += &self.inner.borrow().get(&quoted(line)[0]).to_string();
            } else if line.starts_with("r ") {
                let location = line.split(' ').nth(1).unwrap();
                let words = quoted(line);
                let body = serde_json::from_str(&words[1]).unwrap();
                if let Err(said) = self.inner.borrow_mut().request(&words[0], body) {
                    let _ = writeln!(printed, "{location} {said} ");
                }
            }
        }
        printed
    }

    fn answer(&self, command: &Command) -> Result<String, String> {
        if command.argv[1] == "-s" {
            return Ok(self.script(std::str::from_utf8(&command.stdin).unwrap()));
        }
        assert_eq!(command.argv[..4], ["k3s", "kubectl", "patch", "node"]);
        let hook = self.inner.borrow_mut().at_first_patch.take();
        if let Some(hook) = hook {
            hook(self);
        }
        let patch = serde_json::from_str(&command.argv[7]).unwrap();
        let patched = self.inner.borrow_mut().patch(&command.argv[4], &patch);
        patched.map(|node| node.to_string()).map_err(str::to_owned)
    }
}

impl Host for Cluster {
    fn location(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let (away, hangs) = {
            let mut inner = self.inner.borrow_mut();
            inner.pass(COMMAND);
            ((inner.away.0..inner.away.1).contains(&inner.clock), inner.hangs)
        };
        if away && hangs {
            self.inner.borrow_mut().pass(command.limit.as_secs_f64());
            let detail = "sh did not end and was stopped";
            return Err(Failure::new(Kind::TimedOut, self.location(), detail).into());
        }
        let answer = if away {
            Err(REFUSED.to_owned())
        } else {
            self.answer(command)
        };
        Ok(match answer {
            Ok(stdout) => Output {
                stdout: stdout.into_bytes(),
                ..Output::default()
            },
            Err(stderr) => Output {
                status: 1,
                stderr: stderr.into_bytes(),
                ..Output::default()
            },
        })
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        panic!("nothing here reads {path}")
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        panic!("nothing here writes {}", file.path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        panic!("nothing here removes {path}")
    }

    fn now(&self) -> SystemTime {
        start() + Host::elapsed(self)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.inner.borrow().clock)
    }

    fn sleep(&self, duration: Duration) {
        self.inner.borrow_mut().pass(duration.as_secs_f64());
    }

    fn unique(&self) -> String {
        "unique".to_owned()
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _: &LockRequest) -> Result<Held> {
        Ok(Held::nothing())
    }
}
