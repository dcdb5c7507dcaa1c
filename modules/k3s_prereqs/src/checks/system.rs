//! What every node needs, seen from within.

use super::Check;
use super::container::unconfined;
use crate::params::{Params, numbers};
use crate::state::{Access, State};

/// What the kubelet sets unless it is so already, and what pods on other nodes are reached by.
const SYSCTLS: [(&str, &str); 4] = [
    ("net/ipv4/ip_forward", "1"),
    ("vm/overcommit_memory", "1"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
];
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
const KERNEL_PARTS: [&str; 3] = ["overlay", "br_netfilter", "nf_conntrack"];

pub(super) fn checks(params: &Params, state: &State) -> Vec<Check> {
    let mut checks = vec![
        init(state),
        distribution(state),
        proc_sys(params, state),
        kmsg(state),
        cgroup(params, state),
        kernel(state),
        disk(params, state),
    ];
    checks.extend(sys(params, state));
    checks.extend(cgroup_v1(state));
    checks.extend(zfs(state));
    checks.extend(profile(params, state));
    checks
}

fn init(state: &State) -> Check {
    if state.systemd {
        return Check::ok("systemd", "systemd is the init");
    }
    Check::refused(
        "systemd",
        format!("{}: its init is not systemd", state.place),
        "use a distribution with systemd: k3s runs as its service here",
    )
}

fn distribution(state: &State) -> Check {
    let os = &state.os;
    if os.family().is_some() {
        return Check::ok("distribution", os.name.clone());
    }
    let called = if os.id.is_empty() { "unknown" } else { &os.id };
    Check::refused(
        "distribution",
        format!(
            "{}: the distribution is {called}, whose packages are not known here",
            state.place
        ),
        "use Debian, Ubuntu, Rocky, AlmaLinux, Fedora or RHEL, or one that says in /etc/os-release that it is like one of them",
    )
}

fn proc_sys(params: &Params, state: &State) -> Check {
    let shut: Vec<(&str, &str, Access, &str)> = SYSCTLS
        .iter()
        .filter_map(|(name, wanted)| {
            let sysctl = state.sysctls.get(*name)?;
            let fine = sysctl.access == Access::Open || sysctl.value == *wanted;
            (!fine).then_some((*name, sysctl.value.as_str(), sysctl.access, *wanted))
        })
        .collect();
    if shut.is_empty() {
        return Check::ok("proc_sys", "what the kubelet sets can be set, or is so already");
    }
    let told: Vec<String> = shut
        .iter()
        .map(|(name, value, _, wanted)| {
            format!("{} is {value} and has to become {wanted}", name.replace('/', "."))
        })
        .collect();
    let found = format!(
        "{}: /proc/sys cannot be written, and {}",
        state.place,
        told.join(", ")
    );
    let Some(config) = &state.config else {
        return Check::refused(
            "proc_sys",
            found,
            "set these with sysctl, or see why /proc/sys is read-only",
        );
    };
    if config.is_unprivileged() {
        let set: Vec<String> = shut
            .iter()
            .map(|(name, _, _, wanted)| format!("{}={wanted}", name.replace('/', ".")))
            .collect();
        let advice = format!(
            "the container is unprivileged, and no line of its configuration opens them: set {} on {} (in /etc/sysctl.d), or \
             give the kubelet feature-gates=KubeletInUserNamespace=true and allow proc_sys",
            set.join(" "),
            state.outside
        );
        return Check::refused("proc_sys", found, advice);
    }
    let check = Check::refused("proc_sys", found, "");
    if shut.iter().any(|(_, _, access, _)| *access == Access::ReadOnly) {
        let there = config.gives("lxc.mount.auto", "proc:rw");
        return check.with_line(params, state, "lxc.mount.auto: proc:rw sys:rw", there);
    }
    check.with_line(
        params,
        state,
        "lxc.apparmor.profile: unconfined",
        unconfined(config),
    )
}

/// A missing one is made; one that is there and shut is not.
fn kmsg(state: &State) -> Check {
    match (&state.kmsg.kind, state.kmsg.opens) {
        (Some(kind), true) => Check::ok("kmsg", kind.clone()),
        (Some(_), false) if !state.makes_kmsg() => Check::refused(
            "kmsg",
            format!("{}: /dev/kmsg is the kernel's, and cannot be opened", state.place),
            "take the line that brings it (lxc.mount.entry or dev) out of the container's configuration, so that one is made \
             inside; or set kernel.dmesg_restrict=0 on the Proxmox host",
        ),
        _ => Check::ok("kmsg", "not there; conf-kmsg.service makes it"),
    }
}

fn cgroup(params: &Params, state: &State) -> Check {
    let cgroup = &state.cgroup;
    let missing: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|name| !cgroup.controllers.iter().any(|there| there == name))
        .collect();
    if !missing.is_empty() {
        return Check::refused(
            "cgroup",
            format!(
                "{}: the cgroup controllers {} are not there",
                state.place,
                missing.join(", ")
            ),
            format!(
                "see that the kernel of {} has them (cgroup_enable= and systemd's own settings there)",
                state.outside
            ),
        );
    }
    if cgroup.writable {
        return Check::ok(
            "cgroup",
            format!("version {}: {}", cgroup.version, cgroup.controllers.join(" ")),
        );
    }
    let check = Check::refused(
        "cgroup",
        format!("{}: its cgroups cannot be written", state.place),
        "see why /sys/fs/cgroup is read-only",
    );
    match &state.config {
        Some(config) => {
            let there = config.gives("lxc.mount.auto", "cgroup:rw");
            check.with_line(params, state, "lxc.mount.auto: cgroup:rw", there)
        }
        None => check,
    }
}

