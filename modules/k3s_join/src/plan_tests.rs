//! What the node's programs print goes in, the steps or the refusal come out.

use super::*;
use crate::params::{Params, Wanted};
use k3s_node::facts::Facts;
use k3s_node::settings::DEFAULT_CONFIG;
use serde_json::{Value as Json, json};

const CA: &str = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";
const OTHER: &str = "-----BEGIN CERTIFICATE-----\nother\n-----END CERTIFICATE-----";
const SERVER_UNIT: &str = "[Service]\nExecStart=/usr/local/bin/k3s server\n";
const AGENT_UNIT: &str = "[Service]\nExecStart=/usr/local/bin/k3s agent\n";
const TRIE: &str = "     |-- 10.0.0.2\n        /32 host LOCAL\n";
const ADDRESS: [(&str, &str); 1] = [("fib-trie", TRIE)];

fn joining(role: &str, more: Json) -> Joining {
    let mut all = json!({
        "state": "prepared", "role": role, "node_name": "n2", "token": "s3cr3t", "version": "v1.31.4+k3s1",
        "server": {"url": "https://10.0.0.1:6443", "version": "v1.31.4+k3s1", "datastore": "etcd", "ca": CA, "settings": {}},
        "members": [{"id": "a1", "name": "n1-11111111", "node": "n1", "peer_urls": ["https://10.0.0.1:2380"], "healthy": true}],
    });
    for (key, value) in more.as_object().unwrap() {
        match (all.get_mut(key), value) {
            (Some(Json::Object(into)), Json::Object(more)) => into.extend(more.clone()),
            _ => all[key] = value.clone(),
        }
    }
    let params: Params = serde_json::from_value(all).unwrap();
    let Wanted::Prepared(joining) = params.wanted else {
        panic!()
    };
    *joining
}

/// A node that reaches the server, with these frames besides; `ping` names the program that asked and its status.
fn node(joining: &Joining, more: &[(&str, &str)]) -> Node {
    let mut frames = vec![("hostname", "n2"), ("systemd", "yes"), ("ping", "curl 0")];
    frames.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    frames.extend_from_slice(more);
    let ping = frames.iter().find(|(name, _)| *name == "ping");
    let asked = ping.and_then(|(_, ping)| ping.split_once(' '));
    let name = asked.map(|(program, status)| {
        (
            format!("ping:{program}"),
            format!("status:ping:{program}"),
            status,
        )
    });
    if let Some((ping, of_ping, status)) = &name {
        frames.insert(0, (ping, ""));
        frames.push((of_ping, status));
    }
    frames.push(("end", ""));
    let put = |(name, text): &(&str, &str)| format!("@{name} {}\n{text}\n", text.len());
    let text = frames.iter().map(put).collect::<Vec<_>>().concat();
    Node::read(&Facts::parse(text.as_bytes()).unwrap(), DEFAULT_CONFIG, joining).unwrap()
}

fn steps_of(role: Role, more: Json, frames: &[(&str, &str)]) -> Vec<String> {
    let joining = joining(role.word(), more);
    plan(role, &joining, &node(&joining, frames), "T")
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn written(role: Role, more: Json, frames: &[(&str, &str)]) -> String {
    let joining = joining(role.word(), more);
    let plan = plan(role, &joining, &node(&joining, frames), "T").unwrap();
    let text = plan.steps.iter().find_map(|step| match &step.0 {
        Act::Configure { text, .. } => Some(text.clone()),
        Act::SetAside { .. } => None,
    });
    text.unwrap().split_once('\n').unwrap().1.to_owned()
}

fn refused(role: Role, more: Json, frames: &[(&str, &str)], why: &str) -> String {
    let joining = joining(role.word(), more);
    let error = plan(role, &joining, &node(&joining, frames), "T")
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("nothing was touched. ") && error.contains(&format!("({why})")),
        "{error}"
    );
    assert!(!error.contains("s3cr3t"), "{error}");
    error
}

const WRITE: &str =
    "write /etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-join.yaml: it joins https://10.0.0.1:6443";

#[test]
fn configures_an_empty_node_to_join() {
    for role in [Role::Server, Role::Agent] {
        assert_eq!(steps_of(role, json!({}), &[]), [WRITE]);
        assert_eq!(
            written(role, json!({}), &[]),
            "server: https://10.0.0.1:6443\ntoken: s3cr3t\n"
        );
    }
}

