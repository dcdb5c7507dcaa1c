//! The inventory of a lab, ready for `ansible-playbook -i`.

use crate::cgroup;
use crate::layout::{Node, Role};
use crate::paths::{RELEASE_PORT, RUN};
use crate::state::State;
use std::fmt::Write as _;

pub fn render(state: &State) -> String {
    let hosts = state.hosts();
    let first = hosts.first().map_or("10.99.0.1", |host| host.address.as_str());
    let lifted = lifted(cgroup::is_v1());
    let mut text = format!(
        "all:\n  vars:\n    k3s_channel_url: http://{first}:{RELEASE_PORT}/v1-release/channels\n    \
         k3s_install_script_url: http://{first}:{RELEASE_PORT}/install.sh\n{lifted}  children:\n    pve:\n      vars:\n        \
         ansible_user: root\n        ansible_ssh_private_key_file: {RUN}/ssh/id\n        \
         ansible_ssh_common_args: -o StrictHostKeyChecking=no -o UserKnownHostsFile={RUN}/ssh/known_hosts\n        \
         ansible_python_interpreter: /usr/bin/python3\n      hosts:\n"
    );
    for host in &hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "        {}:\n          ansible_host: {}",
            host.name, host.address
        );
    }
    text.push_str("    k3s_cluster:\n      children:\n");
    let nodes = state.nodes();
    for (group, role) in [
        ("k3s_controllers", Role::Controller),
        ("k3s_workers", Role::Worker),
    ] {
        let _ = writeln!(text, "        {group}:\n          hosts:");
        for node in nodes.iter().filter(|node| node.role == role) {
            write_node(&mut text, node);
        }
    }
    text
}

/// On a machine with cgroup v1 the kubelet starts by what the lab lays into k3s's folder, which is not there before k3s is.
fn lifted(cgroup_v1: bool) -> &'static str {
    if cgroup_v1 {
        "    k3s_prereqs_allow: [cgroup_v1]\n"
    } else {
        ""
    }
}

fn write_node(text: &mut String, node: &Node) {
    let _ = writeln!(
        text,
        "            {name}:\n              pct_id: {vmid}\n              node_name: {name}\n              \
         pve_host: {host}",
        name = node.name,
        vmid = node.vmid,
        host = node.host.name,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Options;

    #[test]
    fn every_node_says_where_it_is() {
        let state = State {
            options: Options {
                controllers: 1,
                workers: 1,
                version: None,
                pve: 1,
                time_factor: 1.0,
                cert_days: None,
                empty: Vec::new(),
                sqlite: false,
                slow_heartbeat: false,
                no_cluster: false,
            },
            pid: 1,
            ready: true,
            token: String::new(),
            sysctls: crate::sysctl::Saved::new(),
        };
        let text = render(&state);
        assert!(text.contains(
            "        k3s_workers:\n          hosts:\n            k3s-worker-1:\n              pct_id: 111\n              \
             node_name: k3s-worker-1\n              pve_host: pve1\n"
        ));
        assert_eq!(text.contains("k3s_prereqs_allow: [cgroup_v1]\n"), cgroup::is_v1());
        assert_eq!(
            (lifted(true), lifted(false)),
            ("    k3s_prereqs_allow: [cgroup_v1]\n", "")
        );
        assert!(text.contains("k3s_channel_url: http://10.99.0.1:8080/v1-release/channels\n"));
    }
}
