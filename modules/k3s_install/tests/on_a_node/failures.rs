//! What goes wrong, and what is left then.

use crate::*;

/// Runs, fails with a message that has `words`, and leaves no trace.
fn refused(node: &Node, arguments: &Value, words: &[&str]) {
    let before = everything(node);
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], true, "{answer:#}");
    let msg = answer["msg"].as_str().unwrap();
    for word in words {
        assert!(msg.contains(word), "{msg}\nhas no {word:?}");
    }
    assert_untouched(node, &before, msg);
    assert!(!msg.contains("labtoken") && !msg.contains("s3cr3t"), "{msg}");
}

#[test]
fn a_download_that_is_not_what_was_released_never_becomes_the_binary() {
    let binary = format!("www/releases/download/{NEW}/k3s");
    let sums = format!("www/releases/download/{NEW}/sha256sum-amd64.txt");
    let url = format!("http://release.lab/releases/download/{NEW}/k3s");
    let truncated = agent("2025");
    truncated.put(&binary, "#!/bin/sh\n");
    refused(&truncated, &json!({}), &["truncated or altered", &url]);
    // Its sum is right, but it is another version.
    let other = agent("2025");
    other.release_as("v1.31.9+k3s1", NEW);
    refused(&other, &json!({}), &["k3s version v1.31.9+k3s1", &url]);
    let html = agent("2025");
    html.put(&sums, "<html>sign in</html>");
    refused(
        &html,
        &json!({}),
        &["names no k3s", "<html>sign in", "sha256sum-amd64.txt"],
    );
    for missing in [&binary, &sums] {
        let node = agent("2025");
        node.remove_file(missing);
        refused(
            &node,
            &json!({}),
            &["404", &missing.replace("www", "http://release.lab")],
        );
    }
}

#[test]
fn a_script_that_is_none_is_not_run() {
    let html = agent("2025");
    html.put("www/install.sh", "<html>sign in</html>");
    refused(
        &html,
        &json!({}),
        &["is not a shell script", "<html>", "http://release.lab/install.sh"],
    );
    let late = agent("2025");
    late.put("www/install.sh", "\n#!/bin/sh\n");
    refused(&late, &json!({}), &["is not a shell script"]);
    refused(
        &agent("2025"),
        &json!({"script_sha256": "0".repeat(64)}),
        &["script_sha256", "was not used"],
    );
    refused(
        &agent("2025"),
        &json!({"script_url": "http://release.lab/nowhere"}),
        &["404", "http://release.lab/nowhere"],
    );
    refused(
        &agent("2025"),
        &json!({"script_path": "/no/such/file"}),
        &["/no/such/file", "no such file"],
    );
    let silent = agent("2025");
    silent.edit("www/install.sh", "GITHUB_URL=", "ANOTHER_URL=");
    refused(&silent, &json!({}), &["GITHUB_URL", "download_url"]);
}

#[test]
fn a_script_without_end_does_not_fill_the_disk() {
    let node = agent("2025");
    node.put("www/install.sh", &format!("#!/bin/sh\n{}", "#".repeat(2 << 20)));
    let url = "http://release.lab/install.sh";
    refused(
        &node,
        &json!({}),
        &["downloading the install script", url, "more than 1 MiB"],
    );
}

#[test]
fn without_curl_and_wget_it_says_so() {
    let node = agent("2025");
    node.without_downloaders();
    refused(
        &node,
        &json!({}),
        &["neither curl nor wget", "install one of them"],
    );
}

#[test]
fn a_staged_binary_that_was_altered_is_not_used() {
    let node = agent("2025");
    call(&node, &json!({"state": "prefetched"}), false);
    let name = node
        .names("usr/local/bin")
        .into_iter()
        .find(|name| name.ends_with("staged"))
        .unwrap();
    node.put(&format!("usr/local/bin/{name}"), "#!/bin/sh\nrm -rf /\n");
    let before = Kept::of(&node, "k3s-agent.service");
    let answer = call(&node, &json!({}), false);
    assert!(
        answer["msg"].as_str().unwrap().contains("not what was verified"),
        "{answer:#}"
    );
    assert_eq!(
        (
            &answer["installed"],
            node.has("var/lib/homelab-k3s/install-record.json")
        ),
        (&json!(OLD), false)
    );
    assert_eq!(call(&node, &json!({}), false)["failed"], false);
    assert_intact(&node, &before, "the next time");
}

