//! Names that carry the time, as `pre-upgrade-20260101T000000Z`: sorted by name is sorted by age.

use anyhow::{Context, Result};
use std::time::SystemTime;
use time::OffsetDateTime;

pub fn stamped(name: &str, at: SystemTime) -> Result<String> {
    let format = time::format_description::parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z")
        .context("a time format")?;
    Ok(format!("{name}-{}", OffsetDateTime::from(at).format(&format)?))
}

/// Whether `text` is what [`stamped`] makes of `name` at some time.
pub fn is_stamped(text: &str, name: &str) -> bool {
    let stamp = |text: &str| text.len() == 16 && text.ends_with('Z') && text.as_bytes()[8] == b'T';
    text.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_carry_the_time() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let name = stamped("pre-upgrade", at).unwrap();
        assert_eq!(name, "pre-upgrade-20260101T000000Z");
        assert!(is_stamped(&name, "pre-upgrade"));
    }

    #[test]
    fn distinguishes_other_stamps_from_ours() {
        for text in [
            "pre-upgrade",
            "pre-upgrade-old",
            "notes.txt",
            "x-20260101T000000Z",
        ] {
            assert!(!is_stamped(text, "pre-upgrade"), "{text}");
        }
    }
}
