//! Time as this thread has used it: a busy machine makes nothing slower by it.

use std::time::Duration;

/// The time of a processor that this thread has had, in hundredths of a second.
pub(crate) fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // What is before the last bracket may have blanks; then user and system time are the twelfth and the thirteenth.
    let fields = stat.rsplit(')').next().unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
