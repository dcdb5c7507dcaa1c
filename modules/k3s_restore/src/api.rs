//! What the API server says of itself, of nodes, and of the passwords by which it recognises them.

use crate::seen::NodeSeen;
use anyhow::{Result, bail};
use cluster::{Kubectl, Lease, Node as Object, Questions, pages};
use host::{Host, Waited, quote, wait_until};
use k3s_node::{NodeSettings, Role, Show};
use std::time::{Duration, SystemTime};

const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What follows a node's name in that of the Secret with its password.
const PASSWORD: &str = ".node-password.k3s";
const IN_SYSTEM: &str = "-n kube-system";

/// How k3s stands on a server.
pub(crate) struct Readiness {
    pub(crate) show: Show,
    pub(crate) ready: bool,
}

fn of_admin(binary: &str) -> Vec<String> {
    vec![binary.to_owned(), "kubectl".to_owned()]
}

fn kubectl<'a>(host: &'a dyn Host, program: &'a [String]) -> Kubectl<'a> {
    Kubectl {
        host,
        program,
        request_timeout: REQUEST_LIMIT,
    }
}

/// Asks how a unit stands, before what the API server is asked.
fn with_unit<'k, 'a>(kubectl: &'k Kubectl<'a>, unit: &str) -> Questions<'k, 'a> {
    let show = format!("systemctl show -p Id -p ActiveState -p NRestarts {}", quote(unit));
    Questions::new(kubectl).command("the unit of k3s", &show)
}

fn shown(answers: &cluster::Answers, unit: &str) -> Show {
    let text = answers.get(0).map(|answer| answer.text()).unwrap_or_default();
    Show::parse(&text).remove(unit).unwrap_or_default()
}

pub(crate) fn readiness(host: &dyn Host, binary: &str, unit: &str) -> Result<Readiness> {
    let program = of_admin(binary);
    let kubectl = kubectl(host, &program);
    let answers = with_unit(&kubectl, unit).path("/readyz").ask("checking k3s")?;
    let ready = answers.get(1);
    Ok(Readiness {
        show: shown(&answers, unit),
        ready: ready.is_some_and(|answer| answer.ok() && answer.text().trim() == "ok"),
    })
}

pub(crate) fn nodes(host: &dyn Host, binary: &str) -> Result<Vec<NodeSeen>> {
    let program = of_admin(binary);
    let nodes: Vec<Object> = kubectl(host, &program).list(pages("/api/v1/nodes"))?;
    Ok(nodes.into_iter().map(seen).collect())
}

fn seen(node: Object) -> NodeSeen {
    NodeSeen {
        server: node.is_server(),
        ready: node.is_ready(),
        name: node.name,
    }
}

fn secret(node: &str) -> String {
    format!("{}{PASSWORD}", node.to_lowercase())
}

/// Those of the nodes whose passwords the cluster has.
pub(crate) fn with_password(host: &dyn Host, binary: &str, nodes: &[String]) -> Result<Vec<String>> {
    let program = of_admin(binary);
    let kubectl = kubectl(host, &program);
    let script = format!(
        "{}k get secret {IN_SYSTEM} -o name </dev/null\n",
        kubectl.prelude()
    );
    let output = kubectl.run_script(script, kubectl.limit(2), "asking for the passwords of nodes")?;
    let text = output.text();
    let has = |node: &&String| {
        let secret = secret(node);
        text.lines()
            .any(|line| line.strip_prefix("secret/") == Some(&secret))
    };
    Ok(nodes.iter().filter(has).cloned().collect())
}

/// These nodes can register again, with the passwords that they have.
pub(crate) fn forget_passwords(host: &dyn Host, binary: &str, nodes: &[String]) -> Result<()> {
    let program = of_admin(binary);
    let kubectl = kubectl(host, &program);
    let names: Vec<String> = nodes.iter().map(|node| quote(&secret(node))).collect();
    let script = format!(
        "{}k delete secret {IN_SYSTEM} --ignore-not-found {} </dev/null\n",
        kubectl.prelude(),
        names.join(" ")
    );
    kubectl
        .run_script(script, kubectl.limit(2), "letting nodes register again")
        .map(|_| ())
}

/// A node of the cluster, by its own kubelet's right to read it.
pub struct Node {
    pub(crate) role: Role,
    pub(crate) unit: String,
    pub(crate) binary: String,
    pub(crate) data_dir: String,
    /// Whether there is a Node to wait for: a server may run no kubelet.
    pub(crate) has_kubelet: bool,
    /// Why it is not ready.
    pub(crate) missing: Option<String>,
}

impl Node {
    /// Waits a moment: a node reports by itself, unless the restored cluster does not admit it.
    pub(crate) fn look(host: &dyn Host, name: &str, patience: Duration) -> Result<Self> {
        let installed = NodeSettings::look(host)?;
        if let Some(why) = installed.unreadable() {
            bail!("{}: {why}", host.location());
        }
        let Some(role) = installed.role() else {
            bail!(
                "{}: k3s is not installed there, so no node {name} can report to the cluster",
                host.location()
            );
        };
        let mut node = Self {
            role,
            unit: installed.units[&role].name.clone(),
            binary: installed.binary.clone(),
            data_dir: installed.settings().data_dir(),
            has_kubelet: role == Role::Agent || installed.settings().has_agent(),
            missing: None,
        };
        node.missing = node.wait(host, name, patience)?;
        Ok(node)
    }

