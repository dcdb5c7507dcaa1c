//! Tables: what is refused, and what is not.

use crate::fixtures::*;
use crate::plan::decide;
use serde_json::{Value, json};

/// Refused by this rule; also where there is nothing to do: a wrong mapping must not pass because the version
/// happens to fit.
fn refused(more: &Value, changes: &[Frame], rule: &str) {
    assert_eq!(agent_rules(more.clone(), changes), [rule], "{more} {changes:?}");
    let node = node_says(NEW);
    let up_to_date = [&[NEW_BINARY, ("node", &*node)], changes].concat();
    assert_eq!(
        agent_rules(more.clone(), &up_to_date),
        [rule],
        "up to date: {more} {changes:?}"
    );
}

#[test]
fn a_node_that_cannot_be_read_is_refused() {
    let unit = "unit:k3s-agent.service";
    let cases: [(&[Frame], &str); 11] = [
        (&[("systemd", "gone")], "no_systemd"),
        (&[("record", "{")], "record"),
        (
            &[(
                "unit:k3s-mine.service",
                "[Service]\nExecStart=/usr/local/bin/k3s agent",
            )],
            "other_unit",
        ),
        (&[("unit:k3s.service", SERVER)], "two_units"),
        (
            &[(
                "show",
                "Id=k3s-agent.service\nLoadState=masked\nUnitFileState=masked",
            )],
            "masked",
        ),
        (
            &[(
                "show",
                "Id=k3s-agent.service\nFragmentPath=/usr/lib/systemd/system/k3s-agent.service",
            )],
            "unit_elsewhere",
        ),
        (
            &[(unit, "[Service]\nExecStart=/usr/local/bin/k3s 'agent")],
            "unit",
        ),
        (
            &[(unit, "[Service]\nExecStart=/usr/local/bin/k3s server")],
            "unit",
        ),
        (
            &[(
                "dropin:k3s-agent.service:/x",
                "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server",
            )],
            "drop_in",
        ),
        (
            &[(
                "dropin:k3s-agent.service:/x",
                "[Service]\nExecStart=\nExecStart=/opt/k3s agent",
            )],
            "drop_in",
        ),
        (&[("config:/etc/rancher/k3s/config.yaml", "- x")], "config"),
    ];
    for (changes, rule) in cases {
        refused(&json!({}), changes, rule);
    }
}

#[test]
fn a_node_that_is_not_the_one_that_is_meant_is_refused() {
    refused(&json!({"role": "server"}), &[], "role");
    refused(
        &json!({"role": "server"}),
        &[("record", &record(None)), ("unit:k3s-agent.service", "gone")],
        "role",
    );
    refused(&json!({"node_name": "k3s-worker-2"}), &[], "node_name");
    refused(
        &json!({}),
        &[("fib-trie", "|-- 10.99.0.112\n/32 host LOCAL")],
        "internal_ip",
    );
}

/// What a playbook that many homelabs are made with writes.
const NODE: &str = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s agent --server https://10.99.0.101:6443 --token ab%%cd\nKillMode=process\n";

#[test]
fn a_worker_under_another_name_is_upgraded_under_it() {
    let show = crate::fixtures::show("active", 2000).replace("k3s-agent.service", "k3s-node.service");
    let gone = [
        ("unit:k3s-agent.service", "gone"),
        ("variables:/etc/systemd/system/k3s-agent.service.env", "gone"),
        ("show", show.as_str()),
    ];
    let at = |name: &'static str| [&gone[..], &[(name, NODE)]].concat();
    let (acts, refusals) = decide(&params(json!({})), &agent(&at("unit:k3s-node.service")));
    assert!(refusals.is_empty(), "{refusals:?}");
    let steps: Vec<String> = acts.iter().map(ToString::to_string).collect();
    assert!(
        steps.contains(&"run the install script for k3s-node.service".to_owned()),
        "{steps:?}"
    );
    let other = [
        ("unit:node.service", NODE),
        ("show", "Id=node.service\nActiveState=active\n"),
    ];
    let changes: Vec<Frame> = gone
        .into_iter()
        .filter(|(name, _)| *name != "show")
        .chain(other)
        .collect();
    assert_eq!(agent_rules(json!({}), &changes), ["unit_name"]);
}

#[test]
fn a_unit_that_only_has_k3s_s_name_is_mentioned_and_left_alone() {
    let shutdown = (
        "unit:k3s-shutdown.service",
        "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n",
    );
    let params = params(json!({}));
    let plan = crate::plan::plan(&params, &agent(&[shutdown])).unwrap();
    assert!(!plan.steps.is_empty());
    assert_eq!(
        plan.warnings,
        ["k3s-shutdown.service of container 111 on pve1: no k3s runs in it, left alone"]
    );
    let node = node_says(NEW);
    let done = crate::plan::plan(&params, &agent(&[shutdown, NEW_BINARY, ("node", &node)])).unwrap();
    assert!(
        done.steps.is_empty() && done.warnings.is_empty(),
        "{:?}",
        done.warnings
    );
}

