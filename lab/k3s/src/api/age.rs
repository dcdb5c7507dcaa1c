//! Ages as `kubectl get` prints them.

use crate::clock;

pub(super) fn age(created: &str) -> String {
    if created.is_empty() {
        "<unknown>".to_owned()
    } else {
        duration(clock::age(created).max(0))
    }
}

/// The longer, the coarser: `90s`, `7m49s`, `18m`, `5h3m`, `30h`, `3d2h`, `30d`.
fn duration(seconds: i64) -> String {
    let two = |big: i64, unit, small: i64, part| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{part}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_get_coarser() {
        let cases = [
            (34, "34s"),
            (469, "7m49s"),
            (300, "5m"),
            (1080, "18m"),
            (18180, "5h3m"),
            (108_000, "30h"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(duration(seconds), wanted);
        }
    }
}
