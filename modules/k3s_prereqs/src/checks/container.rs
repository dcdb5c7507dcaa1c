//! What only a container can lack: lines of its configuration.

use super::{Check, features_line};
use crate::params::Params;
use crate::state::State;
use host::pct::Config;

const APPARMOR: &str = "lxc.apparmor.profile";

pub(super) fn unconfined(config: &Config) -> bool {
    config.value(APPARMOR) == Some("unconfined")
}

pub(super) fn checks(params: &Params, state: &State, config: &Config) -> Vec<Check> {
    let mut checks = vec![nesting(params, state, config)];
    if config.is_unprivileged() {
        checks.push(keyctl(params, state, config));
        checks.extend(nfs(params));
    } else {
        checks.extend(devices(params, state, config));
    }
    checks
}

/// Without it `AppArmor` denies the mounts of /proc and /sys that every pod needs.
fn nesting(params: &Params, state: &State, config: &Config) -> Check {
    let there = config.has_feature("nesting");
    if there || unconfined(config) {
        return Check::ok(
            "nesting",
            if there {
                "nesting=1"
            } else {
                "AppArmor is unconfined"
            },
        );
    }
    let found = format!(
        "{}: the feature nesting is not set, so no pod can mount /proc",
        state.place
    );
    Check::refused("nesting", found, "").with_line(params, state, &features_line(config), false)
}

/// In an unprivileged container seccomp forbids it otherwise, and runc makes a keyring for each container.
fn keyctl(params: &Params, state: &State, config: &Config) -> Check {
    if config.has_feature("keyctl") {
        return Check::ok("keyctl", "keyctl=1");
    }
    let found = format!(
        "{}: it is unprivileged, and the feature keyctl is not set",
        state.place
    );
    Check::refused("keyctl", found, "").with_line(params, state, &features_line(config), false)
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
fn devices(params: &Params, state: &State, config: &Config) -> Option<Check> {
    const LINE: &str = "lxc.cgroup2.devices.allow: a";
    if config.gives("lxc.cgroup2.devices.allow", "a") {
        return None;
    }
    let found = format!("{}: only the usual devices are allowed in it", state.place);
    let check = Check::warning("devices", found, "").with_line(params, state, LINE, false);
    let advice = check.advice.clone().unwrap_or_default();
    Some(Check {
        advice: Some(format!("if pods need devices of the machine, {advice}")),
        config_line: None,
        ..check
    })
}
