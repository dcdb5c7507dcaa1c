//! What is asked of the node, in one visit.

use crate::params::Params;
use crate::state::{CONTROLLERS, DATA_FOLDERS, Family, OS_RELEASE, UNIT_NAME};
use k3s_node::Probe;
use k3s_node::probe::Is;
use k3s_node::settings::DEFAULT_CONFIG;

/// Those that k3s or its kubelet sets, below `/proc/sys`.
const SYSCTLS: [&str; 7] = [
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

const CGROUP: &str = "/sys/fs/cgroup";

pub(crate) fn all(params: &Params) -> Probe {
    let probe = Probe::new()
        .units(DEFAULT_CONFIG)
        .print("kernel", &["uname", "-r"]);
    let probe = OS_RELEASE.iter().fold(probe, |probe, path| {
        probe.file(&format!("os-release:{path}"), path)
    });
    let probe = SYSCTLS
        .iter()
        .fold(kmsg(probe), |probe, name| sysctl(probe, name));
    let kubelet = format!("{}/agent/etc/kubelet.conf.d", params.data_dir());
    let probe = probe
        .files("kubelet", &kubelet, "*.conf")
        .files("kubelet", &kubelet, "*/*.conf");
    packages(disk(kernel(cgroup(probe))), params)
}

fn kmsg(probe: Probe) -> Probe {
    probe
        .print("kmsg:link", &["readlink", "/dev/kmsg"])
        .is("kmsg:character-device", Is::CharacterDevice, "/dev/kmsg")
        .print("kmsg:number", &["stat", "-c", "%t:%T", "/dev/kmsg"])
        .is("kmsg:there", Is::There, "/dev/kmsg")
        .opens("kmsg:opens", "/dev/kmsg")
        .file("unit", &k3s_node::unit::path(UNIT_NAME))
        .show("kmsg-show", UNIT_NAME)
}

fn sysctl(probe: Probe, name: &str) -> Probe {
    let path = format!("/proc/sys/{name}");
    probe
        .kernels(&format!("sysctl:{name}"), &path)
        .opens_to_write(&format!("sysctl-opens:{name}"), &path)
        .is(&format!("sysctl-writable:{name}"), Is::Writable, &path)
}

fn cgroup(probe: Probe) -> Probe {
    let probe = probe
        .print("cgroup:type", &["stat", "-f", "-c", "%T", CGROUP])
        .file("cgroup:controllers", &format!("{CGROUP}/cgroup.controllers"))
        .is("cgroup:writable", Is::Writable, CGROUP);
    CONTROLLERS.iter().fold(probe, |probe, name| {
        let folder = format!("{CGROUP}/{name}");
        probe.is(&format!("cgroup-v1:{name}"), Is::Folder, &folder).is(
            &format!("cgroup-v1-writable:{name}"),
            Is::Writable,
            &folder,
        )
    })
}

fn kernel(probe: Probe) -> Probe {
    probe
        .kernels("filesystems", "/proc/filesystems")
        .is(
            "kernel:br_netfilter",
            Is::There,
            "/proc/sys/net/bridge/bridge-nf-call-iptables",
        )
        .is(
            "kernel:nf_conntrack",
            Is::There,
            "/proc/sys/net/netfilter/nf_conntrack_max",
        )
        .kernels("zfs-version", "/sys/module/zfs/version")
}

fn disk(probe: Probe) -> Probe {
    let probe = probe.disk("disk", &DATA_FOLDERS[..1]);
    DATA_FOLDERS.iter().fold(probe, |probe, folder| {
        let name = format!("disk-type:{folder}");
        probe.print(&name, &["stat", "-f", "-c", "%T", folder])
    })
}

/// Both families' names are asked for: which one it is, is in the answer.
fn packages(probe: Probe, params: &Params) -> Probe {
    let mut packages: Vec<String> = [Family::Debian, Family::RedHat]
        .iter()
        .flat_map(|family| family.packages(params))
        .collect();
    packages.sort();
    packages.dedup();
    if packages.is_empty() {
        return probe;
    }
    let mut dpkg = vec!["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n"];
    dpkg.extend(packages.iter().map(String::as_str));
    packages.iter().fold(probe.print("dpkg", &dpkg), |probe, name| {
        probe.print(&format!("rpm:{name}"), &["rpm", "-q", name])
    })
}
