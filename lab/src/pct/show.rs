//! list, status, config, pending: what only reads.

use super::args::Call;
use super::conf::{self, PENDING, Section};
use super::failure::{Failure, Outcome};
use super::host::Host;
use std::collections::BTreeMap;
use std::fs;

pub(crate) fn list(host: &Host, _call: &Call) -> Outcome {
    let mut vmids: Vec<u32> = Vec::new();
    if let Ok(entries) = fs::read_dir(host.path("/etc/pve/nodes").join(&host.node).join("lxc")) {
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        vmids.extend(names.filter_map(|name| name.strip_suffix(".conf")?.parse::<u32>().ok()));
    }
    vmids.sort_unstable();
    if !vmids.is_empty() {
        println!("{}", row("VMID", "Status", "Lock", "Name"));
    }
    for vmid in vmids.iter().map(u32::to_string) {
        let conf = conf::load(host, &vmid)?;
        let name = conf
            .main
            .get("hostname")
            .map_or_else(|| format!("CT{vmid}"), str::to_owned);
        println!(
            "{}",
            row(
                &vmid,
                word(host, &vmid),
                conf.main.get("lock").unwrap_or_default(),
                &name
            )
        );
    }
    Ok(0)
}

fn row(vmid: &str, status: &str, lock: &str, name: &str) -> String {
    format!("{vmid:<10} {status:<10} {lock:<12} {name:<20}")
}

fn word(host: &Host, vmid: &str) -> &'static str {
    if host.is_running(vmid) {
        "running"
    } else {
        "stopped"
    }
}

pub(crate) fn status(host: &Host, call: &Call) -> Outcome {
    let vmid = call.vmid();
    let conf = conf::load(host, vmid)?;
    let status = word(host, vmid);
    if !call.flag("verbose", false) {
        println!("status: {status}");
        return Ok(0);
    }
    for (key, value) in verbose(host, vmid, &conf.main, status) {
        println!("{key}: {value}");
    }
    Ok(0)
}

/// The counters are constants: nobody may rely on them in the lab.
fn verbose(host: &Host, vmid: &str, main: &Section, status: &str) -> BTreeMap<&'static str, String> {
    let name = main
        .get("hostname")
        .map_or_else(|| format!("CT{vmid}"), str::to_owned);
    let mut fields = BTreeMap::from([
        ("cpus", main.get("cores").unwrap_or("1").to_owned()),
        ("maxmem", megabytes(main.get("memory").unwrap_or("512"))),
        ("maxswap", megabytes(main.get("swap").unwrap_or("512"))),
        ("name", name),
        ("status", status.to_owned()),
        ("type", "lxc".to_owned()),
        ("vmid", vmid.to_owned()),
    ]);
    for counter in [
        "disk",
        "diskread",
        "diskwrite",
        "maxdisk",
        "mem",
        "netin",
        "netout",
        "swap",
        "uptime",
    ] {
        fields.insert(counter, "0".to_owned());
    }
    for key in ["lock", "tags", "template"] {
        if let Some(value) = main.get(key) {
            fields.insert(key, value.to_owned());
        }
    }
    if status == "running" {
        fields.insert("uptime", "1".to_owned());
        if let Some(pid) = init_pid(host, vmid) {
            fields.insert("pid", pid);
        }
    }
    fields
}

pub(crate) fn init_pid(host: &Host, vmid: &str) -> Option<String> {
    let output = host
        .lxc("lxc-info")
        .args(["-n", vmid, "-p", "-H"])
        .output()
        .ok()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !pid.is_empty()).then_some(pid)
}

fn megabytes(text: &str) -> String {
    (text.parse::<u64>().unwrap_or_default() * 1024 * 1024).to_string()
}

pub(crate) fn config(host: &Host, call: &Call) -> Outcome {
    let mut conf = conf::load(host, call.vmid())?;
    let shown = if let Some(name) = call.option("snapshot") {
        let found = conf.section(name).cloned();
        found.ok_or_else(|| Failure::plain(format!("snapshot '{name}' does not exist")))?
    } else {
        // What is not true yet looks true unless asked otherwise.
        if !call.flag("current", false) {
            conf.apply_pending();
        }
        conf.main
    };
    let mut keys = shown.sorted();
    if !shown.description.is_empty() {
        keys.push((
            "description".to_owned(),
            encode(&(shown.description.join("\n") + "\n")),
        ));
        keys.sort();
    }
    for (key, value) in keys.iter().chain(&shown.raw) {
        println!("{key}: {value}");
    }
    Ok(0)
}

/// As in a URI: the description may hold anything.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'%' | 0..=0x1f | 0x7f..=0xff => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

pub(crate) fn pending(host: &Host, call: &Call) -> Outcome {
    let conf = conf::load(host, call.vmid())?;
    let pending = conf.section(PENDING).cloned().unwrap_or_default();
    let deleted: Vec<&str> = pending
        .get("delete")
        .unwrap_or_default()
        .split([',', ' ', ';'])
        .collect();
    for (key, value) in conf.main.sorted() {
        println!("cur {key}: {value}");
        if let Some(new) = pending.get(&key) {
            println!("new {key}: {new}");
        }
        if deleted.contains(&key.as_str()) {
            println!("del {key}: {value}");
        }
    }
    for (key, value) in pending
        .sorted()
        .iter()
        .filter(|(key, _)| key != "delete" && conf.main.get(key).is_none())
    {
        println!("new {key}: {value}");
    }
    Ok(0)
}
