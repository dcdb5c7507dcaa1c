//! How many workers may be out of service at once.

use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum AtOnce {
    Number(usize),
    /// Of the workers that are upgraded.
    Percent(usize),
}

impl Default for AtOnce {
    fn default() -> Self {
        Self::Number(1)
    }
}

impl AtOnce {
    /// A percentage is rounded down, but never to none.
    pub fn of(self, workers: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => (workers * percent / 100).max(1),
        }
    }
}

impl TryFrom<Value> for AtOnce {
    type Error = String;

    /// Variables from files and from the command line come as number or as string.
    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = text.trim();
        let read = match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Number),
        };
        read.filter(|read| !matches!(read, Self::Number(0) | Self::Percent(0)))
            .ok_or_else(|| {
                format!("workers_at_once: value must be a number from 1 on, or a percentage from 1% to 100%, got: {text}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn reads_a_number_or_a_percentage_as_variables_have_them() {
        let table = [
            (json!(1), AtOnce::Number(1)),
            (json!("3"), AtOnce::Number(3)),
            (json!("25%"), AtOnce::Percent(25)),
            (json!(" 100 % "), AtOnce::Percent(100)),
        ];
        for (value, wanted) in table {
            assert_eq!(from_value::<AtOnce>(value.clone()).unwrap(), wanted, "{value}");
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        for value in [
            json!(0),
            json!(-1),
            json!("0%"),
            json!("101%"),
            json!("two"),
            json!(""),
            json!(1.5),
            json!(null),
            json!(["25%"]),
        ] {
            let error = from_value::<AtOnce>(value.clone()).unwrap_err().to_string();
            assert!(
                error.starts_with("workers_at_once: value must be"),
                "{value}: {error}"
            );
        }
    }

    #[test]
    fn a_percentage_is_rounded_down_to_one_at_least() {
        for workers in 0..=40 {
            for percent in 1..=100 {
                let many = AtOnce::Percent(percent).of(workers);
                assert!(many >= 1 && (many == 1 || many * 100 <= workers * percent));
                assert!((many + 1) * 100 > workers * percent, "{percent} % of {workers}");
            }
        }
        assert_eq!(AtOnce::Percent(25).of(10), 2);
        assert_eq!(AtOnce::Number(3).of(1), 3);
    }
}
