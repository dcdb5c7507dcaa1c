//! What `lab fault` has asked of the stand-in, one file a container.

use super::host::Host;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

// Independent switches of one JSON object, not a state machine.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// `pct exec` begins its work this much later.
    pub slow_ms: u64,
    /// So many times `lxc-attach` finds no init to attach to.
    pub attach_race: u32,
    /// Every call that reads the configuration complains about it on stderr.
    pub config_warning: bool,
    /// As LXC before 5.0.2: a command killed by a signal is a success, EACCES is 255.
    pub old_lxc: bool,
    /// As pve-container before 5.0.9: no option `--keep-env`.
    pub no_keep_env: bool,
    /// Managed by the HA stack: start and stop are only asked for.
    pub ha: bool,
    /// A start that was asked for happens this much later.
    pub start_delay_ms: u64,
    /// Instead of Proxmox's 10 s of waiting for the lock.
    pub lock_wait_ms: Option<u64>,
}

impl Host {
    pub(crate) fn faults_of(&self, vmid: &str) -> Faults {
        let text = std::fs::read_to_string(self.faults(vmid)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Uses up one failed attach; true as long as there was one left.
    pub(crate) fn take_attach_race(&self, vmid: &str) -> bool {
        let Ok(mut file) = File::options().read(true).write(true).open(self.faults(vmid)) else {
            return false;
        };
        // Two calls at once must not use up the same failure.
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).is_err() {
            return false;
        }
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        let mut faults: Faults = serde_json::from_str(&text).unwrap_or_default();
        if faults.attach_race == 0 {
            return false;
        }
        faults.attach_race -= 1;
        let written = serde_json::to_string(&faults).unwrap_or_default();
        file.rewind().is_ok()
            && file.write_all(written.as_bytes()).is_ok()
            && file.set_len(written.len() as u64).is_ok()
    }
}