#[test]
fn a_server_that_does_part_of_the_work_is_refused_for_that() {
    let version = format!("k3s version {OLD} (0123abcd)");
    let rules = |config: &str| {
        let frames = [
            ("systemd", "yes"),
            ("unit:k3s.service", SERVER),
            ("binary-version", &version),
            ("config:/etc/rancher/k3s/config.yaml", config),
        ];
        crate::fixtures::rules(&params(json!({})), &state(&frames))
    };
    assert_eq!(rules("disable-etcd: yes\n"), ["split_roles"]);
    assert_eq!(rules("disable-apiserver: true\n"), ["split_roles"]);
    for complete in [
        "",
        "disable-etcd: no\n",
        "disable-agent: true\n",
        "disable-scheduler: true\n",
    ] {
        assert_eq!(rules(complete), [""; 0], "{complete}");
    }
}

#[test]
fn a_k3s_that_a_shell_starts_is_refused_by_the_name_of_its_unit() {
    let shell = "[Service]\nExecStart=/bin/sh -c \"sleep 5; exec k3s agent\"\n";
    let (_, refusals) = decide(&params(json!({})), &agent(&[("unit:k3s-agent.service", shell)]));
    assert_eq!(refusals[0].rule, "unit");
    assert!(
        refusals[0]
            .evidence
            .contains("/etc/systemd/system/k3s-agent.service")
            && refusals[0].evidence.contains("/bin/sh start `k3s agent`"),
        "{refusals:?}"
    );
}

#[test]
fn a_stopped_worker_whose_address_moved_is_known_by_its_machine_id() {
    let node = |machine: &str, renewed: &str| {
        json!({"kind": "List", "items": [
            {"kind": "Node", "status": {
                "nodeInfo": {"kubeletVersion": OLD, "machineID": machine},
                "addresses": [{"type": "InternalIP", "address": "10.99.0.111"}]}},
            {"kind": "Lease", "spec": {"renewTime": renewed}}]})
        .to_string()
    };
    let moved = ("fib-trie", "|-- 10.99.0.112\n/32 host LOCAL");
    let rules = |node: &str| agent_rules(json!({}), &[moved, ("machine-id", "abc\n"), ("node", node)]);
    // The fixture's clock stands at 5000 s after 1970.
    let (long_ago, now) = ("1970-01-01T01:00:00Z", "1970-01-01T01:23:10Z");
    assert_eq!(rules(&node("abc", long_ago)), [""; 0]);
    assert_eq!(rules(&node("other", long_ago)), ["internal_ip"]);
    assert_eq!(rules(&node("", long_ago)), ["internal_ip"]);
    // Containers that were cloned share it, and one of them is alive under that name.
    assert_eq!(rules(&node("abc", now)), ["internal_ip"]);
}

#[test]
fn a_node_whose_first_address_is_of_ipv6_is_known_by_both() {
    let node = json!({"kind": "Node", "status": {
        "nodeInfo": {"kubeletVersion": OLD},
        "addresses": [{"type": "InternalIP", "address": "fd00::111"}, {"type": "InternalIP", "address": "10.99.0.111"}]}})
    .to_string();
    let rules = |inet6: &str| agent_rules(json!({}), &[("node", &node), ("if-inet6", inet6)]);
    let loopback = "00000000000000000000000000000001 01 80 10 80 lo\n";
    let own = "fd000000000000000000000000000111 02 40 00 80 eth0\n";
    assert_eq!(rules(&format!("{loopback}{own}")), [""; 0]);
    assert_eq!(rules(loopback), ["internal_ip"]);
}

#[test]
fn links_are_made_only_where_there_are_some() {
    let links = |changes: &[Frame]| {
        let (acts, _) = decide(&params(json!({})), &agent(changes));
        acts.iter().find_map(|act| match act {
            crate::plan::Act::RunScript { links, .. } => Some(*links),
            _ => None,
        })
    };
    assert_eq!(links(&[]), Some(false));
    assert_eq!(links(&[("link:kubectl", "x")]), Some(true));
}

#[test]
fn an_install_that_would_lose_something_is_refused() {
    let edited = AGENT.replace("KillMode=process", "KillMode=process\nEnvironment=A=s3cr3t");
    let cases: [(Value, &[Frame], &str); 6] = [
        (
            json!({}),
            &[("unit:k3s-agent.service", &edited)],
            "operators_lines",
        ),
        (json!({"args": []}), &[], "args"),
        (json!({"version": "v1.31.3+k3s1"}), &[], "downgrade"),
        (json!({"min_free_mb": 9000}), &[], "no_space"),
        (
            json!({}),
            &[("disk", "h\n/dev/sdb 1 1 500000 1% /var/lib/rancher")],
            "no_space",
        ),
        (
            json!({"prefetch": false}),
            &[("disk", "h\ntmpfs 1 1 100 1% /tmp")],
            "no_space",
        ),
    ];
    for (more, changes, rule) in cases {
        assert_eq!(agent_rules(more.clone(), changes), [rule], "{more} {changes:?}");
    }
    let refusals = decide(&params(json!({})), &agent(&[("unit:k3s-agent.service", &edited)])).1;
    assert!(!refusals[0].evidence.contains("s3cr3t"), "{refusals:?}");
}

