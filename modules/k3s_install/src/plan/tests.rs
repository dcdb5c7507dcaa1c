//! Tables: what is true, what is asked for, what is done or refused.

use super::*;
use crate::fixtures::*;
use serde_json::{Value, json};

/// The steps in short.
fn steps(more: Value, changes: &[Frame]) -> Vec<&'static str> {
    let params = params(more);
    let (acts, refusals) = decide(&params, &agent_for(&params, changes));
    assert_eq!(refusals, []);
    acts.iter().map(short).collect()
}

fn short(act: &Act) -> &'static str {
    match act {
        Act::Fetch {
            fetch:
                Fetch {
                    script: true,
                    binary: true,
                    ..
                },
            ..
        } => "fetch both",
        Act::Fetch {
            fetch: Fetch { script: true, .. },
            ..
        } => "fetch script",
        Act::Fetch { .. } => "fetch binary",
        Act::SaveRecord(_) => "save",
        Act::Swap { staged: None, .. } => "swap",
        Act::Swap { .. } => "swap staged",
        Act::RunScript {
            have_binary: true, ..
        } => "script",
        Act::RunScript { .. } => "script downloads",
        Act::Prove(_) => "prove",
        Act::Restart { .. } => "restart",
        Act::Wait(_) => "wait",
        Act::DropRecord { .. } => "drop",
        Act::Images { .. } => "images",
    }
}

#[test]
fn upgrades_in_order_with_downloads_first() {
    let all = [
        "fetch both",
        "save",
        "swap",
        "script",
        "prove",
        "restart",
        "wait",
        "drop",
    ];
    assert_eq!(steps(json!({}), &[]), all);
}

#[test]
fn what_is_staged_is_not_fetched() {
    assert_eq!(
        steps(json!({}), &[STAGED])[..3],
        ["fetch script", "save", "swap staged"]
    );
    assert_eq!(steps(json!({}), &[SCRIPT])[..3], ["fetch binary", "save", "swap"]);
    assert_eq!(steps(json!({}), &[STAGED, SCRIPT])[..2], ["save", "swap staged"]);
    // From elsewhere, or verified against no sum: another script.
    assert_eq!(
        steps(json!({"script_url": "http://other/"}), &[STAGED, SCRIPT])[0],
        "fetch script"
    );
    assert_eq!(
        steps(json!({"script_sha256": "0".repeat(64)}), &[STAGED, SCRIPT])[0],
        "fetch script"
    );
    assert_eq!(
        steps(json!({"script_path": "/x"}), &[STAGED, SCRIPT])[0],
        "fetch script"
    );
}

#[test]
fn without_prefetch_the_script_downloads() {
    let acts = [
        "fetch script",
        "save",
        "script downloads",
        "prove",
        "restart",
        "wait",
        "drop",
    ];
    assert_eq!(steps(json!({"prefetch": false}), &[]), acts);
    assert_eq!(steps(json!({"prefetch": false}), &[STAGED])[2], "swap staged");
}

#[test]
fn nothing_differs_and_nothing_is_done() {
    let up_to_date = [NEW_BINARY, ("node", &node_says(NEW))];
    assert_eq!(steps(json!({}), &up_to_date), [""; 0]);
    assert_eq!(
        steps(
            json!({"role": "agent", "node_name": "k3s-worker-1", "min_free_mb": 99_999_999}),
            &up_to_date
        ),
        [""; 0]
    );
}

#[test]
fn leaves_an_agent_alone_whose_unit_is_still_activating() {
    let show = show("activating", 2000);
    let late = [NEW_BINARY, ("node", &*node_says(NEW)), ("show", &*show)];
    assert_eq!(steps(json!({}), &late), [""; 0]);
    // Not restarted either while its node cannot be read.
    let silent = [
        NEW_BINARY,
        ("node", "Unable to connect to the server"),
        ("show", &*show),
    ];
    assert_eq!(steps(json!({}), &silent), ["wait"]);
}