/// On a plain host k3s's unit loads them itself; a container has the host's kernel and may load nothing.
fn kernel(state: &State) -> Check {
    let missing: Vec<&str> = KERNEL_PARTS
        .into_iter()
        .filter(|name| !state.kernel_parts.iter().any(|there| there == name))
        .collect();
    if missing.is_empty() {
        return Check::ok("kernel", format!("{}: {}", state.kernel, KERNEL_PARTS.join(" ")));
    }
    let missing = missing.join(" ");
    let found = format!("{}: the kernel has not loaded {missing}", state.place);
    let advice = format!(
        "on {}: `modprobe -a {missing}`, and a line for each in /etc/modules-load.d/k3s.conf",
        state.outside
    );
    match state.config {
        Some(_) => Check::refused("kernel", found, advice),
        None => Check::warning("kernel", found, advice),
    }
}

fn disk(params: &Params, state: &State) -> Check {
    let (free, wanted) = (state.free_mb, params.min_free_mb);
    if free >= wanted {
        return Check::ok("disk", format!("{free} MiB free"));
    }
    Check::refused(
        "disk",
        format!(
            "{}: {free} MiB are free for /var/lib/rancher, and {wanted} are wanted",
            state.place
        ),
        "make room, or let Proxmox resize the volume",
    )
}

/// kube-proxy tells of it in an event of the node, and goes on.
fn sys(params: &Params, state: &State) -> Option<Check> {
    let config = state.config.as_ref().filter(|config| !config.is_unprivileged())?;
    if state.sys_writable {
        return None;
    }
    let there = config.gives("lxc.mount.auto", "sys:rw");
    let found = format!("{}: /sys is read-only", state.place);
    let line = "lxc.mount.auto: proc:rw sys:rw";
    Some(Check::warning("sys", found, "").with_line(params, state, line, there))
}

fn cgroup_v1(state: &State) -> Option<Check> {
    (state.cgroup.version == 1).then(|| {
        Check::warning(
            "cgroup_v1",
            format!("{}: it has cgroup v1", state.place),
            "k3s from v1.35 on does not start on it unless the kubelet is told fail-cgroupv1=false",
        )
    })
}

fn zfs(state: &State) -> Option<Check> {
    (state.disk_type == "zfs").then(|| {
        Check::warning(
            "zfs",
            format!("{}: /var/lib/rancher is on ZFS", state.place),
            "before OpenZFS 2.2 k3s needs snapshotter: native in its configuration there, or a volume with ext4",
        )
    })
}

/// What the profile of a release says that a node must be.
fn profile(params: &Params, state: &State) -> Vec<Check> {
    let profile = &params.profile;
    let mut wrong = Vec::new();
    let mut hold = |option: &str, what: &str, wanted: Option<String>, found: &str, holds: bool| {
        if let Some(wanted) = wanted.filter(|_| !holds) {
            wrong.push(format!("{option}: {what} is {found}, and has to be {wanted}"));
        }
    };
    let os = &state.os;
    hold(
        "os_id",
        "the distribution",
        profile.os_id.clone(),
        &os.id,
        profile.os_id.as_ref() == Some(&os.id),
    );
    let version = profile.os_version.clone();
    hold(
        "os_version",
        "its version",
        version.clone(),
        &os.version,
        version.is_some_and(|wanted| begins(&os.version, &wanted)),
    );
    let kernel = profile.min_kernel.clone();
    let new_enough = kernel
        .as_ref()
        .is_some_and(|wanted| numbers(&state.kernel) >= numbers(wanted));
    hold(
        "min_kernel",
        "the kernel",
        kernel.map(|wanted| format!("{wanted} or newer")),
        &state.kernel,
        new_enough,
    );
    let cgroup = state.cgroup.version;
    hold(
        "cgroup_version",
        "the version of cgroups",
        profile.cgroup_version.map(|version| version.to_string()),
        &cgroup.to_string(),
        profile.cgroup_version == Some(cgroup),
    );
    wrong
        .into_iter()
        .map(|wrong| {
            let found = format!("{}: {wrong}", state.place);
            Check::refused(
                "profile",
                found,
                "this is not what the profile describes: use another container, or another profile",
            )
        })
        .collect()
}

/// 10 is the beginning of 10.0, not of 100.
fn begins(found: &str, wanted: &str) -> bool {
    match (numbers(found), numbers(wanted)) {
        (Some(found), Some(wanted)) => found.starts_with(&wanted),
        _ => false,
    }
}