/// The script fails or loses something; unit and environment are put back, and the next run heals.
fn put_back(from: &str, to: &str, words: &[&str]) {
    let node = agent("2025");
    let before = Kept::of(&node, "k3s-agent.service");
    let unit = node.text("etc/systemd/system/k3s-agent.service");
    let script = std::fs::read_to_string(node.path("www/install.sh")).unwrap();
    node.edit("www/install.sh", from, to);
    let answer = call(&node, &json!({"role": "agent"}), false);
    let msg = answer["msg"].as_str().unwrap_or_default();
    for word in words {
        assert!(msg.contains(word), "{answer:#}\nhas no {word:?}");
    }
    assert_eq!(answer["proof"]["restored"], true);
    assert_eq!(Kept::of(&node, "k3s-agent.service"), before);
    assert_eq!(node.text("etc/systemd/system/k3s-agent.service"), unit);
    assert!(!node.has("etc/systemd/system/k3s.service") && !node.has("state/k3s.service.enabled"));
    assert!(
        node.text("state/k3s-agent.service.version").contains(OLD),
        "it was restarted"
    );
    assert!(!answer.to_string().contains("labtoken"), "{answer:#}");
    std::fs::write(node.path("www/install.sh"), script).unwrap();
    let answer = call(&node, &json!({"role": "agent"}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_intact(&node, &before, "the next time");
}

#[test]
fn a_script_that_fails_half_way_leaves_the_unit_unchanged() {
    let from = "    hold_at after-delete";
    let to = "    fatal \"no disk, K3S_TOKEN=$K3S_TOKEN\"";
    put_back(
        from,
        to,
        &["status 1", "no disk", "were restored", "not restarted"],
    );
}

#[test]
fn a_script_that_loses_arguments_is_caught() {
    let from = "for word in \"$@\"; do";
    let to = "for word in \"$1\"; do";
    put_back(from, to, &["the arguments were", "were restored"]);
}

#[test]
fn an_agent_cannot_become_a_server() {
    // A script that heeds neither role nor URL.
    let from = "    case \"$1\" in\n        '' | -*)";
    let to = "    set --\n    K3S_URL=\n    case \"$1\" in\n        '' | -*)";
    put_back(from, to, &["a unit k3s.service has appeared"]);
}

#[test]
fn reports_configuration_that_changes_meanwhile() {
    let node = agent("2025");
    let config = node.path("etc/rancher/k3s/config.yaml").display().to_string();
    node.edit(
        "www/install.sh",
        "    hold_at after-env",
        &format!("    echo 'node-name: other' >{config}"),
    );
    let answer = call(&node, &json!({}), false);
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("configuration files have changed"),
        "{answer:#}"
    );
}

#[test]
fn a_node_that_never_becomes_ready_fails_with_its_journal_and_the_next_run_goes_on() {
    let node = agent("2025");
    let before = Kept::of(&node, "k3s-agent.service");
    node.put("state/active", "activating");
    node.put("state/looping", "");
    let answer = call(&node, &json!({"timeout": 60}), false);
    let msg = answer["msg"].as_str().unwrap();
    for word in [
        "k3s-agent.service is activating",
        "60 s",
        "run the same command again",
        "joining with token ********",
    ] {
        assert!(msg.contains(word), "{msg}\nhas no {word:?}");
    }
    assert_eq!(answer["proof"]["files"], true);
    node.remove_file("state/active");
    node.remove_file("state/looping");
    let answer = call(&node, &json!({}), false);
    assert_eq!(
        answer["actions"],
        json!([
            format!("wait for node node to be Ready with k3s {NEW}"),
            "remove the install record"
        ]),
        "{answer:#}"
    );
    assert_intact(&node, &before, "once it is up");
}

#[test]
fn a_unit_that_has_failed_for_good_is_not_waited_for() {
    let node = agent("2025");
    node.put("state/active", "failed");
    let began = host::Host::elapsed(&*node);
    let answer = call(&node, &json!({}), false);
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("k3s-agent.service has failed"),
        "{answer:#}"
    );
    assert!(host::Host::elapsed(&*node) < began + std::time::Duration::from_mins(1));
}

#[test]
fn what_a_killed_run_left_at_work_is_waited_for() {
    let node = agent("2025");
    let lock = std::fs::File::create(node.path("run/homelab-k3s.lock")).unwrap();
    lock.lock().unwrap();
    refused(
        &node,
        &json!({"lock_timeout": 0}),
        &["an earlier run is still running there"],
    );
    drop(lock);
    assert_eq!(call(&node, &json!({"lock_timeout": 0}), false)["failed"], false);
}

#[test]
fn refusals_come_before_anything_is_touched() {
    refused(
        &agent("2025"),
        &json!({"role": "server"}),
        &["is a k3s agent, and server is expected", "nothing was touched"],
    );
    refused(
        &agent("2025"),
        &json!({"node_name": "k3s-worker-7"}),
        &["is the node node, and k3s-worker-7 is expected"],
    );
    refused(
        &agent("2025"),
        &json!({"min_free_mb": 1_000_000_000}),
        &["MiB free on", "no_space"],
    );
    refused(
        &agent("2025"),
        &json!({"version": "v1.30.1+k3s1"}),
        &["v1.30.1+k3s1 is older", "allow_downgrade"],
    );
    refused(
        &agent("2025"),
        &json!({"args": ["--node-label", "a=b"]}),
        &["args is for a fresh install"],
    );
}

#[test]
fn nodes_that_were_changed_by_hand_are_refused_before_anything_is_touched() {
    let edited = agent("2025");
    edited.edit(
        "etc/systemd/system/k3s-agent.service",
        "KillMode=process",
        "KillMode=process\nEnvironment=K3S_TOKEN=s3cr3t",
    );
    refused(
        &edited,
        &json!({}),
        &[
            "lines that the install script does not write: [Service] Environment",
            "drop-in",
        ],
    );
    let two = agent("2025");
    two.put(
        "etc/systemd/system/k3s.service",
        "[Service]\nExecStart=/usr/local/bin/k3s server\n",
    );
    refused(
        &two,
        &json!({}),
        &[
            "both k3s.service and k3s-agent.service",
            "systemctl disable --now k3s.service",
            "/etc/systemd/system/k3s.service.env",
        ],
    );
    let moved = agent("2025");
    moved.put("proc/net/fib_trie", "|-- 10.99.0.102\n /32 host LOCAL\n");
    refused(&moved, &json!({}), &["has the address 10.99.0.101", "pct_id"]);
    let lost = agent("2025");
    lost.remove_file("etc/systemd/system/k3s-agent.service");
    refused(
        &lost,
        &json!({"role": "agent", "args": []}),
        &["no unit", "put unit and environment file back"],
    );
}
