//! One line a step, with the seconds it took; a step that lasts says so while it lasts.

use anyhow::Result;
use std::io::Write as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Runs `work` under the heading `what`. The line goes to stderr: stdout belongs to answers.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let (done, waiting) = mpsc::channel::<()>();
    let title = what.to_owned();
    let ticker = std::thread::spawn(move || {
        let mut wait = Duration::from_secs(2);
        while waiting.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(&format!("  {title} … {:.0} s", begun.elapsed().as_secs_f64()));
            wait = Duration::from_secs(5);
        }
    });
    let outcome = work();
    drop(done);
    // The ticker cannot panic: it only prints.
    let _ = ticker.join();
    let mark = if outcome.is_ok() { "ok" } else { "FAILED" };
    say(&format!(
        "{what}: {mark} ({:.1} s)",
        begun.elapsed().as_secs_f64()
    ));
    outcome
}

pub fn say(line: &str) {
    // A closed stderr must not end a lab half-way.
    let _ = writeln!(std::io::stderr(), "lab: {line}");
}
