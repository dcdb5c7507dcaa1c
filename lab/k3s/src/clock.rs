//! Times as Kubernetes writes them, and the pace at which recorded delays are imitated.

use std::sync::LazyLock;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const FACTOR_VARIABLE: &str = "LAB_TIME_FACTOR";

/// Recorded delays are divided by this. A unit of systemd has no shell's environment, hence the file.
static FACTOR: LazyLock<f64> = LazyLock::new(|| {
    let given = std::env::var(FACTOR_VARIABLE).ok();
    let given = given.or_else(|| std::fs::read_to_string(crate::paths::etc("lab/time-factor")).ok());
    given
        .and_then(|text| text.trim().parse().ok())
        .filter(|factor| *factor > 0.0)
        .unwrap_or(1.0)
});

/// A recorded number of seconds at the lab's pace.
pub fn paced(seconds: f64) -> Duration {
    Duration::from_secs_f64((seconds / *FACTOR).max(0.001))
}

/// `metadata.creationTimestamp`, conditions, the log.
pub fn seconds() -> String {
    at(OffsetDateTime::now_utc())
}

pub fn seconds_from_now(seconds: i64) -> String {
    at(OffsetDateTime::now_utc() + time::Duration::seconds(seconds))
}

fn at(moment: OffsetDateTime) -> String {
    let (date, time) = (moment.date(), moment.time());
    format!(
        "{date}T{:02}:{:02}:{:02}Z",
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// `spec.renewTime` of a lease.
pub fn microseconds() -> String {
    let now = OffsetDateTime::now_utc();
    format!("{}.{:06}Z", at(now).trim_end_matches('Z'), now.microsecond())
}

/// A time of the file system.
pub fn at_unix(seconds: i64) -> String {
    at(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

pub fn unix() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Seconds since a time that Kubernetes wrote; 0 for any other text.
pub fn age(text: &str) -> i64 {
    OffsetDateTime::parse(text, &Rfc3339).map_or(0, |then| (OffsetDateTime::now_utc() - then).whole_seconds())
}
