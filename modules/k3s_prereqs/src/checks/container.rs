//! What only a container can lack: lines of its configuration.
//!
//! `keyctl` is not among them: Proxmox answers an unprivileged container without it as a kernel that has no such call, and runc goes on
//! then (since 1.0, `standard_init_linux.go`). With it, each pod takes from the 200 keys that the kernel grants a user who is not root.

use super::{Check, Names, features_line};
use crate::params::Params;
use host::pct::Config;

const APPARMOR: &str = "lxc.apparmor.profile";
const ALLOW_NESTING: &str = "lxc.apparmor.allow_nesting";

pub(super) fn unconfined(config: &Config) -> bool {
    config.value(APPARMOR) == Some("unconfined")
}

pub(super) fn checks(params: &Params, config: &Config, names: &Names) -> Vec<Check> {
    let mut checks = vec![nesting(config, names)];
    if config.is_unprivileged() {
        checks.extend(nfs(params));
    } else {
        checks.extend(devices(config, names));
    }
    checks
}

/// Without it `AppArmor` denies the mounts of /proc and /sys that every pod needs; and in an unprivileged container the kernel does,
/// since it mounts a new /proc only beside one without anything mounted over it, which is what the feature brings.
fn nesting(config: &Config, names: &Names) -> Check {
    if config.has_feature("nesting") {
        return Check::ok("nesting", "nesting=1");
    }
    // What Proxmox makes of the feature, written out: LXC has AppArmor allow the mounts, and mounts that other /proc.
    if config.value(APPARMOR) == Some("generated") && config.value(ALLOW_NESTING) == Some("1") {
        return Check::ok("nesting", "AppArmor's profile is generated with allow_nesting");
    }
    if unconfined(config) && !config.is_unprivileged() {
        return Check::ok("nesting", "AppArmor is unconfined");
    }
    let evidence = "the feature nesting is not set, so no pod can mount /proc";
    Check::lacks("nesting", evidence, names, &features_line(config), false)
}

fn nfs(params: &Params) -> Option<Check> {
    params.nfs_client.then(|| {
        Check::warning(
            "nfs",
            "the container is unprivileged: the kernel mounts no NFS for it",
            "use a privileged container for pods with NFS volumes, or set nfs_client to false",
        )
    })
}

/// Only pods that ask for devices of the machine notice.
fn devices(config: &Config, names: &Names) -> Option<Check> {
    const LINE: &str = "lxc.cgroup2.devices.allow: a";
    if config.has_word("lxc.cgroup2.devices.allow", "a") {
        return None;
    }
    let next = format!("if pods need devices of the machine, {}", names.line(LINE, false));
    Some(Check::warning(
        "devices",
        "only the usual devices are allowed in it",
        next,
    ))
}