#[test]
fn what_is_allowed_is_not_refused() {
    let args = json!({"args": ["--node-label", "tier=work", "--kubelet-arg=max-pods=50"]});
    let never_ran = ("binary-version", "k3s version v1.32.0+k3s1 (x)");
    let cases: [(Value, &[Frame]); 7] = [
        (json!({"version": "v1.31.3+k3s1", "allow_downgrade": true}), &[]),
        // k3s reads the first document, and what follows it is not looked at.
        (
            json!({}),
            &[("config:/etc/rancher/k3s/config.yaml", "debug: true\n---\n")],
        ),
        // A newer binary that has never run does not make the running version a downgrade.
        (json!({}), &[never_ran]),
        (args, &[]),
        (json!({}), &[("disk", "h\ntmpfs 1 1 100 1% /tmp")]),
        (
            json!({}),
            &[("dropin:k3s-agent.service:/x", "[Service]\nLimitNOFILE=1")],
        ),
        // The API was asked about another name, so the addresses are another node's.
        (json!({}), &[("asked", "other"), ("fib-trie", "gone")]),
    ];
    for (more, changes) in cases {
        assert_eq!(agent_rules(more.clone(), changes), [""; 0], "{more} {changes:?}");
    }
    assert_eq!(
        agent_rules(json!({}), &[never_ran, ("node", "gone")]),
        ["downgrade"]
    );
}

#[test]
fn names_that_differ_from_the_hostname_pass_where_they_are_meant() {
    let unit = AGENT.replace("'--node-label'", "'--node-name=W1' '--with-node-id'");
    let changes = [("unit:k3s-agent.service", &*unit), ("node-id", "0a1b2c3d")];
    assert_eq!(
        agent_rules(json!({"node_name": "w1-0a1b2c3d"}), &changes),
        [""; 0]
    );
    assert_eq!(
        agent_rules(json!({"node_name": "k3s-worker-1"}), &changes),
        ["node_name"]
    );
}

#[test]
fn of_two_units_the_one_with_a_process_is_kept() {
    /// As `ActiveState/MainPID`.
    fn show(unit: &str, state: &str) -> String {
        let (active, pid) = state.split_once('/').unwrap();
        format!("Id={unit}.service\nActiveState={active}\nMainPID={pid}\n\n")
    }
    let both = |agent_state: &str, server_state: &str| {
        let show = show("k3s-agent", agent_state) + &show("k3s", server_state);
        let refusals = decide(
            &params(json!({})),
            &agent(&[("unit:k3s.service", SERVER), ("show", &show)]),
        )
        .1;
        refusals[0].advice.clone()
    };
    let (server, agent) = (
        "systemctl disable --now k3s.service",
        "systemctl disable --now k3s-agent.service",
    );
    // An install script that is not given K3S_URL makes a server of an agent: the agent goes on, and the server starts
    // over and over.
    assert!(both("active/7", "activating/0").contains(server));
    assert!(both("active/7", "activating/9").contains(server));
    // An agent that has not reported READY yet.
    assert!(both("activating/7", "activating/0").contains(server));
    assert!(both("inactive/0", "active/9").contains(agent));
    assert!(both("activating/0", "active/9").contains(agent));
    assert!(both("active/7", "active/9").contains(server));
}

fn fresh(more: Value, changes: &[Frame]) -> Vec<&'static str> {
    let params = params(more);
    rules(
        &params,
        &state_for(&params, &[&[("systemd", "yes")], changes].concat()),
    )
}

#[test]
fn a_fresh_install_must_be_meant() {
    assert_eq!(fresh(json!({}), &[]), ["not_installed"]);
    assert_eq!(fresh(json!({"role": "server"}), &[]), ["not_installed"]);
    assert_eq!(fresh(json!({"args": []}), &[]), ["not_installed"]);
    assert_eq!(fresh(json!({"role": "server", "args": []}), &[]), [""; 0]);
    // The unit is gone, but this machine was a node: its arguments and token are lost.
    for data in ["data:server/tls", "data:agent/kubelet.kubeconfig"] {
        assert_eq!(
            fresh(json!({"role": "server", "args": []}), &[(data, "x")]),
            ["unit_missing"]
        );
    }
}

#[test]
fn a_fresh_agent_must_know_its_server() {
    assert_eq!(
        fresh(json!({"role": "agent", "args": []}), &[]),
        ["agent_without_url"]
    );
    let cases = [
        (
            json!({"role": "agent", "args": [], "environment": {"K3S_URL": "https://a:6443"}}),
            vec![],
        ),
        (
            json!({"role": "agent", "args": ["--server=https://a:6443"]}),
            vec![],
        ),
        (
            json!({"role": "agent", "args": []}),
            vec![("config:/etc/rancher/k3s/config.yaml", "server: https://a:6443")],
        ),
    ];
    for (more, changes) in cases {
        assert_eq!(fresh(more.clone(), &changes), [""; 0], "{more}");
    }
}
