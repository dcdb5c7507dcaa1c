//! What the API says of itself and of its nodes, and lists that come in pages.

use crate::lab::{DEMO, Lab, VERSION, text, workload};
use serde_json::Value;

impl Lab {
    fn faults(&self, node: &str, faults: &str) {
        let file = self.etc(node).join("lab/faults.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, faults).unwrap();
    }

    fn raw(&self, path: &str) -> Value {
        serde_json::from_str(&self.run(&["get", "--raw", path])).unwrap()
    }
}

#[test]
fn a_check_fails_on_demand_with_the_recorded_text() {
    let lab = Lab::start(VERSION, 1);
    let verbose = lab.run(&["get", "--raw", "/readyz?verbose"]);
    assert!(
        verbose.starts_with("[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n")
    );
    assert!(verbose.ends_with("[+]shutdown ok\nreadyz check passed\n"));
    lab.faults(
        "n1",
        r#"{"checks": ["informer-sync", "poststarthook/rbac/bootstrap-roles"]}"#,
    );
    let failed = lab.kubectl(&["get", "--raw", "/readyz"]);
    let output = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        output.starts_with("Error from server (InternalError): an error on the server (\"[+]ping ok"),
        "{output}"
    );
    for line in [
        "[-]informer-sync failed: reason withheld",
        "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld",
        "readyz check failed",
    ] {
        assert!(output.contains(line), "{output}");
    }
}

#[test]
fn a_node_under_pressure_says_so_and_takes_no_more_pods() {
    let lab = Lab::start(VERSION, 2);
    lab.faults("n2", r#"{"conditions": {"MemoryPressure": "True"}}"#);
    let condition = |kind: &str| {
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")]}}");
        let found = lab.run(&["get", "node", "n2", "-o", &path]);
        serde_json::from_str::<Value>(&found).unwrap()
    };
    lab.wait_for("pressure", || condition("MemoryPressure")["status"] == "True");
    assert_eq!(
        condition("MemoryPressure")["reason"],
        "KubeletHasInsufficientMemory"
    );
    assert_eq!(lab.ready("n2"), "True");
    let taints = || lab.get("node n2 -o jsonpath={.spec.taints}");
    lab.wait_for("the taint", || {
        taints().contains("node.kubernetes.io/memory-pressure")
    });
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 2")].concat());
    lab.wait_for("pods", || lab.available("deploy/web") == "2");
    assert!(!lab.pod_nodes().contains(&"n2".to_owned()));
    lab.faults("n2", r#"{"conditions": {"Ready": "False"}}"#);
    lab.wait_for("the end", || condition("MemoryPressure")["status"] == "False");
    assert_eq!(lab.ready("n2"), "False");
    assert_eq!(condition("Ready")["reason"], "KubeletNotReady");
    lab.faults("n2", "{}");
    lab.wait_for("health", || lab.ready("n2") == "True" && taints().is_empty());
}

#[test]
fn lists_come_in_pages() {
    let lab = Lab::start(VERSION, 1);
    let maps: String = (0..7)
        .map(|n| {
            let odd = n % 2;
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{n}, namespace: demo, labels: {{odd: '{odd}'}}}}\n---\n"
            )
        })
        .collect::<Vec<_>>()
        .concat();
    lab.apply(&[DEMO, &maps].concat());
    let path = "/api/v1/namespaces/demo/configmaps";
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    let mut token = String::new();
    loop {
        let page = lab.raw(&format!("{path}?limit=3&continue={token}"));
        let items = page["items"].as_array().unwrap();
        sizes.push((items.len(), page["metadata"]["remainingItemCount"].as_u64()));
        names.extend(
            items
                .iter()
                .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()),
        );
        page["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [(3, Some(4)), (3, Some(1)), (1, None)]);
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    let chosen = lab.raw(&format!("{path}?limit=2&labelSelector=odd%3D1"));
    assert_eq!(chosen["items"].as_array().unwrap().len(), 2);
    assert!(chosen["metadata"]["continue"].is_string() && chosen["metadata"]["remainingItemCount"].is_null());
    let wrong = text(
        &lab.kubectl(&["get", "--raw", &format!("{path}?limit=2&continue=nonsense")])
            .stderr,
    );
    assert!(wrong.contains("continue key is not valid"), "{wrong}");
}
