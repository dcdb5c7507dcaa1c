//! The table of `certificate check`, and its dates.

use time::{Duration, OffsetDateTime};

const GAP: usize = 3;

/// Every column as wide as its widest cell; the last one is not filled up.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).max();
    let line = |row: &Vec<String>| {
        let (last, others) = row
            .split_last()
            .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        let filled = others
            .iter()
            .enumerate()
            .map(|(at, cell)| format!("{cell:<width$}", width = width(at).unwrap_or_default() + GAP));
        format!("{}{last}\n", filled.collect::<String>())
    };
    rows.iter().map(line).collect()
}

/// `Jun 09, 2026 10:17 UTC`
pub(super) fn short_date(moment: OffsetDateTime) -> String {
    let month = moment.month().to_string();
    let time = moment.time();
    format!(
        "{} {:02}, {} {:02}:{:02} UTC",
        &month[..3],
        moment.day(),
        moment.year(),
        time.hour(),
        time.minute()
    )
}

/// The biggest unit alone, as k3s's library rounds it: a month has 30 days, a year twelve such months.
pub(super) fn residue(left: Duration) -> String {
    const DAY: u64 = 86_400;
    const YEAR: u64 = 360 * DAY;
    let seconds = left.abs().whole_seconds().unsigned_abs();
    let many = |unit: u64, name: &str| match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    };
    match seconds {
        0 => "now".to_owned(),
        1..60 => many(1, "second"),
        60..3600 => many(60, "minute"),
        3600..DAY => many(3600, "hour"),
        _ if seconds < 7 * DAY => many(DAY, "day"),
        _ if seconds < 30 * DAY => many(7 * DAY, "week"),
        _ if seconds < YEAR => many(30 * DAY, "month"),
        // Between one and two years the library changes its mind in the middle.
        _ if seconds < YEAR * 3 / 2 => "1 year".to_owned(),
        _ if seconds < YEAR * 2 => "2 years".to_owned(),
        _ => many(YEAR, "year"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_its_biggest_unit() {
        let cases = [
            (0, "now"),
            (5, "5 seconds"),
            (7200, "2 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 20, "2 weeks"),
            (86_400 * 100, "3 months"),
            (-86_400 * 40, "1 month"),
            (86_400 * 365, "1 year"),
            (86_400 * 3650, "10 years"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(residue(Duration::seconds(seconds)), wanted);
        }
    }

    #[test]
    fn the_table_is_laid_out_as_k3s_does() {
        let rows =
            [["FILENAME", "STATUS"], ["client-admin.crt", "OK"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            columns(&rows),
            "FILENAME           STATUS\nclient-admin.crt   OK\n"
        );
    }
}
