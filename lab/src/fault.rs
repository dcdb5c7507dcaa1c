//! Troubles on demand: what can befall a container, its host, the release server or the API, and back again.

use crate::container::{self, DISK, exec, pct};
use crate::layout::{Node, Role};
use crate::namespace;
use crate::paths;
use crate::pct::faults::Faults;
use crate::release;
use crate::sshd;
use crate::state::State;
use crate::up::write_vmlist;
use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Manner {
    /// Packets vanish: callers wait until they give up
    Drop,
    /// Connections are refused at once
    Refuse,
}

#[derive(Debug, Subcommand)]
pub enum Fault {
    /// Stop a container
    Stop {
        container: String,
    },
    /// Start it again
    Start {
        container: String,
    },
    /// Set the `lock:` property
    Lock {
        container: String,
        #[arg(default_value = "backup")]
        reason: String,
    },
    Unlock {
        container: String,
    },
    /// Hold the lock file for so many seconds, as a long task does
    HoldLock {
        container: String,
        seconds: u32,
    },
    /// Freeze every process of a container: `pct exec` hangs
    Freeze {
        container: String,
    },
    Thaw {
        container: String,
    },
    /// Every `pct exec` begins so many milliseconds later
    SlowExec {
        container: String,
        milliseconds: u64,
    },
    /// So many attaches fail as they do just after a start
    AttachRace {
        container: String,
        times: u32,
    },
    /// Every `pct` call complains about the configuration on stderr
    ConfigWarning {
        container: String,
    },
    /// As LXC before 5.0.2: death by a signal is exit code 0
    OldLxc {
        container: String,
    },
    /// As pve-container before 5.0.9: `--keep-env` is unknown
    NoKeepEnv {
        container: String,
    },
    /// Managed by HA: start and stop return before anything happens
    Ha {
        container: String,
        #[arg(default_value_t = 1000)]
        delay: u64,
    },
    /// `pct start` takes so many milliseconds longer
    SlowStart {
        container: String,
        milliseconds: u64,
    },
    /// Leave so many KiB free on a container's disk
    FullDisk {
        container: String,
        #[arg(default_value_t = 64)]
        left: u64,
    },
    /// The container's configuration is gone from every host
    Missing {
        container: String,
    },
    /// The configuration is on another host, as after a migration
    Elsewhere {
        container: String,
        host: String,
    },
    /// The API of one controller (or `all`) does not answer
    ApiDown {
        #[arg(default_value = "all")]
        container: String,
        #[arg(long, value_enum, default_value_t = Manner::Refuse)]
        how: Manner,
    },
    ApiUp {
        #[arg(default_value = "all")]
        container: String,
    },
    /// The stand-in's API answers requests that fit with this status, or late
    Api {
        #[arg(long)]
        verb: Option<String>,
        /// Plural, with subresource: nodes, pods/eviction, readyz
        #[arg(long)]
        resource: Option<String>,
        #[arg(long)]
        status: Option<u16>,
        /// Seconds of silence first
        #[arg(long)]
        hang: Option<f64>,
    },
    /// A host cannot be reached by ssh
    SshDown {
        host: String,
        #[arg(long, value_enum, default_value_t = Manner::Drop)]
        how: Manner,
    },
    SshUp {
        host: String,
    },
    /// Answers of the channel server: 404, 500, html, empty, name, json, listing-only, timeout; `none` mends it
    Channel {
        what: String,
    },
    /// Downloads of binaries: truncated, altered, slow, 404, 500, html, empty, timeout; `none` mends it
    Download {
        what: String,
    },
    /// Downloads of checksums, likewise
    Sums {
        what: String,
    },
    /// The install script, likewise
    Script {
        what: String,
    },
    /// kill -9 every process of a container whose command line fits
    Kill {
        container: String,
        pattern: String,
    },
    /// Undo every fault that lasts
    Clear,
}

