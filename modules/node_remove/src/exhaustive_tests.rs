//! Which node is deleted, for every combination of what is known of it: never one that lives, never one whose member etcd
//! still has, never pods that nobody gave up. The rules are written down here once more, in facts only.

use crate::plan::{Step, plan};
use crate::{Params, State};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const NOW: Duration = Duration::from_hours(490_896);

/// What the cluster shows of the node n2.
#[derive(Clone, Copy, Debug)]
struct World {
    /// The condition Ready; none: the kubelet has never reported.
    ready: Option<&'static str>,
    /// Seconds since the Lease was renewed; negative by a clock that is ahead; none: there is no Lease.
    silent: Option<i64>,
    /// How the Node shows a member of etcd.
    etcd: Etcd,
    pod: Option<&'static str>,
    password: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Etcd {
    No,
    Label,
    Annotation,
}

const READY: [Option<&str>; 4] = [None, Some("True"), Some("False"), Some("Unknown")];
const SILENT: [Option<i64>; 6] = [None, Some(-600), Some(0), Some(14), Some(15), Some(3600)];
const PODS: [Option<&str>; 4] = [None, Some("own"), Some("daemon"), Some("ended")];

fn worlds() -> Vec<World> {
    let mut all = Vec::new();
    for ready in READY {
        for silent in SILENT {
            for etcd in [Etcd::No, Etcd::Label, Etcd::Annotation] {
                for pod in PODS {
                    all.extend([true, false].map(|password| World {
                        ready,
                        silent,
                        etcd,
                        pod,
                        password,
                    }));
                }
            }
        }
    }
    all
}

/// What the answer of `etcd_member` says of this node's member; null: it was not given.
fn members() -> [Value; 5] {
    let member =
        |id: &str, name: Value, node: Value| json!({"id": id, "name": name, "node": node, "healthy": false});
    let other = member("a1", json!("n1-00000001"), json!("n1"));
    [
        Value::Null,
        json!([]),
        json!([other]),
        json!([other, member("b2", json!("n2-00000002"), Value::Null)]),
        // One that never started has no name; its address is this node's.
        json!([other, member("b2", Value::Null, json!("n2"))]),
    ]
}

impl World {
    fn state(&self) -> State {
        let conditions: Vec<Value> = self
            .ready
            .iter()
            .map(|ready| json!({"type": "Ready", "status": ready}))
            .collect();
        let mut metadata = json!({"name": "n2", "uid": "u2", "labels": {}, "annotations": {}});
        match self.etcd {
            Etcd::No => {}
            Etcd::Label => metadata["labels"]["node-role.kubernetes.io/etcd"] = json!("true"),
            Etcd::Annotation => {
                metadata["annotations"]["etcd.k3s.cattle.io/node-name"] = json!("n2-00000002");
            }
        }
        let node = json!({"metadata": metadata, "status": {"conditions": conditions}});
        let lease = self
            .silent
            .map(|silent| json!({"spec": {"renewTime": renewed(silent)}}));
        State {
            node: serde_json::from_value(node).unwrap(),
            lease: lease.map(|lease| serde_json::from_value(lease).unwrap()),
            pods: self
                .pod
                .map(|kind| serde_json::from_value(pod(kind)).unwrap())
                .into_iter()
                .collect(),
            password: self.password,
            now: SystemTime::UNIX_EPOCH + NOW,
        }
    }

    fn lives(&self) -> bool {
        self.silent.is_some_and(|silent| silent < 15) || !matches!(self.ready, None | Some("Unknown"))
    }

    /// Whether etcd may still have its member: without the members it may.
    fn has_member(&self, members: &Value) -> bool {
        match members.as_array() {
            None => self.etcd != Etcd::No,
            Some(members) => members.iter().any(|member| {
                member["node"] == "n2" || (self.etcd == Etcd::Annotation && member["name"] == "n2-00000002")
            }),
        }
    }

    fn check(&self, members: &Value, with_pods: bool) {
        let case = format!("{self:?}, members {members}, with_pods {with_pods}");
        let params: Params =
            serde_json::from_value(json!({"node": "n2", "members": members, "with_pods": with_pods}))
                .unwrap();
        let planned = plan(&params, &self.state());
        let pods_may_go = with_pods || self.pod != Some("own");
        let safe = !self.lives() && !self.has_member(members) && pods_may_go;
        let Ok(planned) = planned else {
            assert!(!safe, "{case}: refused");
            return;
        };
        assert!(safe, "{case}: {:?}", planned.steps);
        let deleted = Step::DeleteNode {
            name: "n2".to_owned(),
            uid: "u2".to_owned(),
        };
        let forgotten = self.password.then(|| Step::ForgetPassword {
            name: "n2".to_owned(),
        });
        let wanted: Vec<Step> = [deleted].into_iter().chain(forgotten).collect();
        assert_eq!(planned.steps, wanted, "{case}");
        // Its pods go with it; the Lease may outlive it.
        let left = State {
            node: None,
            pods: Vec::new(),
            password: false,
            ..self.state()
        };
        assert_eq!(plan(&params, &left).unwrap().steps, [], "{case}: a second run");
    }
}

fn renewed(silent: i64) -> String {
    // 2026-01-01T00:00:00Z is now.
    let at = |day: &str, seconds: i64| {
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{day}T{hours:02}:{minutes:02}:{:02}.000000Z", seconds % 60)
    };
    if silent > 0 {
        at("2025-12-31", 86_400 - silent)
    } else {
        at("2026-01-01", -silent)
    }
}

fn pod(kind: &str) -> Value {
    let owner = if kind == "daemon" {
        "DaemonSet"
    } else {
        "ReplicaSet"
    };
    let phase = if kind == "ended" { "Succeeded" } else { "Running" };
    json!({
        "metadata": {"namespace": "demo", "name": kind,
            "ownerReferences": [{"kind": owner, "name": "x", "controller": true}]},
        "status": {"phase": phase},
    })
}

#[test]
fn deletes_only_a_node_that_is_gone_without_a_member_and_without_pods_unasked() {
    for world in worlds() {
        for members in members() {
            world.check(&members, false);
            world.check(&members, true);
        }
    }
}
