//! A small working imitation of a cluster behind `kubectl`: nodes, pods that take time to end and to start,
//! budgets that are kept, an API server that goes away. Its clock is virtual.

use ansible_module::{Call, params, run};
use anyhow::Result;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use node_drain::NodeDrain;
use node_drain::cordon::Record;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) const OURS: &str = Record::ANNOTATION;
const REFUSED: &str =
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";
const BLOCKED: &str =
    "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.";
/// Seconds that a command takes, a pod needs to end, and a replica to become ready.
const COMMAND: f64 = 0.4;
const ENDS: f64 = 3.0;
const STARTS: f64 = 8.0;

pub(crate) struct Cluster {
    inner: RefCell<Inner>,
}

type Hook = Box<dyn Fn(&Cluster)>;

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Inner {
    clock: f64,
    nodes: BTreeMap<String, Value>,
    pods: Vec<Pod>,
    /// Name, and replicas that it shall have.
    deployments: BTreeMap<String, usize>,
    budgets: BTreeMap<String, usize>,
    least_ready: BTreeMap<String, usize>,
    created: usize,
    changes: usize,
    away: (f64, f64),
    hangs: bool,
    storm: bool,
    conflicts: usize,
    loses_an_answer: bool,
    old: bool,
    page: usize,
    at_first_patch: Option<Hook>,
    last_body: Value,
}