const NODE_UNIT: (&str, &str) = (
    "unit:k3s-node.service",
    "[Service]\nExecStart=/usr/local/bin/k3s agent --server https://10.0.0.1:6443 --token s3%%cr3t\n",
);

#[test]
fn a_worker_in_a_unit_of_another_name_joins_under_it() {
    let shutdown = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
    let frames = [
        NODE_UNIT,
        ("unit:k3s-shutdown.service", shutdown),
        (
            "show",
            "Id=k3s-node.service\nActiveState=activating\n\nId=k3s-shutdown.service\nActiveState=active\n",
        ),
    ];
    let joining = joining("agent", json!({"token": "s3%cr3t"}));
    let steps = plan(Role::Agent, &joining, &node(&joining, &frames), "T")
        .unwrap()
        .steps;
    let Act::SetAside { units, what, .. } = &steps[0].0 else {
        panic!("{}", steps[0])
    };
    assert_eq!(
        (units.as_slice(), what.len()),
        (["k3s-node.service".to_owned()].as_slice(), 0)
    );
    // Another token than this cluster's stands in its unit.
    refused(Role::Agent, json!({}), &frames, "other_token");
}

#[test]
fn a_member_that_reaches_the_cluster_is_left_alone_under_whatever_name() {
    let frames = [NODE_UNIT, ("identity", "x"), ("agent-ca", CA)];
    assert_eq!(steps_of(Role::Agent, json!({}), &frames), [""; 0]);
}

#[test]
fn a_server_is_named_by_its_address_of_ipv6_too() {
    use crate::node::host_of;
    for (url, host) in [
        ("https://[fd00::1]:6443", "fd00::1"),
        ("https://[fd00::1]", "fd00::1"),
        ("https://10.0.0.1:6443", "10.0.0.1"),
        ("https://k3s.lan", "k3s.lan"),
        ("https://k3s.lan:6443", "k3s.lan"),
    ] {
        assert_eq!(host_of(url), host, "{url}");
    }
    let url = json!({"server": {"url": "https://[fd00::1]:6443"}});
    let frames = [("ping", "curl 60"), ("open-ca", CA)];
    let refusal = refused(Role::Agent, url, &frames, "not_in_certificate");
    assert!(refusal.contains("tls-san: [\"fd00::1\"]"), "{refusal}");
    let members =
        json!({"members": [{"id": "b2", "name": "n2-22222222", "peer_urls": ["https://[fd00::2]:2380"]}]});
    let inet6 = "fd000000000000000000000000000002 02 40 00 80 eth0\n";
    let joining = joining("server", members);
    let node = node(&joining, &[("if-inet6", inet6)]);
    assert_eq!(stale(Role::Server, &joining, &node).len(), 1);
}

#[test]
fn a_node_that_is_prepared_is_left_alone() {
    let text = format!(
        "# Written by homelab.k3s.k3s_join: which cluster this node joins.\n{}",
        written(Role::Server, json!({}), &[])
    );
    let ours = (
        "config:/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-join.yaml",
        text.as_str(),
    );
    assert_eq!(steps_of(Role::Server, json!({}), &[ours]), [""; 0]);
    // Another token, another address: our own file does not count as the node's settings.
    let other = (
        "config:/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-join.yaml",
        "disable: x\nnode-name: y\n",
    );
    assert_eq!(steps_of(Role::Server, json!({}), &[other]), [WRITE]);
}

#[test]
fn the_servers_settings_go_along_where_the_node_says_nothing() {
    let settings = json!({"server": {"settings": {"disable": ["traefik"], "cluster-cidr": ["10.1.0.0/16"],
        "secrets-encryption": ["true"], "tls-san": ["api", "api2"]}}, "agent_token": "ag3nt"});
    assert_eq!(
        written(Role::Server, settings.clone(), &[("hostname", "other")]),
        "node-name: n2\nserver: https://10.0.0.1:6443\ntoken: s3cr3t\nagent-token: ag3nt\ncluster-cidr: \"10.1.0.0/16\"\n\
         disable:\n- traefik\nsecrets-encryption: true\ntls-san:\n- api\n- api2\n"
    );
    // k3s reads YAML 1.1, in which these are a number and a truth.
    let strange = json!({"server": {"settings": {"cluster-domain": ["on"]}}, "agent_token": "123_456"});
    assert_eq!(
        written(Role::Server, strange, &[("hostname", "other")]),
        "node-name: n2\nserver: https://10.0.0.1:6443\ntoken: s3cr3t\nagent-token: \"123_456\"\ncluster-domain: \"on\"\n"
    );
    let own = [(
        "config:/etc/rancher/k3s/config.yaml",
        "disable: [traefik]\ntls-san: mine\ncluster-cidr: 10.1.0.0/16\nsecrets-encryption: true\n",
    )];
    assert_eq!(
        written(Role::Server, settings.clone(), &own),
        "server: https://10.0.0.1:6443\ntoken: s3cr3t\nagent-token: ag3nt\n"
    );
    // They are servers' settings.
    assert_eq!(
        written(Role::Agent, settings, &[]),
        "server: https://10.0.0.1:6443\ntoken: s3cr3t\n"
    );
}

