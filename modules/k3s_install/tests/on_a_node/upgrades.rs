//! Upgrades that go well.

use crate::*;

fn assert_upgraded(node: &Node, unit: &'static str, arguments: &Value) {
    let before = Kept::of(node, unit);
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(
        (&answer["running"], &answer["installed"]),
        (&json!(NEW), &json!(NEW))
    );
    assert_eq!(
        (&answer["proof"]["files"], &answer["proof"]["running"]),
        (&json!(true), &json!(NEW))
    );
    assert_intact(node, &before, "after the upgrade");
    let again = call(node, arguments, false);
    assert_eq!(
        (&again["changed"], &again["actions"]),
        (&json!(false), &json!([])),
        "{again:#}"
    );
    assert!(
        !answer.to_string().contains("labtoken") && !answer.to_string().contains("s3cr3t"),
        "{answer:#}"
    );
}

#[test]
fn an_agent_keeps_url_token_labels_and_arguments() {
    for era in ["2025", "2026"] {
        assert_upgraded(
            &agent(era),
            "k3s-agent.service",
            &json!({"role": "agent", "node_name": "node"}),
        );
    }
}

#[test]
fn a_server_keeps_flags_token_and_disabled_add_ons() {
    for era in ["2025", "2026"] {
        assert_upgraded(&server(era), "k3s.service", &json!({"role": "server"}));
    }
}

#[test]
fn the_script_may_download_for_itself() {
    assert_upgraded(&agent("2026"), "k3s-agent.service", &json!({"prefetch": false}));
}

#[test]
fn a_disabled_unit_stays_disabled() {
    let node = agent("2025");
    node.remove_file("state/k3s-agent.service.enabled");
    assert_upgraded(&node, "k3s-agent.service", &json!({}));
}

#[test]
fn drop_ins_stay_and_variables_that_the_script_does_not_carry_too() {
    let node = agent("2026");
    let drop_in = "etc/systemd/system/k3s-agent.service.d/mine.conf";
    node.put(drop_in, "[Service]\nEnvironment=GOGC=50\nLimitNOFILE=65536\n");
    let env = "etc/systemd/system/k3s-agent.service.env";
    node.put(
        env,
        &format!("{}# mine\nGOGC='5  0'\nK3S_NODE_NAME=\"node\"\n", node.text(env)),
    );
    let kept = node.text(drop_in);
    assert_upgraded(&node, "k3s-agent.service", &json!({"node_name": "node"}));
    assert_eq!(node.text(drop_in), kept);
}