#[test]
fn a_new_binary_with_an_old_process_is_restarted() {
    assert_eq!(steps(json!({}), &[NEW_BINARY]), ["restart", "wait"]);
    // The service is stopped; the node object still has the new version.
    let stopped = [
        NEW_BINARY,
        ("node", &node_says(NEW)),
        ("show", &show("inactive", 2000)),
    ];
    assert_eq!(steps(json!({}), &stopped), ["restart", "wait"]);
}

#[test]
fn uses_the_age_of_the_process_when_the_api_is_silent() {
    let (older, newer) = ((NEW_YEAR + 1000).to_string(), (NEW_YEAR + 3000).to_string());
    for (changed, acts) in [(older, &["wait"][..]), (newer, &["restart", "wait"])] {
        let show = show("active", 2000);
        let silent = [
            NEW_BINARY,
            ("node", "Unable to connect to the server"),
            ("show", &*show),
            ("binary-changed", &*changed),
        ];
        assert_eq!(steps(json!({}), &silent), acts);
    }
}

#[test]
fn resumes_an_interrupted_install_at_its_step() {
    let unproven = ("record", &*record(None));
    // Before the swap; after it; with the unit deleted, or half of it.
    assert_eq!(
        steps(json!({}), &[unproven, STAGED, SCRIPT])[..3],
        ["save", "swap staged", "script"]
    );
    let rest = ["save", "script", "prove", "restart", "wait", "drop"];
    assert_eq!(steps(json!({}), &[unproven, SCRIPT, NEW_BINARY]), rest);
    let deleted = [
        unproven,
        SCRIPT,
        NEW_BINARY,
        ("unit:k3s-agent.service", "gone"),
        ("variables:/etc/systemd/system/k3s-agent.service.env", "gone"),
    ];
    assert_eq!(steps(json!({}), &deleted), rest);
    let half = [
        unproven,
        SCRIPT,
        NEW_BINARY,
        ("unit:k3s-agent.service", "[Service]\nExecStart="),
        ("variables:/etc/systemd/system/k3s-agent.service.env", ""),
    ];
    assert_eq!(steps(json!({}), &half), rest);
}

#[test]
fn after_the_proof_only_the_restart_may_be_missing() {
    let proven = record(Some(NEW_YEAR + 3000));
    let after = |started, more: &[Frame]| {
        steps(
            json!({}),
            &[
                &[
                    ("record", &*proven),
                    NEW_BINARY,
                    ("show", &show("active", started)),
                ],
                more,
            ]
            .concat(),
        )
    };
    assert_eq!(after(2000, &[]), ["restart", "wait", "drop"]);
    assert_eq!(after(3001, &[]), ["wait", "drop"]);
    // Somebody changed the unit after the proof: then it is none.
    let changed = AGENT.replace("tier=work", "tier=other");
    assert_eq!(
        after(3001, &[("unit:k3s-agent.service", &changed)])[0],
        "fetch script"
    );
}

#[test]
fn the_record_and_not_the_files_is_replayed() {
    let state = agent(&[
        ("record", &record(None)),
        ("unit:k3s-agent.service", "gone"),
        ("variables:/etc/systemd/system/k3s-agent.service.env", "gone"),
    ]);
    let (acts, _) = decide(&params(json!({"run_id": "run-2"})), &state);
    let Some(Act::SaveRecord(saved)) = acts.iter().find(|act| matches!(act, Act::SaveRecord(_))) else {
        panic!("{acts:?}")
    };
    assert_eq!(saved.setup, Record::parse(&record(None)).unwrap().setup);
    assert_eq!((saved.run_id.as_deref(), saved.proven_at), (Some("run-2"), None));
}

#[test]
fn a_record_of_another_version_changes_the_target_only() {
    let acts = steps(
        json!({"version": "v1.31.6+k3s1"}),
        &[
            ("record", &record(Some(NEW_YEAR))),
            NEW_BINARY,
            ("node", &node_says(NEW)),
        ],
    );
    assert_eq!(acts[..3], ["fetch both", "save", "swap"]);
}

