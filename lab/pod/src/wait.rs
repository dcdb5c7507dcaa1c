//! The first process of a container: no signal ends it that it has not asked for, and orphans become its children.

use anyhow::{Context as _, Result};
use rustix::process::{WaitOptions, wait};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::time::Duration;

/// Waits until SIGTERM or SIGINT comes, or so many seconds have passed.
pub(crate) fn until_signalled(seconds: Option<u64>) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGCHLD, SIGALRM]).context("asking for signals")?;
    if let Some(seconds) = seconds {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            // Nothing else sends this one.
            let _ = signal_hook::low_level::raise(SIGALRM);
        });
    }
    for signal in signals.forever() {
        if signal != SIGCHLD {
            break;
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
    Ok(())
}
