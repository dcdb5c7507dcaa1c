//! The lab's cgroups. Every process of the lab is in one, so that taking down needs no list of processes.

use crate::paths;
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";

/// Whether the machine has cgroup v1 hierarchies, each mounted by itself.
pub fn is_v1() -> bool {
    !Path::new(ROOT).join("cgroup.controllers").exists()
}

/// The lab's folder in every hierarchy, whether it exists or not.
fn folders() -> Vec<PathBuf> {
    if !is_v1() {
        return vec![Path::new(ROOT).join(paths::name())];
    }
    let Ok(entries) = fs::read_dir(ROOT) else {
        return Vec::new();
    };
    // Links such as `cpu -> cpu,cpuacct` would only repeat a hierarchy.
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path().join(paths::name()))
        .collect()
}

/// Whether a lab of another name is up, as `lab/apart` and other checkouts have them.
pub fn another_lab_is_up() -> bool {
    let folders = folders();
    let mut hierarchies = folders.iter().filter_map(|folder| folder.parent());
    hierarchies.any(|hierarchy| has_another_lab(hierarchy, &paths::name()))
}

fn has_another_lab(hierarchy: &Path, own: &str) -> bool {
    let Ok(entries) = fs::read_dir(hierarchy) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name != own && name.starts_with(paths::NAME)
    })
}

/// Makes the cgroup `homelab-lab/<name>` and prints a shell line that puts the shell itself into it.
pub fn join_script(name: &str) -> Result<String> {
    let mut script = String::new();
    for folder in folders() {
        // A v1 cpuset takes no process until its processors are set; the other hierarchies are enough to sweep by.
        if folder.parent().is_some_and(|p| p.ends_with("cpuset")) {
            continue;
        }
        let own = folder.join(name);
        fs::create_dir_all(&own).with_context(|| format!("making the cgroup {}", own.display()))?;
        script.push_str(&format!("echo $$ > {}/cgroup.procs\n", own.display()));
    }
    Ok(script)
}

pub fn processes() -> Vec<Pid> {
    let mut found = Vec::new();
    for folder in folders() {
        walk(&folder, &mut |cgroup| {
            let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
            found.extend(
                text.lines()
                    .filter_map(|line| line.parse().ok())
                    .filter_map(Pid::from_raw),
            );
        });
    }
    found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
    found.dedup();
    found
}

/// A frozen process does not die until it is thawed.
pub fn thaw_all() {
    for folder in folders() {
        walk(&folder, &mut |cgroup| {
            for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                let file = cgroup.join(file);
                if file.exists() {
                    let _ = fs::write(file, word);
                }
            }
        });
    }
}

/// Kills what is left and removes the cgroups. True when nothing is left.
pub fn sweep() -> bool {
    for _ in 0..100 {
        thaw_all();
        for pid in processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if remove() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}

/// Removes the named cgroups where no process is left in them.
pub fn remove_stale(names: &[String]) {
    for folder in folders() {
        for name in names {
            walk(&folder.join(name), &mut |cgroup| {
                let _ = fs::remove_dir(cgroup);
            });
        }
    }
}

fn remove() -> bool {
    let folders = folders();
    for folder in &folders {
        walk(folder, &mut |cgroup| {
            let _ = fs::remove_dir(cgroup);
        });
    }
    folders.iter().all(|folder| !folder.exists())
}

/// Children first.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
    visit(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_lab_is_one_of_another_name() {
        let hierarchy = tempfile::tempdir().unwrap();
        let up = |own| has_another_lab(hierarchy.path(), own);
        fs::create_dir(hierarchy.path().join("system.slice")).unwrap();
        fs::create_dir(hierarchy.path().join("homelab-lab-beside")).unwrap();
        assert!(!up("homelab-lab-beside"));
        assert!(up("homelab-lab"));
        fs::create_dir(hierarchy.path().join("homelab-lab")).unwrap();
        assert!(up("homelab-lab-beside"));
    }
}
