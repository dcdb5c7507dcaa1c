//! What every node needs, seen from within.

use super::container::unconfined;
use super::{Check, Names};
use crate::params::{Params, numbers};
use crate::state::{Access, State, Sysctl};
use host::pct::Config;

/// What the kubelet sets unless it is so already; it ends where it cannot (`setupKernelTunables`).
const KUBELETS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];
/// k3s sets it, and goes on where it cannot; then no pod is reached from another node.
const FORWARDING: (&str, &str) = ("net/ipv4/ip_forward", "1");
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// The minor version of k3s whose kubelet has the feature gate `KubeletInUserNamespace` on by default (kubernetes/kubernetes, pull request 134639).
const TOLERANT: u32 = 37;
/// The first whose kubelet does not start on cgroup v1 by default (kubernetes/enhancements 5573).
const CGROUP_V2_ONLY: u32 = 35;

pub(super) fn checks(params: &Params, state: &State, names: &Names) -> Vec<Check> {
    let mut checks = vec![
        init(state),
        distribution(state),
        proc_sys(params, state, names),
        kmsg(params, state, names),
        cgroup(state, names),
        kernel(state, names),
        disk(params, state),
    ];
    checks.extend(on_demand(state, names));
    checks.extend(cgroup_v1(params, state, names));
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
        "its init is not systemd",
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
        format!("the distribution is {called}, whose packages are not known here"),
        "use Debian, Ubuntu, Rocky, AlmaLinux, Fedora or RHEL, or one that says in /etc/os-release that it is like one of them",
    )
}

/// A value that is not as it has to be, and cannot be set from here.
struct Fixed<'a> {
    name: String,
    wanted: &'static str,
    is: &'a Sysctl,
}

fn fixed<'a>(state: &'a State, (name, wanted): &(&str, &'static str)) -> Option<Fixed<'a>> {
    let is = state.sysctls.get(*name)?;
    let fine = is.access == Access::Open || is.value == *wanted;
    (!fine).then(|| Fixed {
        name: name.replace('/', "."),
        wanted,
        is,
    })
}

fn proc_sys(params: &Params, state: &State, names: &Names) -> Check {
    let tolerant = state.in_user_namespace() && tolerates(params, state);
    let kubelets = KUBELETS.iter().filter(|_| !tolerant);
    let fixed: Vec<Fixed> = kubelets
        .chain([&FORWARDING])
        .filter_map(|sysctl| fixed(state, sysctl))
        .collect();
    if fixed.is_empty() {
        let evidence = if tolerant {
            "the container is unprivileged, and its kubelet goes on where it may not set anything below /proc/sys"
        } else {
            "what the kubelet sets below /proc/sys can be set, or is so already"
        };
        return Check::ok("proc_sys", evidence);
    }
    let values: Vec<String> = fixed
        .iter()
        .map(|one| {
            format!(
                "{} is {} and has to become {}",
                one.name, one.is.value, one.wanted
            )
        })
        .collect();
    let evidence = format!("/proc/sys cannot be written, and {}", values.join(", "));
    let Some(config) = &state.config else {
        let next = "set these with sysctl, or see why /proc/sys is read-only";
        return Check::refused("proc_sys", evidence, next);
    };
    if config.is_unprivileged() {
        return Check::refused("proc_sys", evidence, set_outside(&fixed, names));
    }
    opened(config, evidence, &fixed, names)
}

/// Whether the kubelet goes on in a user namespace where it may not set a value or open /dev/kmsg. For an older one an operator has to set the gate.
fn tolerates(params: &Params, state: &State) -> bool {
    let by_default = state
        .version(params)
        .is_some_and(|version| version.minor >= TOLERANT);
    state.kubelet.in_user_namespace.unwrap_or(by_default)
}

fn set_outside(fixed: &[Fixed], names: &Names) -> String {
    let set: Vec<String> = fixed
        .iter()
        .map(|one| format!("{}={}", one.name, one.wanted))
        .collect();
    format!(
        "the container is unprivileged, and no line of its configuration opens them: set {} on {} (in /etc/sysctl.d); or give k3s          kubelet-arg: [feature-gates=KubeletInUserNamespace=true], which k3s from v1.{TOLERANT} on does not need",
        set.join(" "),
        names.host
    )
}

fn opened(config: &Config, evidence: String, fixed: &[Fixed], names: &Names) -> Check {
    if fixed.iter().any(|one| one.is.access == Access::ReadOnly) {
        let there = config.has_word("lxc.mount.auto", "proc:rw");
        return Check::lacks("proc_sys", evidence, names, "lxc.mount.auto: proc:rw", there);
    }
    let there = unconfined(config);
    Check::lacks(
        "proc_sys",
        evidence,
        names,
        "lxc.apparmor.profile: unconfined",
        there,
    )
}

/// A missing one is made; one that is there and cannot be opened is not. The kubelet ends without it (`oomwatcher.NewWatcher`).
fn kmsg(params: &Params, state: &State, names: &Names) -> Check {
    match (&state.kmsg.kind, state.kmsg.opens) {
        (Some(kind), true) => Check::ok("kmsg", kind.clone()),
        (Some(kind), false) if !state.makes_kmsg() => {
            if state.in_user_namespace() && tolerates(params, state) {
                return Check::ok("kmsg", format!("{kind}, which this kubelet goes on without"));
            }
            let next = format!(
                "take the line that brings it (lxc.mount.entry or dev) out of the container's configuration, so that one is made \
                 inside; or set kernel.dmesg_restrict=0 on {}",
                names.host
            );
            Check::refused("kmsg", "/dev/kmsg is the kernel's, and cannot be opened", next)
        }
        _ => Check::ok("kmsg", "not there; conf-kmsg.service makes it"),
    }
}

/// k3s ends without memory, pids and, on cgroup v2, cpu and cpuset; on cgroup v1 the kubelet asks for the other two.
fn cgroup(state: &State, names: &Names) -> Check {
    let cgroup = &state.cgroup;
    let missing: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|name| !cgroup.controllers.iter().any(|there| there == name))
        .collect();
    if !missing.is_empty() {
        let evidence = format!("the cgroup controllers {} are not there", missing.join(", "));
        let next = format!(
            "see that the kernel of {} has them (cgroup_enable= and systemd's own settings there)",
            names.host
        );
        return Check::refused("cgroup", evidence, next);
    }
    if cgroup.writable {
        let evidence = format!("version {}: {}", cgroup.version, cgroup.controllers.join(" "));
        return Check::ok("cgroup", evidence);
    }
    let evidence = "its cgroups cannot be written";
    match &state.config {
        Some(config) => {
            let there = config.has_word("lxc.mount.auto", "cgroup:rw");
            Check::lacks("cgroup", evidence, names, "lxc.mount.auto: cgroup:rw", there)
        }
        None => Check::refused("cgroup", evidence, "see why /sys/fs/cgroup is read-only"),
    }
}