pub fn apply(state: &State, fault: &Fault) -> Result<()> {
    match fault {
        Fault::Stop { container } => power(state, container, "stop"),
        Fault::Start { container } => power(state, container, "start"),
        Fault::Lock { container, reason } => set_property(state, container, reason),
        Fault::Unlock { container } => power(state, container, "unlock"),
        Fault::HoldLock { container, seconds } => hold_lock(&state.node(container)?, *seconds),
        Fault::Freeze { container } => lxc(state, container, "lxc-freeze"),
        Fault::Thaw { container } => lxc(state, container, "lxc-unfreeze"),
        Fault::SlowExec {
            container,
            milliseconds,
        } => of_pct(state, container, |f| f.slow_ms = *milliseconds),
        Fault::AttachRace { container, times } => of_pct(state, container, |f| f.attach_race = *times),
        Fault::ConfigWarning { container } => of_pct(state, container, |f| f.config_warning = true),
        Fault::OldLxc { container } => of_pct(state, container, |f| f.old_lxc = true),
        Fault::NoKeepEnv { container } => of_pct(state, container, |f| f.no_keep_env = true),
        Fault::Ha { container, delay } => of_pct(state, container, |f| {
            f.ha = true;
            f.start_delay_ms = *delay;
        }),
        Fault::SlowStart {
            container,
            milliseconds,
        } => of_pct(state, container, |f| f.start_delay_ms = *milliseconds),
        Fault::FullDisk { container, left } => full_disk(&state.node(container)?, *left),
        Fault::Missing { container } => move_conf(state, container, None),
        Fault::Elsewhere { container, host } => move_conf(state, container, Some(host)),
        Fault::ApiDown { container, how } => api(state, container, Some(*how)),
        Fault::ApiUp { container } => api(state, container, None),
        Fault::Api {
            verb,
            resource,
            status,
            hang,
        } => api_rule(
            state,
            &json!({"verb": verb, "resource": resource, "status": status, "hang": hang}),
        ),
        Fault::SshDown { host, how } => ssh(state, host, Some(*how)),
        Fault::SshUp { host } => ssh(state, host, None),
        Fault::Channel { what } => release::set_fault("channels", unless_none(what)),
        Fault::Download { what } => release::set_fault("downloads", unless_none(what)),
        Fault::Sums { what } => release::set_fault("sums", unless_none(what)),
        Fault::Script { what } => release::set_fault("install", unless_none(what)),
        Fault::Kill { container, pattern } => kill(&state.node(container)?, pattern),
        Fault::Clear => clear(state),
    }
}

fn unless_none(what: &str) -> Option<&str> {
    (what != "none").then_some(what)
}

fn power(state: &State, container: &str, verb: &str) -> Result<()> {
    let node = state.node(container)?;
    pct(&node, [verb, &node.vmid.to_string()]).run().map(drop)
}

fn set_property(state: &State, container: &str, reason: &str) -> Result<()> {
    let node = state.node(container)?;
    pct(&node, ["set", &node.vmid.to_string(), "--lock", reason])
        .run()
        .map(drop)
}

fn hold_lock(node: &Node, seconds: u32) -> Result<()> {
    let file = format!("/run/lock/lxc/pve-config-{}.lock", node.vmid);
    sshd::daemon(
        &node.host,
        "hold-lock",
        &format!("exec flock {file} sleep {seconds}"),
    )
}

fn lxc(state: &State, container: &str, program: &str) -> Result<()> {
    let node = state.node(container)?;
    namespace::on(&node.host.name, [program, "-n", &node.vmid.to_string()])
        .run()
        .map(drop)
}

fn of_pct(state: &State, container: &str, change: impl FnOnce(&mut Faults)) -> Result<()> {
    let node = state.node(container)?;
    let path = paths::run(&format!("faults/{}.json", node.vmid));
    let mut faults: Faults = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?,
        Err(_) => Faults::default(),
    };
    change(&mut faults);
    fs::write(&path, serde_json::to_string(&faults)?).with_context(|| format!("writing {}", path.display()))
}

fn disk(node: &Node) -> String {
    format!("/var/lib/lxc/{}/disk", node.vmid)
}

/// The disk shrinks around what is on it: as full as a full one, and nothing to write or to remove.
fn full_disk(node: &Node, left: u64) -> Result<()> {
    let used = namespace::on(&node.host.name, ["df", "--output=used", "-k", &disk(node)]).run()?;
    let used: u64 = used
        .lines()
        .last()
        .unwrap_or_default()
        .trim()
        .parse()
        .context("reading what df says")?;
    resize(node, &format!("{}k", used + left))
}

fn resize(node: &Node, size: &str) -> Result<()> {
    let remount = ["mount", "-o", &format!("remount,size={size}"), &disk(node)];
    namespace::on(&node.host.name, remount).run().map(drop)
}

