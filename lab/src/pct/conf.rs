//! `/etc/pve/lxc/<vmid>.conf`: Proxmox's grammar, kept line by line so that what is not ours survives a rewrite.

use super::failure::{Failure, Outcome};
use super::host::Host;
use std::fs;

/// The first section is the configuration itself; the others are snapshots and `pve:pending`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) description: Vec<String>,
    pub(crate) keys: Vec<(String, String)>,
    /// `lxc.*` lines, in file order, repeatable.
    pub(crate) raw: Vec<(String, String)>,
}

impl Section {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.keys
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.remove(key);
        self.keys.push((key.to_owned(), value.to_owned()));
    }

    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|(known, _)| known != key);
        before != self.keys.len()
    }

    pub(crate) fn sorted(&self) -> Vec<(String, String)> {
        let mut keys = self.keys.clone();
        keys.sort();
        keys
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.description {
            text.push_str(&format!("#{line}\n"));
        }
        for (key, value) in self.sorted().iter().chain(&self.raw) {
            text.push_str(&format!("{key}: {value}\n"));
        }
        text
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conf {
    pub(crate) main: Section,
    pub(crate) sections: Vec<Section>,
}

pub(crate) const PENDING: &str = "pve:pending";

impl Conf {
    pub(crate) fn parse(text: &str) -> Self {
        let mut sections = vec![Section::default()];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push(Section {
                    name: name.to_owned(),
                    ..Section::default()
                });
                continue;
            }
            let Some(section) = sections.last_mut() else {
                continue;
            };
            if let Some(comment) = line.strip_prefix('#') {
                section.description.push(comment.to_owned());
            } else if line.starts_with("lxc.") {
                if let Some((key, value)) = line.split_once([':', '=']) {
                    section.raw.push((key.trim().to_owned(), value.trim().to_owned()));
                }
            } else if let Some((key, value)) = line.split_once(':') {
                section
                    .keys
                    .push((key.trim().to_owned(), value.trim().to_owned()));
            }
        }
        let main = sections.remove(0);
        Self { main, sections }
    }

    pub(crate) fn render(&self) -> String {
        let mut text = self.main.render();
        for section in &self.sections {
            text.push_str(&format!("\n[{}]\n{}", section.name, section.render()));
        }
        text
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.name != PENDING)
    }

    pub(crate) fn pending(&mut self) -> &mut Section {
        let index = self
            .sections
            .iter()
            .position(|section| section.name == PENDING)
            .unwrap_or_else(|| {
                self.sections.insert(
                    0,
                    Section {
                        name: PENDING.to_owned(),
                        ..Section::default()
                    },
                );
                0
            });
        &mut self.sections[index]
    }

    /// What a start makes true.
    pub(crate) fn apply_pending(&mut self) {
        let Some(index) = self.sections.iter().position(|section| section.name == PENDING) else {
            return;
        };
        let pending = self.sections.remove(index);
        for (key, value) in pending.keys {
            if key == "delete" {
                value.split([',', ' ', ';']).for_each(|key| {
                    self.main.remove(key);
                });
            } else {
                self.main.put(&key, &value);
            }
        }
    }
}

/// Reads the configuration, with the complaints that Proxmox makes about it.
pub(crate) fn load(host: &Host, vmid: &str) -> Outcome<Conf> {
    let Ok(text) = fs::read_to_string(host.conf(vmid)) else {
        // errno is ENOENT at that moment, and Perl makes it the exit code.
        let path = format!("nodes/{}/lxc/{vmid}.conf", host.node);
        return Err(Failure::new(
            2,
            format!("Configuration file '{path}' does not exist"),
        ));
    };
    let conf = Conf::parse(&text);
    let old_key = conf
        .main
        .raw
        .iter()
        .map(|(key, _)| key.as_str())
        .find(|key| key.starts_with("lxc.cgroup."));
    let asked = host
        .faults_of(vmid)
        .config_warning
        .then_some("lxc.cgroup.devices.allow");
    if let Some(key) = old_key.or(asked) {
        eprintln!("vm {vmid} - {key} is deprecated, this will be a hard error in the future!");
    }
    Ok(conf)
}

pub(crate) fn store(host: &Host, vmid: &str, conf: &Conf) -> Outcome<()> {
    let path = host.conf(vmid);
    let temporary = path.with_extension("conf.tmp");
    let write = fs::write(&temporary, conf.render()).and_then(|()| fs::rename(&temporary, &path));
    write.map_err(|error| Failure::plain(format!("unable to write '{}' - {error}", path.display())))
}

/// The `lock:` property, not the lock file.
pub(crate) fn refuse_locked(conf: &Conf, tolerated: &[&str]) -> Outcome<()> {
    match conf.main.get("lock") {
        Some(lock) if !tolerated.contains(&lock) => Err(Failure::plain(format!("CT is locked ({lock})"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# a note\ncores: 2\nhostname: a\nlxc.cap.drop:\nlxc.mount.auto = proc:rw\n\n[before]\ncores: 1\n";

    #[test]
    fn both_separators_and_sections_are_understood() {
        let conf = Conf::parse(TEXT);
        assert_eq!(conf.main.get("hostname"), Some("a"));
        assert_eq!(conf.main.raw[1], ("lxc.mount.auto".into(), "proc:rw".into()));
        assert_eq!(conf.section("before").and_then(|s| s.get("cores")), Some("1"));
    }

    #[test]
    fn a_rewrite_keeps_raw_lines_and_snapshots() {
        let conf = Conf::parse(TEXT);
        assert_eq!(Conf::parse(&conf.render()), conf);
    }

    #[test]
    fn pending_values_become_true_at_start() {
        let mut conf = Conf::parse("cores: 2\nswap: 0\n\n[pve:pending]\nfeatures: nesting=1\ndelete: swap\n");
        conf.apply_pending();
        assert_eq!(conf.main.get("features"), Some("nesting=1"));
        assert_eq!(conf.main.get("swap"), None);
        assert!(conf.sections.is_empty());
    }
}
