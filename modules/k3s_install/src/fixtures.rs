//! Nodes for the tables of plans: facts as the scripts print them.

use crate::params::Params;
use crate::plan::decide;
use crate::state::{Asked, Paths, State};
use k3s_node::Facts;
pub(crate) use k3s_node::recorded::{AGENT, SERVER};
use serde_json::{Value, json};

pub(crate) const OLD: &str = "v1.31.4+k3s1";
pub(crate) const NEW: &str = "v1.31.5+k3s1";

pub(crate) type Frame<'a> = (&'a str, &'a str);

pub(crate) fn frames(frames: &[Frame]) -> Facts {
    let mut bytes = String::new();
    for (name, content) in [("hostname", "K3S-Worker-1"), ("end", "")].iter().chain(frames) {
        bytes.extend([format!("@{name} {}\n", content.len()), format!("{content}\n")]);
    }
    Facts::parse(bytes.as_bytes()).unwrap()
}

/// A node of which only these facts are known.
pub(crate) fn state(content: &[Frame]) -> State {
    state_for(&params(json!({})), content)
}

pub(crate) fn state_for(params: &Params, content: &[Frame]) -> State {
    let at = Paths::usual(None);
    let asked = Asked {
        location: "container 111 on pve1".to_owned(),
        now: 5000,
        at,
    };
    State::read(&frames(content), &asked, params.fresh()).unwrap()
}

pub(crate) fn params(more: Value) -> Params {
    let mut all = json!({"version": NEW});
    if let Value::Object(more) = more {
        all.as_object_mut().unwrap().extend(more);
    }
    serde_json::from_value(all).unwrap()
}

/// An agent that was installed by the script, runs the old version, and is healthy. Facts in `changes` take the
/// place of its own; one with the content `gone` is not there.
pub(crate) fn agent(changes: &[Frame]) -> State {
    agent_for(&params(json!({})), changes)
}

pub(crate) fn agent_for(params: &Params, changes: &[Frame]) -> State {
    let node = node_says(OLD);
    let show = show("active", 2000);
    let version = format!("k3s version {OLD} (0123abcd)");
    let healthy = [
        ("systemd", "yes"),
        ("unit:k3s-agent.service", AGENT),
        (
            "variables:/etc/systemd/system/k3s-agent.service.env",
            "K3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n",
        ),
        ("show", &show),
        ("binary-version", &version),
        ("binary-changed", "1000"),
        ("data:agent/kubelet.kubeconfig", "x"),
        ("disk", "F B U A C M\n/dev/sda1 1 1 9000000 1% /\n"),
        ("fib-trie", "|-- 10.99.0.111\n/32 host LOCAL\n"),
        ("asked", "k3s-worker-1"),
        ("node", &node),
    ];
    let kept = healthy
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let all: Vec<Frame> = kept
        .chain(changes)
        .filter(|(_, content)| *content != "gone")
        .copied()
        .collect();
    state_for(params, &all)
}

pub(crate) fn node_says(version: &str) -> String {
    json!({"kind": "Node", "status": {
        "nodeInfo": {"kubeletVersion": version},
        "addresses": [{"type": "InternalIP", "address": "10.99.0.111"}],
    }})
    .to_string()
}

/// What systemd says of the agent's unit, started so many seconds after 2026-01-01.
pub(crate) fn show(active: &str, started: u64) -> String {
    let (minutes, seconds) = (started / 60, started % 60);
    let time = format!("{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60);
    format!(
        "Id=k3s-agent.service\nLoadState=loaded\nActiveState={active}\nUnitFileState=enabled\nMainPID=7\n\
         FragmentPath=/etc/systemd/system/k3s-agent.service\nExecMainStartTimestamp=Thu 2026-01-01 {time} UTC\n\n\
         Id=k3s.service\nLoadState=not-found\nActiveState=inactive\n"
    )
}

/// 2026-01-01, where [`show`] begins to count.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600;

/// A record of the agent that [`agent`] has, with this time of its proof.
pub(crate) fn record(proven_at: Option<u64>) -> String {
    let args = ["--node-label", "tier=work", "--kubelet-arg=max-pods=50"];
    json!({
        "format": 1, "version": NEW, "run_id": "run-1", "saved_at": 4000, "proven_at": proven_at, "role": "agent",
        "binary": "/usr/local/bin/k3s", "args": args, "unit": AGENT, "enabled": true,
        "environment": "K3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n",
    })
    .to_string()
}

pub(crate) const STAGED: Frame = ("staged:/usr/local/bin/.k3s-v1.31.5+k3s1.ab.staged", "x");
pub(crate) const SCRIPT: Frame = ("script-source", "https://get.k3s.io any");
pub(crate) const NEW_BINARY: Frame = ("binary-version", "k3s version v1.31.5+k3s1 (0123abcd)");

/// The rules by which this is refused; empty where it is not.
pub(crate) fn rules(params: &Params, state: &State) -> Vec<&'static str> {
    let (acts, refusals) = decide(params, state);
    assert!(acts.is_empty() || refusals.is_empty());
    refusals.iter().map(|refusal| refusal.rule).collect()
}

pub(crate) fn agent_rules(more: Value, changes: &[Frame]) -> Vec<&'static str> {
    let params = params(more);
    rules(&params, &agent_for(&params, changes))
}