/// Takes the configuration away from where it is, and remembers it for `clear`.
fn move_conf(state: &State, container: &str, to: Option<&str>) -> Result<()> {
    let node = state.node(container)?;
    let home = container::conf_path(&node);
    if !home.exists() {
        bail!(
            "moving the configuration of container {}: not on its host any more; `lab fault clear` brings it back",
            node.vmid
        );
    }
    let kept = kept_conf(&node);
    fs::copy(&home, &kept).with_context(|| format!("keeping {}", home.display()))?;
    if let Some(host) = to {
        let mut there = node.clone();
        there.host = state.host(host)?;
        fs::copy(&home, container::conf_path(&there))
            .with_context(|| format!("moving {}", home.display()))?;
    }
    fs::remove_file(&home).with_context(|| format!("removing {}", home.display()))?;
    write_vmlist(state)
}

fn kept_conf(node: &Node) -> PathBuf {
    paths::run(&format!("faults/{}.conf", node.vmid))
}

fn bring_conf_back(state: &State, node: &Node) -> Result<()> {
    let kept = kept_conf(node);
    if !kept.exists() {
        return Ok(());
    }
    for host in state.hosts().into_iter().filter(|host| *host != node.host) {
        // Wherever it is not, there is nothing to remove.
        let _ = fs::remove_file(container::conf_path(&Node { host, ..node.clone() }));
    }
    fs::rename(&kept, container::conf_path(node))
        .with_context(|| format!("bringing {} back", kept.display()))?;
    write_vmlist(state)
}

fn controllers(state: &State, wanted: &str) -> Result<Vec<Node>> {
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
fn firewall(port: u16, how: Option<Manner>) -> String {
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

fn api(state: &State, container: &str, how: Option<Manner>) -> Result<()> {
    for node in controllers(state, container)? {
        exec(&node, ["sh", "-s"]).stdin(firewall(6443, how)).run()?;
    }
    Ok(())
}

fn ssh(state: &State, host: &str, how: Option<Manner>) -> Result<()> {
    let host = state.host(host)?;
    namespace::on(&host.name, ["sh", "-s"])
        .stdin(firewall(22, how))
        .run()
        .map(drop)
}

/// Adds a rule to the stand-in's own faults, on every controller.
fn api_rule(state: &State, rule: &Value) -> Result<()> {
    let rule: serde_json::Map<String, Value> = rule
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, v)| !v.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    for node in controllers(state, "all")? {
        let found = exec(&node, ["cat", "/etc/lab/faults.json"]).output()?.stdout;
        let mut faults: Value = serde_json::from_str(&found).unwrap_or_else(|_| json!({"requests": []}));
        if let Some(rules) = faults["requests"].as_array_mut() {
            rules.push(Value::Object(rule.clone()));
        }
        let write = "cat > /etc/lab/faults.new && mv /etc/lab/faults.new /etc/lab/faults.json";
        exec(&node, ["sh", "-c", write]).stdin(faults.to_string()).run()?;
    }
    Ok(())
}

fn kill(node: &Node, pattern: &str) -> Result<()> {
    let output = exec(node, ["pkill", "-KILL", "-f", pattern]).output()?;
    if output.code != 0 {
        bail!("killing {pattern:?} in container {}: no such process", node.vmid);
    }
    Ok(())
}

fn clear(state: &State) -> Result<()> {
    release::clear_faults()?;
    for host in state.hosts() {
        ssh(state, &host.name, None)?;
    }
    for node in state.nodes() {
        let faults = paths::run(&format!("faults/{}.json", node.vmid));
        if faults.exists() {
            fs::remove_file(&faults).with_context(|| format!("removing {}", faults.display()))?;
        }
        bring_conf_back(state, &node)?;
        resize(&node, DISK)?;
        mend(&node)?;
    }
    Ok(())
}

/// What can be mended only by asking the container.
fn mend(node: &Node) -> Result<()> {
    let vmid = node.vmid.to_string();
    let conf = fs::read_to_string(container::conf_path(node)).unwrap_or_default();
    if conf
        .lines()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.starts_with("lock:"))
    {
        pct(node, ["unlock", &vmid]).run()?;
    }
    namespace::on(&node.host.name, ["lxc-unfreeze", "-n", &vmid]).output()?;
    let status = pct(node, ["status", &vmid]).run()?;
    if status.trim() == "status: stopped" {
        container::start(node)?;
        container::wait_for_systemd(node)?;
    }
    let mut script = "rm -f /etc/lab/faults.json\n".to_owned();
    if node.role == Role::Controller {
        script.push_str(&firewall(6443, None));
    }
    exec(node, ["sh", "-s"]).stdin(script).run().map(drop)
}