    /// What is still missing after that time.
    fn wait(&self, host: &dyn Host, name: &str, patience: Duration) -> Result<Option<String>> {
        let waited = wait_until(host, patience, LOOK_EVERY, || {
            Ok(self.missing(host, name)?.map_or(Ok(()), Err))
        })?;
        Ok(match waited {
            Waited::Done(()) => None,
            Waited::GaveUp { missing, .. } => Some(missing),
        })
    }

    /// The agent was restarted: its node has to be ready in this time.
    pub(crate) fn must_be_ready(&self, host: &dyn Host, name: &str, limit: Duration) -> Result<()> {
        match self.wait(host, name, limit)? {
            None => Ok(()),
            Some(missing) => bail!(
                "{}: the node {name} is not ready {} s after its agent was restarted: {missing}. The journal of {} says why",
                host.location(),
                limit.as_secs(),
                self.unit
            ),
        }
    }

    fn missing(&self, host: &dyn Host, name: &str) -> Result<Option<String>> {
        let kubeconfig = format!("--kubeconfig={}/agent/kubelet.kubeconfig", self.data_dir);
        let program = [of_admin(&self.binary), vec![kubeconfig]].concat();
        let kubectl = kubectl(host, &program);
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
        let answers = with_unit(&kubectl, &self.unit)
            .path(&format!("/api/v1/nodes/{name}"))
            .or_end()
            .path(&lease)
            .ask("checking the node")?;
        let show = shown(&answers, &self.unit);
        if !show.is_alive() {
            return Ok(Some(format!("{} is {}", self.unit, show.active)));
        }
        if !self.has_kubelet {
            return Ok(None);
        }
        let node = match answers.get(1) {
            Some(answer) if answer.ok() => Some(answer.parse()?),
            _ => None,
        };
        let lease = match answers.get(2) {
            Some(answer) if answer.ok() => Some(answer.parse()?),
            _ => None,
        };
        Ok(missing(node.as_ref(), lease.as_ref(), host.now()))
    }
}

/// A Node is called Ready for a while after its kubelet is gone, and again right after its restore: its Lease says
/// whether the kubelet reports to this cluster.
fn missing(node: Option<&Object>, lease: Option<&Lease>, now: SystemTime) -> Option<String> {
    let Some(node) = node else {
        return Some("the cluster has no such node, or does not answer it".to_owned());
    };
    if let Some(trouble) = node.trouble() {
        return Some(format!("the node is not Ready: {trouble}"));
    }
    let is_alive = lease.is_some_and(|lease| lease.is_alive(now));
    (!is_alive).then(|| "its kubelet has not renewed its Lease in the restored cluster yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::List;
    use serde_json::json;

    const NOW: Duration = Duration::from_secs(1_795_366_949);

    fn judged(ready: &str, renewed: &str) -> Option<String> {
        let node = json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
        let lease = json!({"spec": {"renewTime": renewed}});
        missing(
            Some(&serde_json::from_value(node).unwrap()),
            Some(&serde_json::from_value(lease).unwrap()),
            SystemTime::UNIX_EPOCH + NOW,
        )
    }

    #[test]
    fn a_node_is_ready_when_its_kubelet_reports() {
        assert_eq!(judged("True", "2026-11-22T17:02:20.000000Z"), None);
        let stale = judged("True", "2026-11-22T16:02:20.000000Z").unwrap();
        assert!(stale.contains("has not renewed its Lease"), "{stale}");
        let unknown = judged("Unknown", "2026-11-22T17:02:20.000000Z").unwrap();
        assert!(unknown.contains("not Ready"), "{unknown}");
        let none = missing(None, None, SystemTime::UNIX_EPOCH + NOW).unwrap();
        assert!(none.contains("no such node"), "{none}");
    }

    #[test]
    fn servers_are_recognised_by_their_roles() {
        let listed = |list: &str| -> Vec<String> {
            let list: List<Object> = serde_json::from_str(&testbed::recorded(list)).unwrap();
            let words = |node| {
                let NodeSeen { name, server, ready } = seen(node);
                format!("{name} {server} {ready}")
            };
            list.items.into_iter().map(words).collect()
        };
        assert_eq!(
            listed("k3s-v1.36.3-nodes.json"),
            [
                "k3s-controller-1 true true",
                "k3s-controller-2 true true",
                "k3s-controller-3 true true",
                "k3s-worker-1 false true",
            ]
        );
        // The third runs etcd and no API: it too would go on with the old data.
        assert_eq!(
            listed("by-hand-k3s-v1.36-nodes.json"),
            ["n1 true true", "n2 true true", "n3 true true", "n4 false false"]
        );
    }
}
