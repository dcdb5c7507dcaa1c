//! A new container as it should be configured, and one that has everything, for tests.

use crate::kubelet::Kubelet;
use crate::params::Params;
use crate::state::{Access, Cgroup, Kmsg, Os, State, Sysctl, UNIT, Unit};
use host::pct::Config;

pub(crate) const CONFIG: &str = "features: nesting=1\nlxc.apparmor.profile: unconfined\nlxc.cgroup2.devices.allow: a\n\
                                 lxc.mount.auto: proc:rw\n";

pub(crate) fn params(options: serde_json::Value) -> Params {
    serde_json::from_value(options).unwrap()
}

pub(crate) fn container() -> State {
    let sysctl = |value: &str| Sysctl {
        access: Access::Open,
        value: value.to_owned(),
    };
    let sysctls = [
        ("net/ipv4/ip_forward", "1"),
        ("vm/overcommit_memory", "0"),
        ("kernel/panic", "0"),
        ("kernel/panic_on_oops", "1"),
    ];
    State {
        location: "container 111 on pve1".into(),
        outside: "pve1".into(),
        config: Some(Config::parse(CONFIG)),
        systemd: true,
        os: Os {
            id: "debian".into(),
            like: Vec::new(),
            version: "12".into(),
            name: "Debian GNU/Linux 12 (bookworm)".into(),
        },
        kernel: "6.8.12-4-pve".into(),
        kmsg: Kmsg::default(),
        unit: Unit::default(),
        sysctls: sysctls
            .map(|(name, value)| (name.to_owned(), sysctl(value)))
            .into(),
        kubelet: Kubelet::default(),
        k3s: None,
        cgroup: Cgroup {
            version: 2,
            controllers: ["cpuset", "cpu", "io", "memory", "pids"]
                .map(str::to_owned)
                .into(),
            writable: true,
        },
        kernel_parts: ["overlay", "br_netfilter", "nf_conntrack"]
            .map(str::to_owned)
            .into(),
        free_mb: 4096,
        disk_type: "ext2/ext3".into(),
        zfs_version: None,
        installed: Vec::new(),
    }
}

pub(crate) fn ready() -> State {
    State {
        kmsg: Kmsg {
            kind: Some("link to /dev/console".into()),
            opens: true,
        },
        unit: Unit {
            text: Some(UNIT.to_owned()),
            enabled: true,
            active: true,
        },
        installed: vec!["nfs-common".into()],
        ..container()
    }
}