#[derive(Clone, Default)]
struct Pod {
    name: String,
    owner: Option<(&'static str, String)>,
    node: Option<String>,
    ready_at: f64,
    /// When it was asked to end.
    deleted: Option<f64>,
    pinned: bool,
    stuck: bool,
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

    pub(crate) fn conflicts(self, count: usize) -> Self {
        self.with(|inner| inner.conflicts = count)
    }

    pub(crate) fn loses_an_answer(self) -> Self {
        self.with(|inner| inner.loses_an_answer = true)
    }

    pub(crate) fn old(self) -> Self {
        self.with(|inner| inner.old = true)
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

impl Inner {
    fn owned<'p>(&'p self, deployment: &'p str) -> impl Iterator<Item = &'p Pod> {
        self.pods
            .iter()
            .filter(move |pod| pod.owner.as_ref().is_some_and(|(_, owner)| owner == deployment))
    }

    fn ready(&self, deployment: &str) -> usize {
        self.owned(deployment).filter(|pod| self.is_ready(pod)).count()
    }

    fn is_ready(&self, pod: &Pod) -> bool {
        pod.node.is_some() && pod.deleted.is_none() && pod.ready_at <= self.clock
    }

    fn pass(&mut self, seconds: f64) {
        self.clock += seconds;
        let clock = self.clock;
        self.pods
            .retain(|pod| pod.stuck || pod.deleted.is_none_or(|at| at + ENDS > clock));
        // Replicas that found no node wait for theirs.
        let free = self.nodes["n1"]["spec"]["unschedulable"] != true;
        for pod in self.pods.iter_mut().filter(|pod| pod.node.is_none() && free) {
            (pod.node, pod.ready_at) = (Some("n1".to_owned()), clock + STARTS);
        }
        for deployment in self.deployments.keys() {
            let ready = self.ready(deployment);
            let least = self.least_ready.entry(deployment.clone()).or_insert(ready);
            *least = ready.min(*least);
        }
    }

    fn allowed(&self, deployment: &str) -> i64 {
        let allowed =
            i64::try_from(self.ready(deployment)).unwrap() - i64::try_from(self.budgets[deployment]).unwrap();
        allowed.max(0)
    }

    /// Ends a pod; its owner starts another one at once, elsewhere.
    fn end(&mut self, name: &str) {
        let clock = self.clock;
        let Some(pod) = self
            .pods
            .iter_mut()
            .find(|pod| pod.name == name && pod.deleted.is_none())
        else {
            return;
        };
        pod.deleted = Some(clock);
        let (owner, pinned) = (pod.owner.clone(), pod.pinned);
        self.changes += 1;
        if owner.as_ref().is_some_and(|(kind, _)| *kind == "ReplicaSet") {
            self.created += 1;
            let node = (!pinned).then(|| "n2".to_owned());
            let name = format!("{name}-next{}", self.created);
            self.pods.push(Pod {
                name,
                owner,
                node,
                ready_at: clock + STARTS,
                pinned,
                ..Pod::default()
            });
        }
    }

    /// What a request says when it is refused.
    fn request(&mut self, path: &str, body: Value) -> Result<(), String> {
        let evicts = path.ends_with("/eviction");
        let name = path
            .trim_end_matches("/eviction")
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let uid = body
            .pointer("/deleteOptions/preconditions/uid")
            .or(body.pointer("/preconditions/uid"))
            .cloned();
        assert_eq!(uid, Some(json!(format!("uid-{name}"))), "{body}");
        self.last_body = body;
        if self.storm {
            return Err(
                "Error from server (TooManyRequests): too many requests, please try again later".to_owned(),
            );
        }
        let owner = self
            .pods
            .iter()
            .find(|pod| pod.name == name)
            .and_then(|pod| pod.owner.clone());
        let budget = owner
            .map(|(_, owner)| owner)
            .filter(|owner| self.budgets.contains_key(owner));
        if evicts && budget.is_some_and(|budget| self.allowed(&budget) == 0) {
            return Err(BLOCKED.to_owned());
        }
        self.end(&name);
        Ok(())
    }

    fn get(&self, path: &str) -> Value {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let fields = query
            .split('&')
            .find_map(|part| part.strip_prefix("fieldSelector="));
        let field = fields.and_then(|fields| fields.split_once("%3D"));
        let items: Vec<Value> = match path {
            "/apis" => return json!({"groups": [{"name": "policy", "versions": self.policies()}]}),
            "/api/v1" => {
                let version = if self.old { "v1beta1" } else { "v1" };
                let eviction = json!({"name": "pods/eviction", "group": "policy", "version": version, "kind": "Eviction"});
                return json!({"resources": [{"name": "pods", "kind": "Pod"}, eviction]});
            }
            "/api/v1/nodes" => self.nodes.values().cloned().collect(),
            "/api/v1/pods" => self.pods.iter().map(|pod| self.pod(pod)).collect(),
            "/apis/apps/v1/replicasets" => self.deployments.keys().map(|name| owned(name, self)).collect(),
            "/apis/apps/v1/deployments" => self.deployments.keys().map(|name| plain(name, self)).collect(),
            "/api/v1/persistentvolumeclaims" => self.pinned().map(claim).collect(),
            "/api/v1/persistentvolumes" => self.pinned().map(volume).collect(),
            "/apis/policy/v1/poddisruptionbudgets" if !self.old => {
                self.budgets.keys().map(|name| self.budget(name)).collect()
            }
            "/apis/policy/v1beta1/poddisruptionbudgets" if self.old => {
                self.budgets.keys().map(|name| self.budget(name)).collect()
            }
            other => panic!("nobody answers {other}"),
        };
        let selected = |item: &Value| match field {
            Some(("metadata.name", name)) => item["metadata"]["name"] == name,
            Some(("spec.nodeName", name)) => item["spec"]["nodeName"] == name,
            _ => true,
        };
        let items: Vec<Value> = items.into_iter().filter(selected).collect();
        let from = query.split('&').find_map(|part| part.strip_prefix("continue="));
        let from = from.map_or(0, |text| text.parse::<usize>().unwrap());
        let next = if from + self.page < items.len() {
            (from + self.page).to_string()
        } else {
            String::new()
        };
        json!({"metadata": {"continue": next}, "items": items.iter().skip(from).take(self.page).collect::<Vec<_>>()})
    }

    fn policies(&self) -> Value {
        let versions: &[&str] = if self.old {
            &["policy/v1beta1"]
        } else {
            &["policy/v1", "policy/v1beta1"]
        };
        versions
            .iter()
            .map(|version| json!({"groupVersion": version}))
            .collect()
    }

    fn pinned(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.pinned)
    }

    fn pod(&self, pod: &Pod) -> Value {
        let owners: Vec<Value> = pod
            .owner
            .iter()
            .map(|(kind, name)| json!({"kind": kind, "name": name, "controller": true}))
            .collect();
        let label = pod.owner.as_ref().map_or(pod.name.as_str(), |(_, owner)| owner);
        let mut volumes = vec![json!({"name": "token", "projected": {}})];
        if pod.pinned {
            volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": pod.name}}));
        }
        let mut object = json!({
            "metadata": {
                "name": pod.name, "namespace": "demo", "uid": format!("uid-{}", pod.name),
                "labels": {"app": label}, "ownerReferences": owners,
            },
            "spec": {"nodeName": pod.node, "volumes": volumes},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if self.is_ready(pod) { "True" } else { "False" }}]},
        });
        if let Some(at) = pod.deleted {
            let at = OffsetDateTime::from(start() + Duration::from_secs_f64(at));
            object["metadata"]["deletionTimestamp"] = at.format(&Rfc3339).unwrap().into();
        }
        if pod.stuck {
            object["metadata"]["finalizers"] = json!(["example.org/hold"]);
        }
        object
    }

    fn budget(&self, name: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"selector": {"matchLabels": {"app": name}}},
            "status": {
                "disruptionsAllowed": self.allowed(name), "currentHealthy": self.ready(name),
                "desiredHealthy": self.budgets[name], "expectedPods": self.deployments[name],
            },
        })
    }

    fn patch(&mut self, node: &str, patch: &Value) -> Result<Value, &'static str> {
        let object = self.nodes.get_mut(node).unwrap();
        let version: usize = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if self.conflicts > 0 {
            self.conflicts -= 1;
            object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        }
        if patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return Err("Error from server (Conflict): Operation cannot be fulfilled on nodes \"n1\"");
        }
        merge(object, patch);
        object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        let object = object.clone();
        self.changes += 1;
        if std::mem::take(&mut self.loses_an_answer) {
            Err(REFUSED)
        } else {
            Ok(object)
        }
    }
}

