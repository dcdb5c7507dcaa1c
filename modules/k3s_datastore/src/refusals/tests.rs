//! Each refusal, and that a healthy server has none.

use super::*;
use crate::fixtures::{Frame, GONE, WAL, record as a_record, rules, server, show};
use crate::record::Stage;
use crate::state::Api;
use k3s_node::recorded::{AGENT, SERVER};
use serde_json::json;

const CONFIG: &str = "config:/etc/rancher/k3s/config.yaml";

fn refused(changes: &[Frame]) -> Vec<&'static str> {
    rules(json!({}), &server(changes))
}

fn with_api(change: impl FnOnce(&mut Api)) -> Vec<&'static str> {
    let mut state = server(&[]);
    change(state.api.as_mut().unwrap());
    rules(json!({}), &state)
}

#[test]
fn a_healthy_server_is_not_refused() {
    assert_eq!(refused(&[]), [""; 0]);
}

#[test]
fn refuses_other_nodes_than_servers_at_every_run() {
    let wal = [WAL, ("database", GONE)];
    assert_eq!(
        refused(&[&wal[..], &[("systemd", GONE)]].concat()),
        ["no_systemd"]
    );
    let agent = [
        ("unit:k3s.service", GONE),
        ("unit:k3s-agent.service", AGENT),
        ("database", GONE),
    ];
    assert_eq!(refused(&agent), ["not_a_server"]);
    assert_eq!(
        refused(&[("unit:k3s.service", GONE), ("database", GONE)]),
        ["not_a_server"]
    );
    assert_eq!(refused(&[("server", GONE), ("database", GONE)]), ["not_a_server"]);
    assert_eq!(refused(&[("unit:edge.service", SERVER)]), ["other_unit"]);
    assert_eq!(
        refused(&[("unit:k3s.service", "[Service]\nExecStart=/usr/bin/other\n")]),
        ["unit"]
    );
    assert_eq!(refused(&[&wal[..], &[(CONFIG, "- [")]].concat()), ["config"]);
}

#[test]
fn a_record_that_cannot_be_understood_is_never_overwritten() {
    assert_eq!(refused(&[("record", "{")]), ["record"]);
    let elsewhere = a_record(Stage::Begun)
        .to_text()
        .replace("/var/lib/rancher/k3s", "/data");
    assert_eq!(refused(&[("record", &elsewhere)]), ["record"]);
}

#[test]
fn reports_an_external_datastore_without_its_password() {
    let by_argument = SERVER.replace(
        "'--node-ip'",
        "'--datastore-endpoint=mysql://u:s3cr3t@h/db' '--node-ip'",
    );
    let cases = [
        ("unit:k3s.service", by_argument.as_str()),
        (
            "variables:/etc/systemd/system/k3s.service.env",
            "K3S_DATASTORE_ENDPOINT=postgres://u:s3cr3t@h/db\n",
        ),
        (CONFIG, "datastore-endpoint: https://etcd.lan:2379\n"),
        (
            "config:/etc/rancher/k3s/config.yaml.d/10.yaml",
            "datastore-endpoint: nats://u:s3cr3t@h\n",
        ),
    ];
    for case in cases {
        // Also beside a state.db of former days.
        for database in ["1000", GONE] {
            let state = server(&[case, ("database", database)]);
            assert_eq!(rules(json!({}), &state), ["external"]);
            let debug = format!("{:?}", of_migration(&crate::fixtures::params(json!({})), &state));
            assert!(!debug.contains("s3cr3t"), "{debug}");
        }
    }
}