#[test]
fn refuses_different_settings_by_name_and_location() {
    let settings = json!({"server": {"settings": {"cluster-cidr": ["10.1.0.0/16"]}}});
    let own = [(
        "config:/etc/rancher/k3s/config.yaml",
        "cluster-cidr: 10.2.0.0/16\n",
    )];
    let error = refused(Role::Server, settings.clone(), &own, "setting");
    assert!(
        error.contains("cluster-cidr is \"10.2.0.0/16\" there (/etc/rancher/k3s/config.yaml), and \"10.1.0.0/16\" on the server"),
        "{error}"
    );
    assert_eq!(steps_of(Role::Agent, settings, &own), [WRITE]);
}

#[test]
fn a_server_whose_member_lives_on_is_left_alone_whatever_else_is_so() {
    let members = json!({"members": [{"id": "b2", "name": "n2-22222222", "node": "n2", "peer_urls": ["https://10.0.0.2:2380"]}]});
    let frames = [
        ("wal", "x"),
        ("etcd-name", "n2-22222222"),
        ("ping", "curl 7"),
        ("ca", CA),
        ("unit:k3s.service", SERVER_UNIT),
    ];
    assert_eq!(steps_of(Role::Server, members.clone(), &frames), [""; 0]);
    let joining = joining("server", members);
    let node = node(&joining, &frames);
    assert!(joined(Role::Server, &joining, &node));
    assert!(stale(Role::Server, &joining, &node).is_empty());
    assert!(gone(Role::Server, &joining, &node).is_empty());
}

#[test]
fn an_agent_with_an_identity_of_this_cluster_has_joined() {
    let frames = [
        ("unit:k3s-agent.service", AGENT_UNIT),
        ("identity", "x"),
        ("agent-ca", CA),
    ];
    assert_eq!(steps_of(Role::Agent, json!({}), &frames), [""; 0]);
    for without in 0..2 {
        let mut frames = frames.to_vec();
        frames.remove(without + 1);
        assert_eq!(steps_of(Role::Agent, json!({}), &frames).last().unwrap(), WRITE);
    }
}

#[test]
fn the_database_of_a_member_that_is_gone_is_set_aside() {
    let frames = [
        ("wal", "x"),
        ("etcd-name", "n2-0000000"),
        ("ca", CA),
        ("data:server", "x"),
        ("unit:k3s.service", SERVER_UNIT),
    ];
    assert_eq!(
        steps_of(Role::Server, json!({}), &frames),
        [
            "stop k3s, and set server/db/etcd aside as before-join-T: the cluster does not know this member of etcd any more",
            WRITE
        ]
    );
}

#[test]
fn a_server_that_runs_outside_of_the_cluster_is_stopped_first() {
    let show = "Id=k3s.service\nActiveState=activating\n";
    let frames = [("ca", CA), ("unit:k3s.service", SERVER_UNIT), ("show", show)];
    assert_eq!(
        steps_of(Role::Server, json!({}), &frames),
        ["stop k3s: it runs, and does not belong to the cluster yet", WRITE]
    );
}

#[test]
fn sets_all_data_without_a_unit_aside() {
    for data in [
        [("ca", CA), ("data:server", "x")],
        [("identity", "x"), ("data:agent", "x")],
    ] {
        let what = data[1].0.trim_start_matches("data:");
        assert_eq!(
            steps_of(Role::Server, json!({}), &data)[0],
            format!(
                "stop k3s, and set {what} aside as before-join-T: there is data of k3s, and no unit that it belongs to"
            )
        );
    }
    // A folder that holds nothing of k3s is none of our business.
    assert_eq!(
        steps_of(Role::Server, json!({}), &[("data:server", "x")]),
        [WRITE]
    );
}