fn owned(name: &str, inner: &Inner) -> Value {
    let mut replicaset = plain(name, inner);
    replicaset["metadata"]["ownerReferences"] =
        json!([{"kind": "Deployment", "name": name, "controller": true}]);
    replicaset
}

fn plain(name: &str, inner: &Inner) -> Value {
    let status = json!({"readyReplicas": inner.ready(name)});
    json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"replicas": inner.deployments[name]}, "status": status})
}

fn claim(pod: &Pod) -> Value {
    json!({"metadata": {"name": pod.name, "namespace": "demo"}, "spec": {"volumeName": format!("pv-{}", pod.name)}})
}

fn volume(pod: &Pod) -> Value {
    let here = json!([{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]);
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": here}]}});
    json!({"metadata": {"name": format!("pv-{}", pod.name)}, "spec": {"nodeAffinity": affinity}})
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let object = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// The single-quoted words of a line; none of them holds a quote.
fn quoted(line: &str) -> Vec<String> {
    line.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

impl Cluster {
    fn script(&self, text: &str) -> String {
        let mut printed = String::new();
        for line in text.lines() {
            if line.starts_with("k get --raw") {
                printed += &self.inner.borrow().get(&quoted(line)[0]).to_string();
            } else if line.starts_with("r ") {
                let place = line.split(' ').nth(1).unwrap();
                let words = quoted(line);
                let body = serde_json::from_str(&words[1]).unwrap();
                if let Err(said) = self.inner.borrow_mut().request(&words[0], body) {
                    let _ = writeln!(printed, "{place} {said} ");
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
    fn place(&self) -> String {
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
            return Err(Failure::new(Kind::TimedOut, self.place(), detail).into());
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
