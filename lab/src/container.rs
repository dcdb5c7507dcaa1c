//! Containers as Proxmox defines them (`/etc/pve/lxc/<vmid>.conf`), and what only the lab needs besides.

use crate::cgroup;
use crate::images;
use crate::layout::{Node, Options};
use crate::namespace;
use crate::paths;
use crate::process::{self, Program};
use crate::template;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEFINE: &str = include_str!("../files/container-define.sh");
/// The stand-in package manager: no container has a way out.
pub const PACKAGES: &str = include_str!("../files/packages.sh");
const BEFORE_K3S: &str = include_str!("../files/before-k3s.sh");
const CONTAINERD: &str = include_str!("../files/containerd.toml");
const CONTAINERD_TEMPLATE: &str = include_str!("../files/containerd.toml.tmpl");
/// Enough for two versions of a real k3s with its images; memory is used only as it fills.
pub const DISK: &str = "2G";

pub fn conf_path(node: &Node) -> PathBuf {
    paths::run("pmxcfs/nodes")
        .join(&node.host.name)
        .join(format!("lxc/{}.conf", node.vmid))
}

/// The container's configuration, as operators of k3s write it (`reference/pct.md` §14).
fn conf(node: &Node) -> String {
    format!(
        "arch: amd64\ncores: 2\nfeatures: nesting=1\nhostname: {name}\nmemory: 2048\n\
         net0: name=eth0,bridge=vmbr0,gw={gateway},hwaddr=BC:24:11:00:00:{vmid:02X},ip={address}/24,type=veth\n\
         onboot: 1\nostype: debian\nrootfs: local-lvm:vm-{vmid}-disk-0,size={DISK}\nswap: 0\n\
         lxc.apparmor.profile: unconfined\nlxc.cgroup2.devices.allow: a\nlxc.cap.drop:\n\
         lxc.mount.auto: proc:rw sys:rw\n",
        name = node.name,
        gateway = node.host.address,
        vmid = node.vmid,
        address = node.address,
    )
}

/// What a Proxmox host does not have to say: where the lab keeps the root file system, and this machine's cgroups.
fn lab_conf(node: &Node, template: &Path, images: &Path) -> String {
    let folder = format!("/var/lib/lxc/{}/disk", node.vmid);
    let mut text = format!(
        "lxc.rootfs.path = overlay:{template}:{folder}/upper\n\
         lxc.mount.entry = {folder}/rancher var/lib/rancher none bind,create=dir\n\
         lxc.mount.entry = {folder}/kubelet var/lib/kubelet none bind,create=dir\n\
         lxc.cgroup.dir.container = {cgroup}/{vmid}\n\
         lxc.cgroup.dir.monitor = {cgroup}/monitor-{vmid}\n",
        template = template.display(),
        cgroup = paths::name(),
        vmid = node.vmid,
    );
    if images.exists() {
        // One for all containers: their disks are memory.
        text.push_str(&format!(
            "lxc.mount.entry = {} usr/local/lib/lab/images.tar none bind,ro,create=file\n",
            images.display()
        ));
    }
    if cgroup::is_v1() {
        text.push_str("lxc.mount.auto = cgroup:rw:force\nlxc.cgroup.devices.allow = a\n");
    }
    text
}

/// What the kubelet of a real k3s has to be configured with in a lab, besides what k3s says.
fn kubelet_conf(v1: bool, slow_heartbeat: bool) -> String {
    let mut text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n".to_owned();
    if v1 {
        // Kubelets since 1.35 do not start there by themselves.
        text.push_str("failCgroupV1: false\n");
    }
    if !slow_heartbeat {
        // An agent says READY after a heartbeat that is newer than its own start, and k3s has one in 5 minutes.
        text.push_str("nodeStatusReportFrequency: 5s\n");
    }
    text
}

pub fn define(node: &Node, options: &Options) -> Result<()> {
    let path = conf_path(node);
    fs::write(&path, conf(node)).with_context(|| format!("writing {}", path.display()))?;
    let (vmid, factor) = (node.vmid.to_string(), options.time_factor.to_string());
    let images = images::file();
    let kubelet = kubelet_conf(cgroup::is_v1(), options.slow_heartbeat);
    let real = |text| if images.exists() { text } else { "" };
    let days = options.cert_days.map(|days| days.to_string()).unwrap_or_default();
    let script = [
        "sh",
        "-c",
        DEFINE,
        "define",
        &vmid,
        &node.name,
        &node.address,
        DISK,
        &factor,
        &days,
        if node.empty { "empty" } else { "" },
        PACKAGES,
        real(&kubelet),
        real(BEFORE_K3S),
        real(CONTAINERD),
        real(CONTAINERD_TEMPLATE),
    ];
    namespace::on(&node.host.name, script)
        .stdin(lab_conf(node, &template::root(), &images))
        .run()
        .with_context(|| format!("defining container {vmid} on {}", node.host.name))?;
    Ok(())
}

/// `pct` on the node's host, as an operator would call it.
pub fn pct<S: Into<String>>(node: &Node, arguments: impl IntoIterator<Item = S>) -> Program {
    let argv: Vec<String> = std::iter::once("pct".to_owned())
        .chain(arguments.into_iter().map(Into::into))
        .collect();
    namespace::on(&node.host.name, argv)
}

/// A command inside the node's container.
pub fn exec<S: Into<String>>(node: &Node, argv: impl IntoIterator<Item = S>) -> Program {
    let start = [
        "exec".to_owned(),
        node.vmid.to_string(),
        "--keep-env=0".to_owned(),
        "--".to_owned(),
    ];
    pct(node, start.into_iter().chain(argv.into_iter().map(Into::into)))
}

pub fn start(node: &Node) -> Result<()> {
    pct(node, ["start", &node.vmid.to_string()]).run().map(drop)
}

/// `pct start` returns before systemd has done; services can be started only after that.
pub fn wait_for_systemd(node: &Node) -> Result<()> {
    let what = format!("systemd in container {} ({}) has booted", node.vmid, node.name);
    process::wait_until(&what, Duration::from_mins(1), || {
        let said = exec(node, ["systemctl", "is-system-running"]).output()?.stdout;
        Ok(matches!(said.trim(), "running" | "degraded"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_is_configured_for_the_cgroups_and_with_a_quick_heartbeat_or_k3s_s_own() {
        let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
        for (v1, slow, rest) in [
            (
                true,
                false,
                "failCgroupV1: false\nnodeStatusReportFrequency: 5s\n",
            ),
            (true, true, "failCgroupV1: false\n"),
            (false, false, "nodeStatusReportFrequency: 5s\n"),
            (false, true, ""),
        ] {
            assert_eq!(kubelet_conf(v1, slow), format!("{head}{rest}"));
        }
    }
}