#[test]
fn another_clusters_data_is_set_aside_only_on_demand() {
    let unit = ("unit:k3s.service", SERVER_UNIT);
    for data in [("ca", OTHER), ("agent-ca", OTHER), ("sqlite", "x")] {
        let frames = [unit, data, ("data:server", "x"), ("data:agent", "x")];
        let error = refused(Role::Server, json!({}), &frames, "other_cluster");
        assert!(error.contains("k3s_join_discard=true"), "{error}");
        let steps = steps_of(Role::Server, json!({"discard": true}), &frames);
        assert_eq!(
            steps[0],
            "stop k3s, and set agent and server aside as before-join-T: its data is of another cluster"
        );
    }
}

#[test]
fn members_of_its_name_or_address_are_stale() {
    let member = |id: &str, name: Json, node: Json, url: &str| json!({"id": id, "name": name, "node": node, "peer_urls": [url]});
    let members = json!({"members": [
        member("a1", json!("n1-11111111"), json!("n1"), "https://10.0.0.1:2380"),
        member("b2", json!("n2-22222222"), json!("n2"), "https://10.0.0.9:2380"),
        member("c3", Json::Null, Json::Null, "https://10.0.0.2:2380"),
        member("d4", json!("old-44444444"), json!("old"), "https://10.0.0.2:2380"),
        member("e5", Json::Null, Json::Null, "https://[2001:db8::2]:2380"),
    ]});
    let inet6 = ("if-inet6", "20010db8000000000000000000000002 02 40 00 80 eth0\n");
    let joining = joining("server", members);
    let node = node(&joining, &[ADDRESS[0], inet6]);
    let ids = |role| -> Vec<&str> {
        stale(role, &joining, &node)
            .iter()
            .map(|member| member.id.as_str())
            .collect()
    };
    assert_eq!(ids(Role::Server), ["b2", "c3", "d4", "e5"]);
    assert!(ids(Role::Agent).is_empty());
    assert_eq!(gone(Role::Server, &joining, &node), ["n2", "old"]);
    assert_eq!(gone(Role::Agent, &joining, &node), ["n2"]);
}

#[test]
fn a_node_that_still_has_its_password_need_not_be_forgotten() {
    let joining = joining("server", json!({}));
    for (frames, named) in [
        (vec![], true),
        (vec![("password", "x")], true),
        (vec![("password", "x"), ("identity", "x")], false),
    ] {
        let gone = gone(Role::Server, &joining, &node(&joining, &frames));
        assert_eq!(gone == ["n2"], named, "{gone:?}");
    }
}

#[test]
fn a_living_member_of_its_name_is_somebody_else() {
    let members = json!({"members": [{"id": "b2", "name": "n2-22222222", "node": "n2", "peer_urls": ["https://10.0.0.9:2380"], "healthy": true}]});
    let error = refused(Role::Server, members, &[], "duplicate");
    assert!(error.contains("n2-22222222"), "{error}");
}

#[test]
fn what_is_not_the_node_that_is_meant_is_refused() {
    refused(Role::Server, json!({}), &[("systemd", "")], "no_systemd");
    refused(
        Role::Server,
        json!({}),
        &[("unit:k3s-agent.service", AGENT_UNIT)],
        "role",
    );
    refused(
        Role::Server,
        json!({}),
        &[("unit:k3s.service", "[Service]\n")],
        "unit",
    );
    let further = [
        ("unit:k3s-agent.service", AGENT_UNIT),
        ("unit:edge.service", AGENT_UNIT),
    ];
    let refusal = refused(Role::Agent, json!({}), &further, "other_unit");
    assert!(refusal.contains("/etc/systemd/system/edge.service"), "{refusal}");
    let path = "config:/etc/rancher/k3s/config.yaml";
    refused(Role::Server, json!({}), &[(path, "- token: s3cr3t")], "config");
    let error = refused(Role::Server, json!({}), &[(path, "node-name: n7")], "node_name");
    assert!(error.contains("n7") && error.contains("n2"), "{error}");
    refused(
        Role::Server,
        json!({}),
        &[(path, "datastore-endpoint: mysql://u:s3cr3t@h/d")],
        "external",
    );
    assert_eq!(
        steps_of(Role::Server, json!({}), &[(path, "node-name: n2")]),
        [WRITE]
    );
}

