//! Fresh installs.

use crate::node::script;
use crate::*;

fn arguments() -> Value {
    json!({
        "role": "agent", "args": ["--node-label", "tier=work", "--kubelet-arg=v=a  b"], "settle": 0,
        "environment": {"K3S_URL": "https://10.99.0.101:6443", "K3S_TOKEN": "labtoken", "GOGC": "5 0"},
    })
}

fn installed(node: &Node, answer: &Value) {
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(answer["args"], arguments()["args"]);
    assert_eq!(answer["env_keys"], json!(["GOGC", "K3S_TOKEN", "K3S_URL"]));
    let env = "GOGC=\"5 0\"\nK3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n";
    assert_eq!(node.text("etc/systemd/system/k3s-agent.service.env"), env);
    assert_eq!(node.text("state/k3s-agent.service.runs-with"), env);
    assert!(node.has("state/k3s-agent.service.enabled") && !node.has("etc/systemd/system/k3s.service"));
    assert_eq!(node.names("var/lib/homelab-k3s"), [""; 0]);
    assert!(!answer.to_string().contains("labtoken"));
}

#[test]
fn a_fresh_install_is_one_more_case() {
    for era in ["2025", "2026"] {
        let node = Node::new(era, &[NEW]);
        installed(&node, &call(&node, &arguments(), false));
        assert_eq!(call(&node, &arguments(), false)["changed"], false);
    }
}

#[test]
fn wherever_a_fresh_install_is_killed_the_same_command_finishes_it() {
    // Every third point: the others are tried with upgrades.
    let mut points = 0;
    for point in (1..).step_by(3) {
        let node = Node::new("2025", &[NEW]);
        node.put("state/delay", "0");
        node.kill_at.set(point);
        call(&node, &arguments(), false);
        if !node.was_killed() {
            break;
        }
        node.revive();
        installed(&node, &call(&node, &arguments(), false));
        points += 1;
    }
    assert!(points > 10, "only {points} points");
}

#[test]
fn a_script_that_fails_is_fetched_again() {
    let node = Node::new("2025", &[NEW]);
    let script = std::fs::read_to_string(node.path("www/install.sh")).unwrap();
    node.edit(
        "www/install.sh",
        "    hold_at after-env",
        "    fatal \"no disk, K3S_TOKEN=$K3S_TOKEN\"",
    );
    let answer = call(&node, &arguments(), false);
    let msg = answer["msg"].as_str().unwrap();
    for words in ["ended with status 1", "no disk", "stopped half-way"] {
        assert!(msg.contains(words), "{msg}\nhas no {words:?}");
    }
    assert!(!answer.to_string().contains("labtoken"), "{answer:#}");
    std::fs::write(node.path("www/install.sh"), script).unwrap();
    installed(&node, &call(&node, &arguments(), false));
}

/// A file on our side, and its sum.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> (String, String) {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let output = std::process::Command::new("sha256sum")
        .arg(&path)
        .output()
        .unwrap();
    let sum = String::from_utf8(output.stdout).unwrap()[..64].to_owned();
    (path.display().to_string(), sum)
}

/// Options by which nothing is downloaded.
fn airgap(node: &Node, folder: &tempfile::TempDir) -> Value {
    let (binary, binary_sum) = file(folder, "k3s", &node.binary(NEW));
    let (images, images_sum) = file(folder, "images.tar", "images");
    let (script, _) = file(folder, "install.sh", &script("2026"));
    let mut options = arguments();
    options.as_object_mut().unwrap().extend(
        json!({
            "binary_path": binary, "binary_sha256": binary_sum, "images_path": images, "images_sha256": images_sum,
            "script_path": script,
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    options
}

const IMAGES: &str = "var/lib/rancher/k3s/agent/images/images.tar";

#[test]
fn nothing_is_downloaded_where_the_files_are_here() {
    let node = Node::new("2026", &[]);
    node.without_downloaders();
    let folder = tempfile::tempdir().unwrap();
    let options = airgap(&node, &folder);
    let answer = call(&node, &options, false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(node.text(IMAGES), "images");
    assert_eq!(node.names("var/lib/rancher/k3s/agent/images"), ["images.tar"]);
    assert_eq!(call(&node, &options, false)["changed"], false);
    let (path, sum) = file(&folder, "newer.tar", "newer");
    let mut other = options;
    other["state"] = json!("prefetched");
    other["images_path"] = json!(path);
    other["images_sha256"] = json!(sum);
    assert_eq!(call(&node, &other, false)["changed"], true);
    assert_eq!(call(&node, &other, false)["changed"], false);
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused_and_leave_nothing() {
    for option in ["binary_sha256", "images_sha256"] {
        let node = Node::new("2026", &[]);
        let folder = tempfile::tempdir().unwrap();
        let mut options = airgap(&node, &folder);
        options[option] = json!("0".repeat(64));
        let answer = call(&node, &options, false);
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains(&format!("where {option} says 000")) && msg.contains("it was removed"),
            "{msg}"
        );
        assert!(!node.has(IMAGES) && !node.has("etc/systemd/system/k3s-agent.service"));
        let parts = |folder: &str| {
            node.names(folder)
                .into_iter()
                .filter(|name| name.contains(".part"))
                .count()
        };
        assert_eq!(parts("usr/local/bin") + parts("var/lib/rancher/k3s/agent"), 0);
    }
    let node = Node::new("2026", &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut options = airgap(&node, &folder);
    options["binary_path"] = json!("/nowhere/k3s");
    let msg = call(&node, &options, false)["msg"].to_string();
    assert!(msg.contains("/nowhere/k3s"), "{msg}");
}

#[test]
fn a_binary_of_another_version_is_refused() {
    let node = Node::new("2026", &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut options = airgap(&node, &folder);
    let (path, sum) = file(&folder, "old", &node.binary(OLD));
    options["binary_path"] = json!(path);
    options["binary_sha256"] = json!(sum);
    let msg = call(&node, &options, false)["msg"].to_string();
    assert!(
        msg.contains("says of itself") && msg.contains("was expected"),
        "{msg}"
    );
}

#[test]
fn an_upgrade_never_becomes_a_fresh_install() {
    let node = Node::new("2025", &[NEW]);
    let answer = call(&node, &json!({"role": "server"}), false);
    assert_eq!(answer["refusals"][0]["rule"], "not_installed", "{answer:#}");
    let answer = call(&node, &json!({"role": "agent", "args": []}), false);
    assert_eq!(answer["refusals"][0]["rule"], "agent_without_url", "{answer:#}");
    assert_eq!(node.names("etc/systemd/system"), [""; 0]);
}
