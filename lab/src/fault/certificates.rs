//! Certificates whose time is over, and kubeconfigs that are damaged. The work is done by a program inside the container,
//! on k3s's own files.

use crate::container::{exec, pct};
use crate::layout::{Node, Role};
use crate::release;
use crate::state::State;
use anyhow::{Context as _, Result};

#[derive(Debug, clap::Args)]
pub struct Expiry {
    container: String,
    /// For so many days; a negative number: they have still so many
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    days: i32,
    /// all, listener, or services as `k3s certificate` names them: admin, kubelet, etcd … (with commas)
    #[arg(long, default_value = "all")]
    what: String,
}

const TOOL: &str = "/usr/local/lib/lab/certificates";

/// Runs the tool in a container, where it is put first.
pub(super) fn tool(node: &Node, words: &[&str], stdin: &str) -> Result<String> {
    let program = release::program("lab-certificates")?.display().to_string();
    let push = ["push", &node.vmid.to_string(), &program, TOOL, "--perms", "755"];
    pct(node, push).run()?;
    let argv = std::iter::once(TOOL).chain(words.iter().copied());
    exec(node, argv)
        .stdin(stdin)
        .run()
        .with_context(|| format!("spoiling what is in container {}", node.vmid))
}

pub(super) fn expire(state: &State, expiry: &Expiry) -> Result<()> {
    let node = state.node(&expiry.container)?;
    // An agent has no authority of its own.
    let authorities = match node.role {
        Role::Controller => String::new(),
        Role::Worker => {
            let nodes = state.nodes();
            let first = nodes.iter().find(|node| node.role == Role::Controller);
            let first = first.context("looking for the cluster's authorities: this lab has no controller")?;
            tool(first, &["bundle"], "")?
        }
    };
    let words = ["expire", &expiry.days.to_string(), &expiry.what];
    let done = tool(&node, &words, &authorities)?;
    print!("{done}");
    Ok(())
}

/// Puts back what has not been renewed meanwhile. A shell line, for a container that the tool was never put into.
pub(super) fn restore() -> String {
    format!("if [ -e /etc/lab/kept.json ]; then {TOOL} restore; fi\n")
}
