//! What is planned, wherever an earlier run may have been interrupted.

use super::*;
use crate::fixtures::{Frame, GONE, WAL, acts, params, record, server, show};
use k3s_node::recorded::SERVER;
use serde_json::json;

const FOLLOW: [Act; 3] = [Act::Prove, Act::Compare, Act::Finish];

fn sentences(state: &State) -> Vec<String> {
    let plan = plan(&params(json!({"run_id": "run-2"})), state).unwrap();
    plan.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn a_server_on_sqlite_is_moved_with_the_copy_before_and_the_comparison_after() {
    assert_eq!(
        sentences(&server(&[])),
        [
            "note in /var/lib/homelab-k3s/datastore-record.json that a migration is under way",
            "stop k3s.service: until it is back there is no API server; pods keep running",
            "copy SQLite (412 objects) and the server's token to /var/lib/homelab-k3s/backups/pre-etcd-20260101T000000Z, and check the copy",
            "write cluster-init into /etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml",
            "start k3s.service, which moves every object to etcd",
            "wait until SQLite is moved, etcd's member votes and the API is ready",
            "compare etcd with the copy, object by object",
            "remove the record, and let systemd restart k3s by itself again",
        ]
    );
}

#[test]
fn a_server_that_has_etcd_is_left_alone() {
    // Whatever else is configured: k3s does not look at it any more.
    let config = (
        "config:/etc/rancher/k3s/config.yaml",
        "cluster-init: true\ndatastore-endpoint: mysql://x\n",
    );
    let stopped = show("inactive");
    for changes in [
        &[WAL, ("database", GONE)][..],
        &[WAL, ("database", GONE), config],
        &[WAL, ("database", GONE), ("show", &stopped)],
    ] {
        assert_eq!(acts(&server(changes)), []);
    }
}

#[test]
fn a_configuration_elsewhere_has_its_own_folder_of_files() {
    let unit = k3s_node::recorded::SERVER.replace("'--node-ip'", "'--config=/srv/k3s.yaml' '--node-ip'");
    let state = server(&[("unit:k3s.service", &unit)]);
    assert!(
        sentences(&state)
            .contains(&"write cluster-init into /srv/k3s.yaml.d/zz-homelab-k3s-datastore.yaml".to_owned()),
        "{:?}",
        sentences(&state)
    );
    let variable = server(&[(
        "variables:/etc/systemd/system/k3s.service.env",
        "K3S_CONFIG_FILE=/etc/k.yaml\n",
    )]);
    assert!(
        sentences(&variable)[3].contains("/etc/k.yaml.d/"),
        "{:?}",
        sentences(&variable)
    );
}

/// The first steps of what is planned where this is found with a record of this stage.
fn begins(at: Stage, found: &[Frame], ready: bool) -> Vec<Act> {
    let record = record(at).to_text();
    let mut state = server(&[found, &[("record", &record)]].concat());
    if let Some(api) = &mut state.api {
        api.ready = ready;
    }
    let acts = acts(&state);
    let steps = plan(&params(json!({})), &state).unwrap();
    assert_eq!(steps.warnings.len(), 1, "an interrupted run is reported");
    assert!(steps.warnings[0].contains("run-1"), "{:?}", steps.warnings);
    assert!(
        steps
            .steps
            .iter()
            .all(|step| step.record.backup.ends_with("20251231T000000Z")),
        "its record is the one that counts"
    );
    assert_eq!(acts.last(), Some(&Act::Finish));
    acts
}

#[test]
fn resumes_an_interrupted_run_at_the_right_step() {
    let (active, activating, inactive, failed) = (
        show("active"),
        show("activating"),
        show("inactive"),
        show("failed"),
    );
    let (active, activating, inactive, failed) = (
        ("show", active.as_str()),
        ("show", activating.as_str()),
        ("show", inactive.as_str()),
        ("show", failed.as_str()),
    );
    let no_database = ("database", GONE);
    let copy = Act::Copy { objects: Some(412) };
    let (again, heal) = ([Act::Stop, copy], [Act::Stop, Act::PutBack, copy]);

    // Before k3s was stopped, after it, and after a reboot that started it.
    for found in [active, inactive, activating] {
        assert_eq!(
            begins(Stage::Begun, &[found], found == active)[..2],
            again,
            "{found:?}"
        );
    }
    // cluster-init is written, k3s not started yet, or was by a reboot and has not got as far as etcd.
    assert_eq!(begins(Stage::Migrating, &[inactive], false)[..2], again);
    assert_eq!(begins(Stage::Migrating, &[active], true)[..2], again);
    // It is at it.
    assert_eq!(begins(Stage::Migrating, &[activating], false), FOLLOW);
    assert_eq!(begins(Stage::Migrating, &[activating, WAL], false), FOLLOW);
    // It died at it, or serves what it had by then.
    assert_eq!(begins(Stage::Migrating, &[failed, WAL], false)[..3], heal);
    assert_eq!(begins(Stage::Migrating, &[inactive, WAL], false)[..3], heal);
    assert_eq!(begins(Stage::Migrating, &[active, WAL], true)[..3], heal);
    // It is done.
    assert_eq!(
        begins(Stage::Migrating, &[active, WAL, no_database], true),
        FOLLOW
    );
    let stopped = begins(Stage::Migrating, &[inactive, WAL, no_database], false);
    assert_eq!(stopped, [&[Act::Enable, Act::Start], &FOLLOW[..]].concat());
    // On the way back, at any moment.
    for found in [
        &[inactive, WAL][..],
        &[inactive],
        &[inactive, WAL, no_database],
        &[active],
    ] {
        assert_eq!(
            begins(Stage::GoingBack, found, false)[..2],
            heal[..2],
            "{found:?}"
        );
    }
    // Nothing is where k3s looks for it.
    assert_eq!(
        begins(Stage::Migrating, &[inactive, no_database], false)[..2],
        heal[..2]
    );
}

#[test]
fn with_a_record_nothing_is_asked_that_only_a_healthy_server_can_answer() {
    let record = record(Stage::Migrating).to_text();
    let stopped = show("inactive");
    let full = "/dev/sda1 9 9 1024 99% /";
    let ours = (
        "config:/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml",
        "cluster-init: true\n",
    );
    let state = server(&[
        ("record", &record),
        ("show", &stopped),
        ("disk:data", full),
        ("disk:dest", full),
        ours,
    ]);
    assert_eq!(acts(&state)[0], Act::Stop);
}

#[test]
fn a_server_in_a_unit_of_another_name_is_moved_under_it() {
    let show =
        "Id=k3s-server.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=7\n";
    let state = server(&[
        ("unit:k3s.service", GONE),
        ("unit:k3s-server.service", SERVER),
        (
            "unit:k3s-shutdown.service",
            "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n",
        ),
        ("show", show),
    ]);
    let plan = plan(&params(json!({})), &state).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert!(steps[1].starts_with("stop k3s-server.service: "), "{steps:?}");
    let text = |command: host::Command| String::from_utf8(command.stdin).unwrap();
    let start = text(script::start(&params(json!({})), &plan.steps[0].paths));
    assert!(
        start.contains("systemctl start --no-block 'k3s-server.service'"),
        "{start}"
    );
}
