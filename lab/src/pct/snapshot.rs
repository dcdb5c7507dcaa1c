//! Snapshots: copies of the container's disk and a section each in its configuration.

use super::args::Call;
use super::conf::{self, Conf, Section, refuse_locked};
use super::failure::{Failure, Outcome};
use super::host::{Host, program};
use super::lock::{self, Caller};
use super::power::{replay, start_locked, task, wait_stopped};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// What a container's volume consists of in the lab.
const PARTS: [&str; 3] = ["upper", "rancher", "kubelet"];

fn folder(host: &Host, vmid: &str, name: &str) -> PathBuf {
    host.container(vmid).join("snapshots").join(name)
}

fn missing(name: &str) -> Failure {
    Failure::plain(format!("snapshot '{name}' does not exist"))
}

pub(crate) fn take(host: &Host, call: &Call) -> Outcome {
    let (vmid, name) = (call.vmid(), call.positional(1));
    if ["current", "vzdump"].contains(&name) {
        return Err(Failure::plain(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        let mut conf = conf::load(host, vmid)?;
        refuse_locked(&conf, &[])?;
        if conf.main.get("template") == Some("1") {
            return Err(Failure::plain("you can't take a snapshot if it's a template"));
        }
        if conf.section(name).is_some() {
            return Err(Failure::plain(format!("snapshot name '{name}' already used")));
        }
        let mut section = Section {
            name: name.to_owned(),
            ..conf.main.clone()
        };
        section.put("snaptime", &seconds_now().to_string());
        section.description = call
            .option("description")
            .into_iter()
            .flat_map(str::lines)
            .map(str::to_owned)
            .collect();
        set_lock(host, vmid, &mut conf, Some("snapshot"))?;
        let copied = copy_out(host, vmid, name);
        conf.main.remove("lock");
        if copied {
            conf.main.put("parent", name);
            conf.sections.push(section);
        }
        conf::store(host, vmid, &conf)?;
        if copied {
            Ok(0)
        } else {
            Err(Failure::plain(format!("unable to copy the volume of CT {vmid}")))
        }
    })
}

fn set_lock(host: &Host, vmid: &str, conf: &mut Conf, lock: Option<&str>) -> Outcome<()> {
    match lock {
        Some(lock) => conf.main.put("lock", lock),
        None => {
            conf.main.remove("lock");
        }
    }
    conf::store(host, vmid, conf)
}

/// A running container is frozen meanwhile, as Proxmox freezes it.
fn copy_out(host: &Host, vmid: &str, name: &str) -> bool {
    let target = folder(host, vmid, name);
    if fs::create_dir_all(&target).is_err() {
        return false;
    }
    let frozen = host.is_running(vmid) && replay(host.lxc("lxc-freeze").args(["-n", vmid]));
    let disk = host.container(vmid).join("disk");
    let copied = PARTS
        .iter()
        .all(|part| replay(program("cp").arg("-a").arg(disk.join(part)).arg(&target)));
    if frozen {
        replay(host.lxc("lxc-unfreeze").args(["-n", vmid]));
    }
    copied
}

pub(crate) fn rollback(host: &Host, call: &Call) -> Outcome {
    let (vmid, name) = (call.vmid(), call.positional(1));
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        let mut conf = conf::load(host, vmid)?;
        let mut wanted = conf.section(name).cloned().ok_or_else(|| missing(name))?;
        refuse_locked(&conf, &[])?;
        set_lock(host, vmid, &mut conf, Some("rollback"))?;
        if host.is_running(vmid) {
            replay(host.lxc("lxc-stop").args(["-n", vmid, "--kill"]));
            wait_stopped(host, vmid);
        }
        let disk = host.container(vmid).join("disk");
        let restored = PARTS.iter().all(|part| {
            // The folders themselves are mounted into the container at its next start, so they may be replaced.
            fs::remove_dir_all(disk.join(part)).is_ok()
                && replay(
                    program("cp")
                        .arg("-a")
                        .arg(folder(host, vmid, name).join(part))
                        .arg(&disk),
                )
        });
        if !restored {
            return Err(Failure::plain(format!(
                "unable to restore the volume of CT {vmid}"
            )));
        }
        wanted.name.clear();
        wanted.remove("snaptime");
        wanted.put("parent", name);
        conf.main = wanted;
        conf::store(host, vmid, &conf)?;
        if call.flag("start", false) {
            start_locked(host, vmid, false)
        } else {
            Ok(0)
        }
    })
}

pub(crate) fn delete(host: &Host, call: &Call) -> Outcome {
    let (vmid, name) = (call.vmid(), call.positional(1));
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        let mut conf = conf::load(host, vmid)?;
        let gone = conf.section(name).cloned().ok_or_else(|| missing(name))?;
        refuse_locked(&conf, &[])?;
        conf.sections.retain(|section| section.name != name);
        for section in conf.sections.iter_mut().chain([&mut conf.main]) {
            if section.get("parent") == Some(name) {
                match gone.get("parent") {
                    Some(parent) => section.put("parent", parent),
                    None => drop(section.remove("parent")),
                }
            }
        }
        // A folder that is not there is what was asked for.
        let _ = fs::remove_dir_all(folder(host, vmid, name));
        conf::store(host, vmid, &conf)?;
        Ok(0)
    })
}

pub(crate) fn list(host: &Host, call: &Call) -> Outcome {
    let conf = conf::load(host, call.vmid())?;
    let time = |section: &Section| section.get("snaptime").and_then(|time| time.parse::<i64>().ok());
    // A chain: a tree with branches needs clones, which the lab has not.
    let mut chain: Vec<&Section> = conf.snapshots().collect();
    chain.sort_by_key(|section| time(section));
    for (depth, section) in chain.iter().enumerate() {
        let description = section
            .description
            .last()
            .map_or("no-description", String::as_str);
        println!(
            "{}",
            line(
                depth,
                &section.name,
                &time(section).map(clock).unwrap_or_default(),
                description
            )
        );
    }
    let parent = chain
        .iter()
        .position(|section| conf.main.get("parent") == Some(&section.name));
    println!(
        "{}",
        line(
            parent.map_or(0, |depth| depth + 1),
            "current",
            "",
            "You are here!"
        )
    );
    Ok(0)
}

fn line(depth: usize, name: &str, time: &str, description: &str) -> String {
    let start = format!("{}`-> {name}", " ".repeat(depth));
    format!("{start:<31}{time:<23}{description}")
}

fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// `%F %H:%M:%S`; the lab's clock is UTC.
fn clock(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Days since 1970 to a date of the Gregorian calendar, in years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn prints_times_as_dates() {
        assert_eq!(clock(0), "1970-01-01 00:00:00");
        assert_eq!(clock(1_709_210_096), "2024-02-29 12:34:56");
    }
}
