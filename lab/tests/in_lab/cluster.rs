//! What only a cluster that runs can show.

use super::{fault, lab, pct, wait_for};

#[test]
fn expired_certificates_are_refused_and_a_restart_renews_them() {
    let get = || lab(&["kubectl", "get", "nodes"]);
    fault(&["cert-expired", "101"]);
    let output = get();
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .contains("x509: certificate has expired or is not yet valid"),
        "{}",
        output.stderr
    );
    let systemctl = |verb: &str| pct(&["exec", "101", "--", "systemctl", verb, "k3s"]);
    assert_eq!(systemctl("restart").code, 0);
    wait_for("the API answers", || get().code == 0);
    fault(&["cert-expired", "111", "--what", "kubelet"]);
    let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    let ready = || lab(&["kubectl", "get", "node", "k3s-worker-1", "-o", path]).stdout == "True";
    wait_for("the worker is lost", || !ready());
    fault(&["clear"]);
    wait_for("the worker is back", ready);
}

#[test]
fn a_servers_ups_and_downs_are_recorded() {
    let events = || -> Vec<String> {
        let printed = lab(&["status", "--history"]).stdout;
        let lines = printed
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|line| {
                format!(
                    "{} {}",
                    line["event"].as_str().unwrap(),
                    line["up"].as_array().unwrap().len()
                )
            })
            .collect()
    };
    let before = events();
    assert_eq!(before.last().unwrap(), "up 1", "{before:?}");
    pct(&["exec", "101", "--", "systemctl", "restart", "k3s"]);
    pct(&["exec", "101", "--", "systemctl", "kill", "-s", "KILL", "k3s"]);
    let new = || events()[before.len()..].join(", ");
    wait_for("the new start is recorded", || new().matches("up 1").count() == 2);
    let recorded = new();
    assert!(
        recorded.starts_with("stopping 0, down 0, starting 0, up 1, failed 0"),
        "{recorded}"
    );
    pct(&["stop", "101"]);
    fault(&["start", "101"]);
    wait_for("the start of the container is recorded", || {
        new().contains("lost 0, starting 0, up 1")
    });
    wait_for("the API answers", || lab(&["kubectl", "get", "nodes"]).code == 0);
}

#[test]
fn a_check_and_a_condition_fail_on_request() {
    let ready = || lab(&["kubectl", "get", "--raw", "/readyz?verbose"]);
    fault(&["readyz", "etcd"]);
    let output = ready();
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("[-]etcd failed: reason withheld"),
        "{}",
        output.stderr
    );
    fault(&["readyz", "none"]);
    assert!(ready().stdout.ends_with("readyz check passed\n"));
    let path = "jsonpath={.status.conditions[?(@.type==\"DiskPressure\")].status}";
    let presses = || lab(&["kubectl", "get", "node", "k3s-worker-2", "-o", path]).stdout;
    fault(&["node-condition", "112", "DiskPressure", "True"]);
    wait_for("the disk is full", || presses() == "True");
    fault(&["node-condition", "k3s-worker-2", "DiskPressure", "False"]);
    wait_for("the disk has room", || presses() == "False");
}

#[test]
fn a_damaged_kubeconfig_is_restored() {
    let get = || lab(&["kubectl", "get", "nodes"]).code;
    for what in ["truncated-pem", "ca-mismatch", "no-client-certificate"] {
        fault(&["kubeconfig", "101", what]);
        assert_eq!(get(), 1, "{what}");
    }
    fault(&["kubeconfig", "101", "none"]);
    assert_eq!(get(), 0);
}
