//! LXC's configuration, made anew from Proxmox's at every start.

use super::conf::Conf;
use super::host::Host;

/// `lab.conf` in the container's folder says where the root is, which a Proxmox host has from its storage.
pub(crate) fn render(host: &Host, vmid: &str, conf: &Conf) -> String {
    let hostname = conf
        .main
        .get("hostname")
        .map_or_else(|| format!("CT{vmid}"), str::to_owned);
    let mut text = format!(
        "lxc.include = /usr/share/lxc/config/common.conf\nlxc.arch = amd64\nlxc.uts.name = {hostname}\n\
         lxc.tty.max = 2\nlxc.environment = TERM=linux\nlxc.signal.halt = SIGRTMIN+3\nlxc.start.auto = 0\n"
    );
    for index in 0..4 {
        if let Some(net) = conf.main.get(&format!("net{index}")) {
            text.push_str(&network(vmid, index, net));
        }
    }
    for (key, value) in &conf.main.raw {
        text.push_str(&format!("{key} = {}\n", value.trim_matches('"')));
    }
    text.push_str(&std::fs::read_to_string(host.container(vmid).join("lab.conf")).unwrap_or_default());
    text
}

fn network(vmid: &str, index: usize, net: &str) -> String {
    let value = |key: &str| {
        net.split(',')
            .find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
    };
    let mut text = format!("lxc.net.{index}.type = veth\nlxc.net.{index}.veth.pair = veth{vmid}i{index}\n");
    let lines = [
        ("link", "bridge"),
        ("name", "name"),
        ("hwaddr", "hwaddr"),
        ("ipv4.address", "ip"),
        ("ipv4.gateway", "gw"),
    ];
    for (lxc, pve) in lines {
        if let Some(value) = value(pve) {
            text.push_str(&format!("lxc.net.{index}.{lxc} = {value}\n"));
        }
    }
    text.push_str(&format!("lxc.net.{index}.flags = up\n"));
    text
}