#[test]
fn reports_a_failed_migration_with_both_remedies() {
    let state = server(&[WAL]);
    assert_eq!(rules(json!({}), &state), ["failed_migration"]);
    let message = failed_migration(&state).to_string();
    for word in [
        "/var/lib/rancher/k3s/server/db has etcd/member/wal",
        "If it is SQLite",
        "If it is etcd",
    ] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_server_that_never_served_has_nothing_to_move() {
    assert_eq!(refused(&[("database", GONE)]), ["no_datastore"]);
}

#[test]
fn a_server_that_joins_another_is_refused() {
    for case in [
        (
            "variables:/etc/systemd/system/k3s.service.env",
            "K3S_URL=https://10.0.0.1:6443\n",
        ),
        (CONFIG, "server: https://10.0.0.1:6443\n"),
    ] {
        assert_eq!(refused(&[case]), ["joined"]);
    }
}

#[test]
fn an_api_that_is_not_ready_is_refused() {
    assert_eq!(refused(&[("show", &show("inactive"))]), ["api_not_ready"]);
    assert_eq!(with_api(|api| api.ready = false), ["api_not_ready"]);
}

#[test]
fn versions_that_would_lose_data_are_refused() {
    let version = |version: &str| {
        let text = format!("k3s version {version} (0123abcd)");
        let mut state = server(&[("binary-version", &text)]);
        state.api.as_mut().unwrap().version = version.parse().ok();
        state
    };
    assert_eq!(rules(json!({}), &version("v1.32.5+k3s1")), ["known_bad"]);
    for number in ["v1.30.12+k3s1", "v1.32.6+k3s1", "v1.36.3+k3s1"] {
        assert_eq!(rules(json!({}), &version(number)), [""; 0], "{number}");
    }
    let lifted = rules(
        json!({"allow_known_bad": ["temporary_kine"]}),
        &version("v1.33.1+k3s1"),
    );
    assert_eq!(lifted, [""; 0]);
    assert_eq!(refused(&[("binary-version", "?")]), ["version"]);
    // The binary was swapped, and what runs is another one.
    let running = with_api(|api| api.version = "v1.31.3+k3s1".parse().ok());
    assert_eq!(running, ["unsettled_version"]);
}

#[test]
fn cluster_init_by_somebody_else_leaves_no_way_back() {
    let by_argument = SERVER.replace("'--node-ip'", "'--cluster-init' '--node-ip'");
    let off = SERVER.replace("'--node-ip'", "'--cluster-init=false' '--node-ip'");
    for case in [
        ("unit:k3s.service", by_argument.as_str()),
        ("unit:k3s.service", &off),
        (
            "variables:/etc/systemd/system/k3s.service.env",
            "K3S_CLUSTER_INIT=true\n",
        ),
        (CONFIG, "cluster-init: true\n"),
        (
            "config:/etc/rancher/k3s/config.yaml.d/zzz.yaml",
            "cluster-init: false\n",
        ),
        // A record was removed by hand.
        (
            "config:/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml",
            "cluster-init: true\n",
        ),
    ] {
        assert_eq!(refused(&[case]), ["cluster_init"], "{case:?}");
    }
    // Ours comes after these.
    for case in [
        (CONFIG, "cluster-init: false\n"),
        (
            "variables:/etc/systemd/system/k3s.service.env",
            "K3S_CLUSTER_INIT=false\n",
        ),
    ] {
        assert_eq!(refused(&[case]), [""; 0], "{case:?}");
    }
}

#[test]
fn settings_that_do_not_go_with_etcd_are_refused() {
    assert_eq!(refused(&[(CONFIG, "disable-etcd: true\n")]), ["no_etcd"]);
    assert_eq!(
        refused(&[(
            "variables:/etc/systemd/system/k3s.service.env",
            "K3S_CONFIG_FILE=https://h/k3s.yaml\n"
        )]),
        ["odd_config"]
    );
}

#[test]
fn several_servers_cannot_live_on_one_sqlite() {
    let two = ["a", "b"].map(str::to_owned).to_vec();
    assert_eq!(with_api(|api| api.servers = Some(two)), ["other_servers"]);
    assert_eq!(with_api(|api| api.servers = None), ["other_servers"]);
    assert_eq!(
        with_api(|api| api.servers = Some(Vec::new())),
        [""; 0],
        "disable-agent"
    );
}

#[test]
fn a_database_that_cannot_be_read_is_refused() {
    let mut state = server(&[]);
    for objects in [Ok(0), Err("it is damaged".to_owned())] {
        state.objects = Some(objects);
        assert_eq!(rules(json!({}), &state), ["database"]);
    }
}

#[test]
fn room_is_wanted_for_the_copy_for_the_way_back_and_for_etcd() {
    // 100 MiB of database: 3 × 100 + 192 + 256 on one file system.
    let size = ("database", "104857600");
    let free = |mib: u64| format!("/dev/sda1 9 9 {} 1% /", mib * 1024);
    let on_one = |mib| refused(&[size, ("disk:data", &free(mib)), ("disk:dest", &free(mib))]);
    assert_eq!(on_one(748), [""; 0]);
    assert_eq!(on_one(747), ["no_space"]);
    let elsewhere = |mib: u64| format!("/dev/sdb1 9 9 {} 1% /srv", mib * 1024);
    let on_two = |data, dest| refused(&[size, ("disk:data", &free(data)), ("disk:dest", &elsewhere(dest))]);
    assert_eq!(on_two(648, 356), [""; 0]);
    assert_eq!(on_two(647, 356), ["no_space"]);
    assert_eq!(on_two(648, 355), ["no_space"]);
    let less = rules(
        json!({"min_free_mb": 0}),
        &server(&[size, ("disk:data", &free(492)), ("disk:dest", &free(492))]),
    );
    assert_eq!(less, [""; 0]);
}

#[test]
fn reports_all_refusals_together() {
    let rules = refused(&[
        ("show", &show("failed")),
        (CONFIG, "server: https://h:6443\ndisable-etcd: true\n"),
    ]);
    assert_eq!(rules, ["joined", "api_not_ready", "no_etcd"]);
}
