//! set and unlock: not tasks, silent on success.

use super::args::Call;
use super::conf::{self, Conf, refuse_locked};
use super::failure::{Failure, Outcome};
use super::host::Host;
use super::lock::{self, Caller};

pub(crate) const EVERY_LOCK: [&str; 10] = [
    "backup",
    "create",
    "destroyed",
    "disk",
    "fstrim",
    "migrate",
    "mounted",
    "rollback",
    "snapshot",
    "snapshot-delete",
];

/// On a running container everything else waits for the next start.
const LIVE: [&str; 13] = [
    "description",
    "onboot",
    "startup",
    "protection",
    "hostname",
    "hookscript",
    "cores",
    "tags",
    "lock",
    "cpulimit",
    "cpuunits",
    "memory",
    "swap",
];

pub(crate) fn set(host: &Host, call: &Call) -> Outcome {
    let vmid = call.vmid();
    let changes: Vec<_> = call
        .options()
        .iter()
        .filter(|(key, _)| *key != "digest")
        .collect();
    if changes.is_empty() {
        return Err(Failure::plain("no options specified"));
    }
    // Loaded before the lock too: a missing container is reported at once.
    conf::load(host, vmid)?;
    let _lock = lock::take(host, vmid, Caller::Direct)?;
    let mut conf = conf::load(host, vmid)?;
    refuse_locked(&conf, &[])?;
    let running = host.is_running(vmid);
    for (key, value) in changes {
        apply(&mut conf, key, value, running)?;
    }
    conf::store(host, vmid, &conf)?;
    Ok(0)
}

fn apply(conf: &mut Conf, key: &str, value: &str, running: bool) -> Outcome<()> {
    match key {
        "unprivileged" => {
            return Err(Failure::plain(
                "unable to modify read-only option: 'unprivileged'",
            ));
        }
        "lock" if !EVERY_LOCK.contains(&value) => {
            let list = EVERY_LOCK.join(", ");
            let text = format!(
                "400 Parameter verification failed.\nlock: value '{value}' does not have a value in the enumeration '{list}'"
            );
            return Err(Failure::plain(text));
        }
        "delete" => value
            .split([',', ' ', ';'])
            .try_for_each(|key| delete(conf, key, running))?,
        "revert" => value.split([',', ' ', ';']).for_each(|key| {
            conf.pending().remove(key);
        }),
        "description" => conf.main.description = value.lines().map(str::to_owned).collect(),
        _ if !running || LIVE.contains(&key) || new_device(conf, key) => conf.main.put(key, value),
        _ => conf.pending().put(key, value),
    }
    if conf
        .section(conf::PENDING)
        .is_some_and(|pending| pending.keys.is_empty())
    {
        conf.apply_pending();
    }
    Ok(())
}

fn new_device(conf: &Conf, key: &str) -> bool {
    key.starts_with("net")
        || (["mp", "dev"].iter().any(|kind| key.starts_with(kind)) && conf.main.get(key).is_none())
}

fn delete(conf: &mut Conf, key: &str, running: bool) -> Outcome<()> {
    if ["memory", "rootfs", "arch"].contains(&key) {
        return Err(Failure::plain(format!(
            "unable to delete required option '{key}'"
        )));
    }
    if key == "description" {
        conf.main.description.clear();
        return Ok(());
    }
    if conf.main.get(key).is_none() {
        eprintln!("cannot delete '{key}' - not set in current configuration!");
        return Ok(());
    }
    if !running || LIVE.contains(&key) || key.starts_with("net") {
        conf.main.remove(key);
        return Ok(());
    }
    let pending = conf.pending();
    let joined = [pending.get("delete").unwrap_or_default(), key].join(",");
    pending.put("delete", joined.trim_start_matches(','));
    Ok(())
}

pub(crate) fn unlock(host: &Host, call: &Call) -> Outcome {
    let vmid = call.vmid();
    conf::load(host, vmid)?;
    let _lock = lock::take(host, vmid, Caller::Direct)?;
    let mut conf = conf::load(host, vmid)?;
    if !conf.main.remove("lock") {
        return Err(Failure::plain("no lock found trying to remove any lock"));
    }
    conf::store(host, vmid, &conf)?;
    Ok(0)
}
