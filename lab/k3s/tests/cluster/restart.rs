//! What a node says of itself while k3s stops, starts, and changes its version.

use crate::lab::{DEMO, Lab, SLOWER, VERSION, read, text, workload};
use std::time::Duration;

#[test]
fn readyz_comes_before_the_new_version_and_pods_do_not_notice() {
    let lab = Lab::at_pace(SLOWER, VERSION, 1);
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 2")].concat());
    lab.wait_for("pods", || lab.available("deploy/web") == "2");
    let uids = || lab.get("pods -n demo -o jsonpath={.items[*].metadata.uid}");
    let before = uids();
    lab.kill("n1");
    assert!(
        text(&lab.kubectl(&["get", "nodes"]).stderr)
            .contains("was refused - did you specify the right host or port?")
    );
    lab.start_server("v1.35.6+k3s1");
    lab.wait_for("readiness", || {
        text(&lab.kubectl(&["get", "--raw", "/readyz"]).stdout) == "ok"
    });
    let version = || lab.get("node n1 -o jsonpath={.status.nodeInfo.kubeletVersion}");
    assert_eq!(version(), VERSION, "ready with the old version");
    lab.wait_for("the new version", || version() == "v1.35.6+k3s1");
    assert_eq!(uids(), before);
    assert!(lab.available("deploy/web") == "2");
}

#[test]
fn a_lost_node_is_tainted_and_its_pods_hang() {
    let lab = Lab::start(VERSION, 3);
    lab.apply(&[DEMO, &workload("Deployment", "web", "replicas: 3")].concat());
    lab.wait_for("pods", || lab.available("deploy/web") == "3");
    lab.kill("n2");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.ready("n2"), "True", "a machine may stand still that long");
    lab.wait_for("the loss", || lab.ready("n2") == "Unknown");
    let conditions = lab.get("node n2 -o jsonpath={.status.conditions}");
    assert!(
        conditions.contains("Kubelet stopped posting node status.")
            && conditions.contains("NodeStatusUnknown")
    );
    assert!(
        lab.get("node n2 -o jsonpath={.spec.taints}")
            .contains("node.kubernetes.io/unreachable")
    );
    let drain = [
        "drain",
        "n2",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=2s",
    ];
    let hung = text(&lab.kubectl(&drain).stderr);
    assert!(hung.contains("error when waiting for pod"), "{hung}");
    assert_ne!(lab.terminating(), "");
    lab.start_agent(VERSION, "n2");
    lab.wait_for("its return", || lab.ready("n2") == "True");
    lab.wait_for("the end of its pods", || lab.terminating().is_empty());
    assert!(
        !lab.get("node n2 -o jsonpath={.spec.taints}")
            .contains("unreachable")
    );
}

#[test]
fn a_wrong_token_stays_outside_and_a_name_has_one_owner() {
    let lab = Lab::start(VERSION, 1);
    let url = format!("https://127.0.0.1:{}", lab.port);
    let try_agent = |name: &str, etc: &str, token: &str| {
        let log = lab.log(name);
        let mut child = lab
            .k3s(VERSION, etc)
            .args([
                "agent",
                "--server",
                &url,
                "--token",
                token,
                "--node-name",
                "n1",
                "--lb-server-port",
                "0",
            ])
            .args(["--node-ip", "127.0.0.1", "--data-dir"])
            .arg(lab.folder.path().join(name))
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        lab.wait_for("a refusal", || {
            read(&log).contains("Failed to retrieve agent config")
        });
        child.kill().unwrap();
        child.wait().unwrap();
        read(&log)
    };
    assert!(try_agent("wrong", "wrong", "nope").contains("/v1-k3s/config: 401 Unauthorized"));
    assert!(try_agent("twin", "twin", "labtoken").contains("Node password rejected, duplicate hostname"));
}