/// Nothing that k3s does in a container loads it: it calls modprobe, which a container has no modules for, and goes on. Services that
/// lead back to a pod on the same node do not work then.
fn kernel(state: &State, names: &Names) -> Check {
    if state.has_part("br_netfilter") {
        return Check::ok("kernel", format!("{}: br_netfilter", state.kernel));
    }
    let evidence = "the kernel has not loaded br_netfilter";
    match state.config {
        Some(_) => Check::refused("kernel", evidence, modprobe(names, "br_netfilter")),
        None => Check::warning("kernel", evidence, modprobe(names, "br_netfilter")),
    }
}

/// What the kernel loads by itself on first use, from a container too, unless its host forbids that: overlay at the first mount,
/// connection tracking at the first rule of kube-proxy.
fn on_demand(state: &State, names: &Names) -> Option<Check> {
    let missing: Vec<&str> = ["overlay", "nf_conntrack"]
        .into_iter()
        .filter(|name| !state.has_part(name))
        .collect();
    (!missing.is_empty()).then(|| {
        let missing = missing.join(" ");
        let evidence =
            format!("the kernel has not loaded {missing}, which it usually does as soon as k3s needs it");
        Check::warning("modules", evidence, modprobe(names, &missing))
    })
}

fn modprobe(names: &Names, modules: &str) -> String {
    let host = &names.host;
    format!("on {host}: `modprobe -a {modules}`, and a line for each in /etc/modules-load.d/k3s.conf")
}

fn disk(params: &Params, state: &State) -> Check {
    let (free, wanted) = (state.free_mb, params.min_free_mb);
    if free >= wanted {
        return Check::ok("disk", format!("{free} MiB free"));
    }
    Check::refused(
        "disk",
        format!("{free} MiB are free for /var/lib/rancher, and {wanted} are wanted"),
        "make room, or let Proxmox resize the volume",
    )
}

/// With `fail-cgroupv1=false` it starts there.
fn cgroup_v1(params: &Params, state: &State, names: &Names) -> Option<Check> {
    if state.cgroup.version != 1 || state.kubelet.fails_on_cgroup_v1 == Some(false) {
        return None;
    }
    let next = format!(
        "boot {} with cgroup v2, or give k3s kubelet-arg: [fail-cgroupv1=false]",
        names.host
    );
    let version = state.version(params);
    if let Some(version) = version.filter(|version| version.minor >= CGROUP_V2_ONLY) {
        let evidence = format!("it has cgroup v1, on which the kubelet of k3s {version} does not start");
        return Some(Check::refused("cgroup_v1", evidence, next));
    }
    let evidence =
        format!("it has cgroup v1, on which no kubelet from k3s v1.{CGROUP_V2_ONLY} on starts by default");
    Some(Check::warning("cgroup_v1", evidence, next))
}

/// Overlays can be on ZFS from its version 2.2 on.
fn zfs(state: &State) -> Option<Check> {
    let new_enough = state.zfs_version.as_deref().and_then(numbers) >= Some(vec![2, 2]);
    (state.disk_type == "zfs" && !new_enough).then(|| {
        let version = state.zfs_version.as_deref().unwrap_or("an unknown version");
        Check::warning(
            "zfs",
            format!("/var/lib/rancher is on ZFS ({version})"),
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
            Check::refused(
                "profile",
                wrong,
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
