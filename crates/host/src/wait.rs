//! The only loop that sleeps.

use crate::Host;
use anyhow::Result;
use std::time::Duration;

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// It came true.
    Done(T),
    /// The limit passed; what the last look found to be missing.
    GaveUp { missing: String, after: Duration },
}

impl<T> Waited<T> {
    /// The value, else an error that says what was waited for, how long, and what was still missing.
    pub fn or_fail(self, host: &dyn Host, what: &str) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::GaveUp { missing, after } => Err(anyhow::anyhow!(
                "{}: waiting for {what} took longer than {} s; last seen: {missing}",
                host.location(),
                after.as_secs()
            )),
        }
    }
}

/// Looks with `probe` every `every` until it answers `Ok(Ok(value))` or `limit` has passed. The probe's
/// `Ok(Err(text))` says what is still missing; its `Err` ends the wait at once.
pub fn wait_until<T>(
    host: &dyn Host,
    limit: Duration,
    every: Duration,
    mut probe: impl FnMut() -> Result<Result<T, String>>,
) -> Result<Waited<T>> {
    let started = host.elapsed();
    loop {
        let missing = match probe()? {
            Ok(value) => return Ok(Waited::Done(value)),
            Err(missing) => missing,
        };
        let spent = host.elapsed().saturating_sub(started);
        if spent >= limit {
            return Ok(Waited::GaveUp {
                missing,
                after: limit,
            });
        }
        host.sleep(every.min(limit.saturating_sub(spent)));
    }
}
