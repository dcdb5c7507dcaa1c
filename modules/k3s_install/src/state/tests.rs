//! What is made of facts.

use super::*;
use crate::fixtures::{AGENT, SERVER, state};

#[test]
fn a_node_without_k3s_has_nothing_before() {
    let state = state(&[]);
    assert_eq!(
        (state.before(), state.running(), state.paths.node.as_str()),
        (Ok(None), None, "k3s-worker-1")
    );
    assert_eq!(
        state.paths,
        Paths {
            node: "k3s-worker-1".to_owned(),
            ..Paths::usual(None)
        }
    );
}

#[test]
fn environment_drop_ins_and_files_together_name_the_node() {
    let env = "K3S_URL=https://a:6443\n";
    let drop_in = (
        "dropin:k3s-agent.service:/etc/systemd/system/k3s-agent.service.d/name.conf",
        "[Service]\nEnvironment=K3S_NODE_NAME=from-drop-in\n",
    );
    let unit = [
        ("unit:k3s-agent.service", AGENT),
        ("variables:/etc/systemd/system/k3s-agent.service.env", env),
    ];
    assert_eq!(state(&unit).paths.node, "k3s-worker-1");
    assert!(state(&unit).has_server_to_join);
    assert_eq!(state(&[unit[0], unit[1], drop_in]).paths.node, "from-drop-in");
    let file = ("config:/etc/rancher/k3s/config.yaml", "node-name: from-file\n");
    assert_eq!(state(&[unit[0], unit[1], drop_in, file]).paths.node, "from-file");
    let replaced = (
        "dropin:k3s-agent.service:/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s agent --node-name other\n",
    );
    assert_eq!(state(&[unit[0], replaced]).paths.node, "other");
}

#[test]
fn defaults_are_read_where_the_unit_reads_them() {
    let defaults = ("variables:/etc/default/k3s-agent", "K3S_NODE_NAME=from-default\n");
    let older = AGENT.replace("EnvironmentFile=-/etc/default/%N\n", "");
    assert_eq!(
        state(&[("unit:k3s-agent.service", &older), defaults]).paths.node,
        "k3s-worker-1"
    );
    assert_eq!(
        state(&[("unit:k3s-agent.service", AGENT), defaults]).paths.node,
        "from-default"
    );
}

#[test]
fn derives_paths_from_arguments() {
    let unit = SERVER
        .replace(
            "'--node-ip'",
            "'--data-dir=/data' '--config' '/etc/k3s/c.yaml' '--disable-agent'",
        )
        .replace("/usr/local/bin/", "/opt/bin/");
    let state = state(&[("unit:k3s.service", &unit)]);
    let paths = Paths {
        binary: "/opt/bin/k3s".to_owned(),
        data: "/data".to_owned(),
        config: "/etc/k3s/c.yaml".to_owned(),
        node: "k3s-worker-1".to_owned(),
        has_agent: false,
    };
    assert_eq!(state.paths, paths);
}

#[test]
fn the_record_and_not_the_files_is_what_was_before() {
    let record = r#"{"format":1,"version":"v1.31.5+k3s1","saved_at":1,"role":"agent","args":["--x"],"enabled":true,"environment":"K3S_NODE_NAME=kept"}"#;
    let state = state(&[("record", record), ("unit:k3s.service", SERVER)]);
    let before = state.before().unwrap().unwrap();
    assert_eq!((before.role, before.args), (Role::Agent, vec!["--x".to_owned()]));
    assert_eq!(state.paths.node, "kept");
    assert_eq!(state.units.on_disk().unwrap().unwrap().role, Role::Server);
}

#[test]
fn small_facts_are_read() {
    let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 4096 1024 3072000 25% /\ntmpfs 1 1 2048 1% /tmp";
    let state = state(&[
        ("disk", df),
        ("sum:/etc/rancher/k3s/config.yaml", "aa  -"),
        ("binary-version", "k3s version v1.31.4+k3s1 (x)\ngo version go1"),
        ("binary-sum:/usr/local/bin/k3s", "cafe  -"),
        ("binary-changed", "17"),
        ("staged:/usr/local/bin/.k3s-v1.31.5+k3s1.ff.staged", "x"),
        ("data:server/tls", "x"),
        ("link:kubectl", "x"),
    ]);
    assert_eq!(state.free, [("/".to_owned(), 3000), ("/tmp".to_owned(), 2)]);
    assert_eq!(state.config_hashes["/etc/rancher/k3s/config.yaml"], "aa");
    assert_eq!(state.binary.version.unwrap().to_string(), "v1.31.4+k3s1");
    assert_eq!(
        (
            state.binary.sha256.as_deref(),
            state.binary.changed,
            state.binary.staged.len()
        ),
        (Some("cafe"), 17, 1)
    );
    assert_eq!(
        (state.data.server, state.data.agent, state.has_links),
        (true, false, true)
    );
}

#[test]
fn files_of_variables_count_whatever_the_unit_is_called() {
    let state = state(&[
        ("unit:k3s-node.service", AGENT),
        ("variables:/etc/default/k3s-node", "A=1\n"),
        (
            "variables:/etc/systemd/system/k3s-node.service.env",
            "K3S_TOKEN=x\n",
        ),
    ]);
    let sum = "91d6a3d55e9fea7911c537afae6607c77fa8bc0f3a76c375e104ac5a8cfa84db";
    assert_eq!(
        state.config_hashes.into_iter().collect::<Vec<_>>(),
        [("/etc/default/k3s-node".to_owned(), sum.to_owned())]
    );
}
