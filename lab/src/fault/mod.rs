//! Troubles on demand: what can befall a container, its host, the release server or the API, and back again.

mod certificates;
mod guest;
mod network;
mod packages;
mod standin;

use crate::release;
use crate::state::State;
use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use guest::{
    full_disk, hold_lock, kill, lxc, move_conf, of_pct, pause_install, power, rebuild, restore, set_property,
};
use network::{api, ssh};
use serde_json::json;

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
    /// A check of the stand-in's `/readyz` fails, as etcd or poststarthook/rbac/bootstrap-roles; `none`: all pass
    Readyz {
        check: String,
        /// Which controller
        #[arg(default_value = "all")]
        container: String,
    },
    /// The stand-in's next move from SQLite to etcd fails (or, with `--hang`, stands still) after so many objects
    Migration(standin::Migration),
    /// The stand-in's kubelet reports a condition of its node
    NodeCondition(standin::Report),
    /// Certificates of a node are over, as after a year without a restart; the next start renews them
    CertExpired(certificates::Expiry),
    /// `k3s.yaml` is damaged: empty, no-client-certificate, truncated-pem, ca-mismatch; `none` restores it
    Kubeconfig {
        container: String,
        what: String,
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
    /// Answers of the channel server: 404, 500, html, empty, name, json, listing-only, timeout; `none` repairs it
    Channel {
        what: String,
    },
    /// Downloads of binaries: truncated, altered, slow, 404, 500, html, empty, timeout; `none` repairs it
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
    /// Hold the install script at a step (before-binary, after-binary, before-delete, after-delete, after-env,
    /// after-unit, before-start), to be killed there; `none` lets it go on
    PauseInstall {
        container: String,
        step: String,
    },
    /// The container is made anew: its disk is as the template, what ran on it is gone
    Rebuild {
        container: String,
    },
    /// What a container says that it is, and the stand-in package manager that belongs to it
    OsRelease {
        container: String,
        #[arg(value_enum)]
        release: packages::Release,
    },
    /// The container's stand-in package manager fails: `lock` (held by another), `offline`, `missing`, `hang`; `none` repairs it
    Packages {
        container: String,
        #[arg(value_enum)]
        what: packages::Trouble,
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
        } => standin::requests(
            state,
            &json!({"verb": verb, "resource": resource, "status": status, "hang": hang}),
        ),
        Fault::Readyz { check, container } => standin::check(state, container, unless_none(check)),
        Fault::Migration(trouble) => standin::migration(state, trouble),
        Fault::NodeCondition(report) => standin::condition(state, report),
        Fault::CertExpired(expiry) => certificates::expire(state, expiry),
        Fault::Kubeconfig { container, what } => {
            certificates::tool(&state.node(container)?, &["kubeconfig", what], "").map(drop)
        }
        Fault::SshDown { host, how } => ssh(state, host, Some(*how)),
        Fault::SshUp { host } => ssh(state, host, None),
        Fault::Channel { what } => release::set_fault("channels", unless_none(what)),
        Fault::Download { what } => release::set_fault("downloads", unless_none(what)),
        Fault::Sums { what } => release::set_fault("sums", unless_none(what)),
        Fault::Script { what } => release::set_fault("install", unless_none(what)),
        Fault::PauseInstall { container, step } => pause_install(&state.node(container)?, unless_none(step)),
        Fault::Rebuild { container } => rebuild(state, &state.node(container)?),
        Fault::OsRelease { container, release } => packages::pretend(&state.node(container)?, *release),
        Fault::Packages { container, what } => packages::trouble(&state.node(container)?, *what),
        Fault::Kill { container, pattern } => kill(&state.node(container)?, pattern),
        Fault::Clear => clear(state),
    }
}

fn unless_none(what: &str) -> Option<&str> {
    (what != "none").then_some(what)
}

fn clear(state: &State) -> Result<()> {
    release::clear_faults()?;
    for host in state.hosts() {
        ssh(state, &host.name, None)?;
    }
    state.nodes().iter().try_for_each(|node| restore(state, node))
}