#[test]
fn prefetched_touches_nothing_else() {
    let prefetched = |changes: &[Frame]| steps(json!({"state": "prefetched"}), changes);
    assert_eq!(prefetched(&[]), ["fetch both"]);
    assert_eq!(prefetched(&[SCRIPT]), ["fetch binary"]);
    assert_eq!(prefetched(&[STAGED]), [""; 0]);
    assert_eq!(prefetched(&[NEW_BINARY]), [""; 0]);
    assert_eq!(
        agent_rules(json!({"state": "prefetched", "role": "server"}), &[]),
        ["role"]
    );
    assert_eq!(
        agent_rules(json!({"state": "prefetched", "min_free_mb": 99_999_999}), &[]),
        ["no_space"]
    );
}

#[test]
fn prefetched_refuses_what_the_installation_would_refuse() {
    let older = json!({"state": "prefetched", "version": "v1.31.3+k3s1"});
    assert_eq!(agent_rules(older.clone(), &[]), ["downgrade"]);
    let mut allowed = older;
    allowed["allow_downgrade"] = true.into();
    assert_eq!(agent_rules(allowed, &[]), [""; 0]);
    // Also where nothing is left to download.
    assert_eq!(
        agent_rules(
            json!({"state": "prefetched", "args": ["--node-label", "x=y"]}),
            &[STAGED]
        ),
        agent_rules(json!({"args": ["--node-label", "x=y"]}), &[STAGED]),
    );
    assert!(!agent_rules(json!({"args": ["--node-label", "x=y"]}), &[STAGED]).is_empty());
}

#[test]
fn downloads_use_the_nodes_own_proxies() {
    let env = "K3S_URL=https://a:6443\nHTTPS_PROXY=http://proxy:3128\n";
    let (acts, _) = decide(
        &params(json!({})),
        &agent(&[("variables:/etc/systemd/system/k3s-agent.service.env", env)]),
    );
    let Act::Fetch { fetch, .. } = &acts[0] else {
        panic!("{acts:?}")
    };
    assert_eq!(
        fetch.proxies,
        [("HTTPS_PROXY".to_owned(), "http://proxy:3128".to_owned())]
    );
}

#[test]
fn an_interrupted_fresh_install_does_what_is_asked_now() {
    let interrupted =
        r#"{"format":1,"version":"v1","saved_at":1,"role":"server","args":["--old"],"enabled":true}"#;
    let params = params(json!({"role": "server", "args": ["--new"]}));
    let state = state_for(&params, &[("systemd", "yes"), ("record", interrupted)]);
    let (acts, refusals) = decide(&params, &state);
    assert_eq!(refusals, []);
    let Some(Act::RunScript { setup, .. }) = acts.iter().find(|act| matches!(act, Act::RunScript { .. }))
    else {
        panic!()
    };
    assert_eq!(setup.args, ["--new"]);
    // Without the options of a fresh install the record has them.
    let (acts, _) = decide(&crate::fixtures::params(json!({})), &state);
    let Some(Act::SaveRecord(record)) = acts.iter().find(|act| matches!(act, Act::SaveRecord(_))) else {
        panic!()
    };
    assert_eq!(record.setup.args, ["--old"]);
}

#[test]
fn no_step_shows_a_secret() {
    let unit = AGENT.replace("'--node-label'", "'--token' 's3cr3t'");
    let params = params(json!({}));
    let plan = plan(&params, &agent(&[("unit:k3s-agent.service", &unit)])).unwrap();
    let shown: Vec<String> = plan.steps.iter().map(|step| format!("{step}{step:?}")).collect();
    let shown = shown.join("\n");
    assert!(
        !shown.contains("s3cr3t") && !shown.contains("labtoken"),
        "{shown}"
    );
    let diff = format!("{:?}", plan.diff);
    assert!(
        !diff.contains("s3cr3t") && !diff.contains("labtoken") && diff.contains("K3S_URL=https"),
        "{diff}"
    );
}
