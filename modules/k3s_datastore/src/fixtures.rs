//! Servers for the tables of plans: facts as the scripts print them.

use crate::params::Params;
use crate::plan::{Act, decide};
use crate::record::{CopySeen, Record, Stage};
use crate::state::{Api, Looked, Paths, State};
use k3s_node::Facts;
use k3s_node::recorded::SERVER;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) type Frame<'a> = (&'a str, &'a str);

pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const VERSION: &str = "v1.31.4+k3s1";
pub(crate) const WAL: Frame = ("wal", "x");
pub(crate) const GONE: &str = "gone";

pub(crate) fn params(more: Value) -> Params {
    serde_json::from_value(more).unwrap()
}

/// What systemd says of the server's unit.
pub(crate) fn show(active: &str) -> String {
    format!("Id=k3s.service\nLoadState=loaded\nActiveState={active}\nUnitFileState=enabled\nMainPID=7\n")
}

/// A healthy server with 412 objects in `SQLite`. Facts in `changes` take the place of its own; one with the content
/// `gone` is not there.
pub(crate) fn server(changes: &[Frame]) -> State {
    let (show, version) = (show("active"), format!("k3s version {VERSION} (0123abcd)"));
    let healthy = [
        ("hostname", "k3s-controller-1"),
        ("systemd", "yes"),
        ("unit:k3s.service", SERVER),
        ("show", &show),
        ("binary-version", &version),
        ("server", "x"),
        ("database", "5000000"),
        ("disk:data", "/dev/sda1 9 9 2097152 1% /"),
        ("disk:dest", "/dev/sda1 9 9 2097152 1% /"),
        ("end", ""),
    ];
    let kept = healthy
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let mut bytes = String::new();
    for (name, content) in kept.chain(changes).filter(|(_, content)| *content != GONE) {
        let _ = write!(bytes, "@{name} {}\n{content}\n", content.len());
    }
    let looked = Looked {
        location: "container 101 on pve1".to_owned(),
        now: NOW,
        backup: "pre-etcd-20260101T000000Z".to_owned(),
        at: Paths::default(),
    };
    let mut state = State::read(&Facts::parse(bytes.as_bytes()).unwrap(), looked).unwrap();
    if state.database.is_some() && state.show().is_alive() {
        state.api = Some(Api {
            ready: true,
            said: String::new(),
            version: VERSION.parse().ok(),
            servers: Some(vec!["k3s-controller-1".to_owned()]),
        });
    }
    state.objects = state.database.map(|_| Ok(412));
    state
}

/// A record of a run that is gone.
pub(crate) fn record(stage: Stage) -> Record {
    let folder = "/var/lib/homelab-k3s/backups/pre-etcd-20251231T000000Z".to_owned();
    let drop_in = "/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml".to_owned();
    let mut record = Record::begun(
        Some("run-1".to_owned()),
        NOW - 600,
        "/var/lib/rancher/k3s",
        folder,
        drop_in,
    );
    record.stage = stage;
    if stage != Stage::Begun {
        record.migrating_since = Some(NOW - 540);
        record.copy = Some(CopySeen {
            sha256: "ab".to_owned(),
            objects: 400,
        });
    }
    record
}

pub(crate) fn acts(state: &State) -> Vec<Act> {
    let (acts, refusals) = decide(&params(json!({})), state);
    assert!(refusals.is_empty(), "{refusals:?}");
    acts
}

/// The rules by which this is refused; empty where it is not.
pub(crate) fn rules(more: Value, state: &State) -> Vec<&'static str> {
    let (acts, refusals) = decide(&params(more), state);
    assert!(acts.is_empty() || refusals.is_empty());
    for refusal in &refusals {
        assert!(
            !refusal.evidence.is_empty() && !refusal.advice.is_empty(),
            "{refusal:?}"
        );
    }
    refusals.iter().map(|refusal| refusal.rule).collect()
}
