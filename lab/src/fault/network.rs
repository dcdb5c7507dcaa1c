//! Troubles between machines: ports that do not answer.

use super::Manner;
use crate::container::exec;
use crate::layout::{Node, Role};
use crate::namespace;
use crate::state::State;
use anyhow::Result;

pub(super) const API_PORT: u16 = 6443;

pub(super) fn controllers(state: &State, wanted: &str) -> Result<Vec<Node>> {
    if wanted == "all" {
        return Ok(state
            .nodes()
            .into_iter()
            .filter(|node| node.role == Role::Controller)
            .collect());
    }
    Ok(vec![state.node(wanted)?])
}

const CHAIN: &str = "LAB-FAULT";

/// An own chain, so that mending is emptying it, however often it was filled.
pub(super) fn firewall(port: u16, how: Option<Manner>) -> String {
    let target = match how {
        None => String::new(),
        Some(Manner::Drop) => format!("iptables -w -A {CHAIN} -p tcp --dport {port} -j DROP\n"),
        Some(Manner::Refuse) => {
            format!("iptables -w -A {CHAIN} -p tcp --dport {port} -j REJECT --reject-with tcp-reset\n")
        }
    };
    format!(
        "set -e\niptables -w -N {CHAIN} 2>/dev/null || iptables -w -F {CHAIN}\n\
         iptables -w -C INPUT -j {CHAIN} 2>/dev/null || iptables -w -I INPUT -j {CHAIN}\n{target}"
    )
}

pub(super) fn api(state: &State, container: &str, how: Option<Manner>) -> Result<()> {
    for node in controllers(state, container)? {
        exec(&node, ["sh", "-s"]).stdin(firewall(API_PORT, how)).run()?;
    }
    Ok(())
}

pub(super) fn ssh(state: &State, host: &str, how: Option<Manner>) -> Result<()> {
    let host = state.host(host)?;
    namespace::on(&host.name, ["sh", "-s"])
        .stdin(firewall(22, how))
        .run()
        .map(drop)
}