#[test]
fn a_server_without_etcd_cannot_be_joined_by_servers() {
    for datastore in ["sqlite", "external"] {
        let server = json!({"server": {"datastore": datastore}});
        let error = refused(Role::Server, server.clone(), &[], "no_etcd");
        assert!(error.contains("playbook-bootstrap-k3s-ha.yaml"), "{error}");
        assert_eq!(steps_of(Role::Agent, server, &[]), [WRITE]);
    }
}

#[test]
fn what_no_server_has_answered_is_refused() {
    for name in ["url", "ca"] {
        refused(Role::Agent, json!({"server": {name: ""}}), &[], "server");
    }
}

#[test]
fn nothing_newer_than_the_servers_joins() {
    refused(Role::Agent, json!({"version": "v1.31.5+k3s1"}), &[], "newer");
    refused(
        Role::Server,
        json!({}),
        &[("binary-version", "k3s version v1.32.0+k3s1 (x)")],
        "newer",
    );
    let older = json!({"version": "v1.31.3+k3s1"});
    assert_eq!(
        steps_of(
            Role::Agent,
            older,
            &[("binary-version", "k3s version v1.30.0+k3s1 (x)")]
        ),
        [WRITE]
    );
}

#[test]
fn compares_tokens_with_the_authority_and_the_unit() {
    let full = |hash: &str| json!({"token": format!("K10{hash}::server:s3cr3t")});
    refused(Role::Server, full(&"0".repeat(64)), &[], "token");
    // sha256sum of CA.
    let right = "1abce3825a4b709de08a0fe6efc6e582e7fd2b88c8766da33d6e1f098d4bba9b";
    let unit = |token: &str| format!("[Service]\nExecStart=/usr/local/bin/k3s server --token {token}\n");
    let same = unit("K10abc::server:s3cr3t");
    assert_eq!(
        steps_of(Role::Server, full(right), &[("unit:k3s.service", &same)]),
        [WRITE]
    );
    let old = unit("another");
    refused(
        Role::Server,
        full(right),
        &[("unit:k3s.service", &old)],
        "other_token",
    );
}