#[test]
fn an_agent_that_is_ready_before_its_unit_is_active_is_installed() {
    let node = agent("2026");
    node.put("state/active", "activating");
    let before = Kept::of(&node, "k3s-agent.service");
    let answer = call(&node, &json!({}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(
        (&answer["active"], &answer["proof"]["unit_state"]),
        (&json!("activating"), &json!("activating"))
    );
    let notice = answer["proof"]["notice"].as_str().unwrap();
    assert!(notice.contains("node node was Ready after"), "{notice}");
    assert_intact(&node, &before, "the unit is activating");
    assert_eq!(call(&node, &json!({}), false)["changed"], false);
}

#[test]
fn variables_of_kine_are_kept_whether_or_not_the_script_carries_them() {
    for era in ["2025", "2026"] {
        let node = server(era);
        let env = "etc/systemd/system/k3s.service.env";
        let kine = "KINE_SCHEMA_MIGRATION='1'\nKINE_ENDPOINT=\"postgres://kine:s3cr3t@10.0.0.9/k3s\"\n";
        node.put(env, &format!("{}{kine}", node.text(env)));
        assert_upgraded(&node, "k3s.service", &json!({}));
        assert!(node.text(env).ends_with(kine), "{}", node.text(env));
        let runs_with = node.text("state/k3s.service.runs-with");
        assert!(runs_with.ends_with(kine), "{runs_with}");
    }
}

#[test]
fn what_was_staged_needs_no_download() {
    let node = agent("2025");
    let answer = call(&node, &json!({"state": "prefetched", "node_name": "node"}), false);
    assert_eq!(
        (&answer["failed"], &answer["changed"], &answer["staged"]),
        (&json!(false), &json!(true), &json!(true)),
        "{answer:#}"
    );
    assert_eq!(answer["installed"], OLD);
    assert_eq!(
        call(&node, &json!({"state": "prefetched"}), false)["changed"],
        false
    );
    node.remove_file("bin/curl");
    node.put("bin/curl", "not there");
    assert_upgraded(&node, "k3s-agent.service", &json!({}));
    assert_eq!(
        call(&node, &json!({"state": "prefetched"}), false)["changed"],
        false
    );
}

#[test]
fn what_was_staged_for_another_version_makes_room() {
    let node = agent("2025");
    node.release("v1.31.6+k3s1");
    call(&node, &json!({"state": "prefetched"}), false);
    call(
        &node,
        &json!({"state": "prefetched", "version": "v1.31.6+k3s1"}),
        false,
    );
    let staged: Vec<String> = node
        .names("usr/local/bin")
        .into_iter()
        .filter(|name| name.starts_with(".k3s"))
        .collect();
    assert!(
        staged.len() == 1 && staged[0].contains("v1.31.6+k3s1"),
        "{staged:?}"
    );
}

#[test]
fn check_mode_looks_once_and_changes_nothing() {
    let node = agent("2025");
    let before = everything(&node);
    node.fed.borrow_mut().clear();
    let answer = call(&node, &json!({}), true);
    assert_eq!(
        (&answer["changed"], answer["actions"].as_array().unwrap().len()),
        (&json!(true), 8)
    );
    assert_eq!(node.fed.borrow().len(), 1, "one round trip is enough");
    assert_untouched(&node, &before, "check mode");
    let diff = &answer["diff"][0];
    assert!(diff["before"].as_str().unwrap().contains("K3S_TOKEN=********"));
    assert_eq!(
        diff["after"].as_str().unwrap(),
        diff["before"].as_str().unwrap().replace(OLD, NEW)
    );
}

#[test]
fn a_binary_that_was_swapped_by_hand_is_only_restarted() {
    let node = agent("2025");
    node.swap_by_hand(NEW);
    let before = Kept::of(&node, "k3s-agent.service");
    let answer = call(&node, &json!({}), false);
    assert_eq!(
        answer["actions"],
        json!([
            "restart k3s-agent.service",
            format!("wait for node node to be Ready with k3s {NEW}")
        ])
    );
    assert_eq!(answer["version_before"], OLD);
    assert_intact(&node, &before, "after the restart");
}

#[test]
fn a_script_of_ones_own_is_sent_along() {
    let node = agent("2025");
    node.remove_file("www/install.sh");
    node.put("mine.sh", &node::script("2025"));
    let arguments = json!({"script_path": node.path("mine.sh").display().to_string()});
    assert_upgraded(&node, "k3s-agent.service", &arguments);
}

#[test]
fn downloads_from_a_mirror_instead_of_the_scripts_own_address() {
    let node = agent("2025");
    std::fs::rename(node.path("www/releases"), node.path("www/mirror")).unwrap();
    assert_eq!(call(&node, &json!({}), false)["failed"], true);
    assert_upgraded(
        &node,
        "k3s-agent.service",
        &json!({"download_url": "http://release.lab/mirror/"}),
    );
}

#[test]
fn it_works_where_sh_is_bash_and_in_any_language() {
    let node = agent("2026");
    let env = "etc/systemd/system/k3s-agent.service.env";
    node.put(env, &format!("{}# für die Übung\nGOGC=\"ü\"\n", node.text(env)));
    node.shell.set("/bin/bash");
    assert_upgraded(&node, "k3s-agent.service", &json!({}));
}
