//! Real etcd, the data folder of a k3s server beside it, and the binary that looks at it.

use etcd_api::Client;
use etcd_api::testing::Cluster;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testbed::Programs;
use tokio::runtime::Runtime;

/// Names as k3s makes them for the nodes n1, n2 …
pub(crate) const NAMES: [&str; 3] = ["n1-0000000a", "n2-0000000b", "n3-0000000c"];

/// A cluster of etcd, the data folder of its first server, and a kubectl that shows these nodes.
pub(crate) struct Lab {
    runtime: Runtime,
    cluster: Option<Cluster>,
    pub(crate) programs: Programs,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        drop(self.cluster.take());
    }
}

impl Lab {
    pub(crate) fn new(size: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let cluster = runtime.block_on(Cluster::start_named(&NAMES[..size]));
        let programs = Programs::new().with_pct().with("k3s", &nodes(&NAMES));
        cluster.lay_out_as_k3s(0, &programs.folder().join("k3s-data"));
        Self {
            runtime,
            cluster: Some(cluster),
            programs,
        }
    }

    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().unwrap()
    }

    fn data_dir(&self) -> PathBuf {
        self.programs.folder().join("k3s-data")
    }

    /// Asked through a server's member.
    pub(crate) fn ask_through(&mut self, number: usize, more: Value) -> Value {
        let data_dir = self.data_dir();
        self.cluster().lay_out_as_k3s(number, &data_dir);
        let mut arguments = json!({
            "data_dir": data_dir,
            "endpoint": self.cluster().endpoint(number),
            "kubectl": [self.programs.folder().join("k3s"), "kubectl"],
        });
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("etcd_member"))
            .env("PATH", self.programs.path())
            .arg(self.programs.arguments(&arguments))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn ask(&mut self, more: Value) -> Value {
        self.ask_through(0, more)
    }

    /// Looks until the answer is as wanted.
    pub(crate) fn ask_until(&mut self, number: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.ask_through(number, json!({}));
            if wanted(&answer) {
                return answer;
            }
            assert!(started.elapsed() < Duration::from_mins(1), "{answer}");
        }
    }

    /// Changes something behind the module's back.
    pub(crate) fn change<T>(&self, what: impl AsyncFnOnce(Client) -> Result<T, etcd_api::Error>) -> T {
        let cluster = self.cluster.as_ref().unwrap();
        self.runtime
            .block_on(async { what(cluster.client(0)).await })
            .unwrap()
    }

    pub(crate) fn leader(&mut self) -> usize {
        let answer = self.ask_until(0, |answer| answer["leader"].is_string());
        NAMES.iter().position(|name| answer["leader"] == *name).unwrap()
    }
}

/// A `k3s kubectl get --raw` that shows nodes with these members.
fn nodes(members: &[&str]) -> String {
    let node = |member: &&str| {
        let name = &member[..2];
        json!({
            "metadata": {
                "name": name,
                "labels": {"node-role.kubernetes.io/etcd": "true"},
                "annotations": {"etcd.k3s.cattle.io/node-name": member},
            },
            "status": {"addresses": [{"type": "InternalIP", "address": format!("10.99.0.{}", &name[1..])}]},
        })
    };
    let list = json!({"items": members.iter().map(node).collect::<Vec<_>>()});
    format!(
        "#!/bin/sh\ncase \"$*\" in *--raw\\ /api/v1/nodes*) ;; *) exit 1;; esac\ncat <<'LIST'\n{list}\nLIST\n"
    )
}

pub(crate) fn member<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let members = answer["members"].as_array().unwrap();
    members
        .iter()
        .find(|member| member["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {answer}"))
}

pub(crate) fn message(answer: &Value) -> &str {
    answer["msg"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