#[test]
fn reports_why_a_server_is_not_reached() {
    let ca = ("open-ca", CA.trim());
    let cases = [
        (vec![("ping", "curl 7")], "unreachable", "nobody listens"),
        (vec![("ping", "curl 28")], "unreachable", "no answer"),
        (vec![("ping", "curl 6")], "unreachable", "no address"),
        (vec![("ping", "wget 4")], "unreachable", "wget ended with 4"),
        (
            vec![("ping", "curl 60"), ca],
            "not_in_certificate",
            "tls-san: [\"10.0.0.1\"]",
        ),
        (vec![("ping", "wget 5"), ca], "not_in_certificate", "tls-san"),
        (
            vec![("ping", "curl 60"), ("open-ca", OTHER)],
            "not_the_cluster",
            "https://10.0.0.1:6443",
        ),
        (vec![("ping", "")], "no_program", "install curl"),
    ];
    for (frames, rule, words) in cases {
        let error = refused(Role::Agent, json!({}), &frames, rule);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_argument_that_names_another_server_is_what_is_asked() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --server https://10.0.0.9:6443\n";
    let joining = joining("server", json!({}));
    let node = node(&joining, &[("unit:k3s.service", unit)]);
    assert_eq!(node.url(&joining), "https://10.0.0.9:6443");
}

#[test]
fn warns_of_a_clock_skew_and_refuses_a_larger_one() {
    let at = |clock: &'static str| [("ping:curl", "Thu, 01 Jan 2026 00:00:00 GMT"), ("clock", clock)];
    let warnings = |clock| {
        let joining = joining("server", json!({}));
        plan(Role::Server, &joining, &node(&joining, &at(clock)), "T")
            .unwrap()
            .warnings
    };
    assert!(warnings("1767225602").is_empty());
    assert!(
        warnings("1767225590")[0].contains("-10 s ahead"),
        "{:?}",
        warnings("1767225590")
    );
    let error = refused(Role::Server, json!({}), &at("1767225631"), "clock");
    assert!(error.contains("31 s ahead"), "{error}");
    let error = refused(Role::Server, json!({}), &at("1767225569"), "clock");
    assert!(error.contains("-31 s ahead"), "{error}");
    assert_eq!(warnings("1767225630").len(), 1, "30 s are borne");
}

#[test]
fn warns_of_several_addresses_of_one_name() {
    let joining = joining("server", json!({}));
    let one_of_each = node(&joining, &[("resolved", "10.0.0.1\nfd00::1\n")]);
    let plan_of = |node: &Node| plan(Role::Agent, &joining, node, "T").unwrap();
    assert!(plan_of(&one_of_each).warnings.is_empty());
    let several = "10.0.0.3 STREAM api\n10.0.0.1 STREAM\n10.0.0.1 DGRAM\nfd00::1 STREAM\n";
    let node = node(&joining, &[("resolved", several)]);
    let plan = plan(Role::Server, &joining, &node, "T").unwrap();
    assert!(
        plan.warnings[0].contains("2 addresses (10.0.0.1, 10.0.0.3)"),
        "{:?}",
        plan.warnings
    );
}

/// The verdict, the version to install, and the plan in words.
fn next_of(role: Role, more: Json, frames: &[(&str, &str)]) -> (String, Json, Vec<String>) {
    let joining = joining(role.word(), more);
    let next = crate::verdict::next(role, &joining, &node(&joining, frames), "T");
    let next = serde_json::to_value(next).unwrap();
    let text = next["text"].as_array().unwrap().iter();
    (
        next["verdict"].as_str().unwrap().to_owned(),
        next["version"].clone(),
        text.map(|line| line.as_str().unwrap().to_owned()).collect(),
    )
}

const MEMBER: [(&str, &str); 5] = [
    ("unit:k3s.service", SERVER_UNIT),
    ("binary-version", "k3s version v1.31.2+k3s1 (6da20424)"),
    ("etcd-name", "n2-22222222"),
    ("wal", "yes"),
    ADDRESS[0],
];

fn members(of_this_node: Json) -> Json {
    let other = json!({"id": "a1", "name": "n1-11111111", "node": "n1", "peer_urls": ["https://10.0.0.1:2380"], "healthy": true});
    json!({ "members": [other, of_this_node] })
}

#[test]
fn a_voter_has_joined_and_keeps_its_version() {
    let voter = json!({"id": "b2", "name": "n2-22222222", "node": "n2", "peer_urls": ["https://10.0.0.2:2380"], "healthy": true});
    let (verdict, version, text) = next_of(Role::Server, members(voter), &MEMBER);
    assert_eq!((verdict.as_str(), version), ("joined", json!("v1.31.2+k3s1")));
    assert_eq!(text, ["nothing: it is an etcd voter already"]);
}

#[test]
fn a_member_without_a_healthy_vote_has_not_finished() {
    for more in [
        json!({"healthy": false}),
        json!({"healthy": true, "learner": true}),
    ] {
        let mut member =
            json!({"id": "b2", "name": "n2-22222222", "node": "n2", "peer_urls": ["https://10.0.0.2:2380"]});
        member
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (verdict, version, text) = next_of(Role::Server, members(member), &MEMBER);
        assert_eq!(
            (verdict.as_str(), version),
            ("joins", json!("v1.31.2+k3s1")),
            "{more}"
        );
        assert_eq!(
            text,
            ["install or start k3s v1.31.4+k3s1, and wait until it is a voter"]
        );
    }
}

#[test]
fn a_new_server_and_a_new_agent_join_at_the_servers_version() {
    for (role, until) in [
        (Role::Server, "until it is a voter"),
        (Role::Agent, "for its node to be Ready"),
    ] {
        let (verdict, version, text) = next_of(role, json!({}), &[ADDRESS[0]]);
        assert_eq!((verdict.as_str(), version), ("joins", json!("v1.31.4+k3s1")));
        assert_eq!(
            text.last().unwrap(),
            &format!("install or start k3s v1.31.4+k3s1, and wait {until}")
        );
        assert!(text[0].contains("it joins https://10.0.0.1:6443"), "{text:?}");
    }
}

#[test]
fn a_node_that_cannot_join_is_refused_in_one_line() {
    let (verdict, _, text) = next_of(Role::Agent, json!({}), &[("unit:k3s.service", SERVER_UNIT)]);
    assert_eq!(
        (verdict.as_str(), text),
        ("refused", vec!["it cannot join".to_owned()])
    );
}
