//! Processors, memory and whatever else is counted: what a node has, and what pods ask for.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// By the resource's name, in thousandths of its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    pub fn of(&self, resource: &str) -> i128 {
        self.0.get(resource).copied().unwrap_or_default()
    }

    /// One more thing that is counted, such as a pod.
    #[must_use]
    pub fn and_one(mut self, resource: &str) -> Self {
        *self.0.entry(resource.to_owned()).or_default() += THOUSAND;
        self
    }

    pub fn add(&mut self, other: &Self) {
        for (resource, amount) in &other.0 {
            *self.0.entry(resource.clone()).or_default() += amount;
        }
    }

    /// Of each resource the larger one.
    #[must_use]
    pub fn or_more(mut self, other: &Self) -> Self {
        for (resource, amount) in &other.0 {
            let here = self.0.entry(resource.clone()).or_default();
            *here = (*here).max(*amount);
        }
        self
    }

    /// Those of `others` in place of ours.
    #[must_use]
    pub fn overridden_by(mut self, others: &Self) -> Self {
        self.0
            .extend(others.0.iter().map(|(name, amount)| (name.clone(), *amount)));
        self
    }

    /// What of `asked` is not in what is left here after `used`: the resource, what is asked, what is left.
    pub fn lacks(&self, used: &Self, asked: &Self) -> Vec<Lack> {
        let lack = |(resource, amount): (&String, &i128)| {
            let left = self.of(resource) - used.of(resource);
            (*amount > 0 && *amount > left).then(|| Lack {
                resource: resource.clone(),
                asked: *amount,
                left: left.max(0),
            })
        };
        asked.0.iter().filter_map(lack).collect()
    }
}

/// A resource of which there is too little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    pub resource: String,
    asked: i128,
    left: i128,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            asked,
            left,
        } = self;
        write!(
            f,
            "{} of {resource}, {} left",
            format_amount(resource, *asked),
            format_amount(resource, *left)
        )
    }
}

/// Bytes in MiB, processors unchanged, anything else as a number.
pub fn format_amount(resource: &str, amount: i128) -> String {
    const MIB: i128 = 1024 * 1024 * THOUSAND;
    if resource.contains("memory") || resource.contains("storage") {
        return format!("{} MiB", amount / MIB);
    }
    if amount % THOUSAND == 0 {
        return (amount / THOUSAND).to_string();
    }
    format!("{amount}m")
}

const THOUSAND: i128 = 1000;

/// `500m`, `2`, `1.5`, `128Mi`, `1G`, `1e3`, in thousandths, rounded up as Kubernetes does.
fn quantity(text: &str) -> Option<i128> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [(&str, i32); 9] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    let mut powers = (1..).zip(BINARY);
    if let Some((power, digits)) = powers.find_map(|(power, unit)| Some((power, text.strip_suffix(unit)?))) {
        return scaled(digits, 0, 1024_i128.checked_pow(power)?);
    }
    let unit = DECIMAL
        .iter()
        .find_map(|(unit, exponent)| Some((text.strip_suffix(unit)?, *exponent)));
    let (digits, exponent) = match (unit, text.split_once(['e', 'E'])) {
        (Some(unit), _) => unit,
        (None, Some((digits, exponent))) => (digits, exponent.parse().ok()?),
        (None, None) => (text, 0),
    };
    scaled(digits, exponent, 1)
}

/// `digits` with a point somewhere, times ten to the `exponent`, times `factor`.
fn scaled(digits: &str, exponent: i32, factor: i128) -> Option<i128> {
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number: i128 = format!("{integer}{fraction}").parse().ok()?;
    let power = exponent + 3 - i32::try_from(fraction.len()).ok()?;
    let ten = 10_i128.checked_pow(power.unsigned_abs())?;
    let number = number.checked_mul(factor)?;
    if power >= 0 {
        return number.checked_mul(ten);
    }
    Some(number / ten + i128::from(number % ten > 0))
}

impl<'de> Deserialize<'de> for Amounts {
    /// Anything but a quantity is left out: no API server has let it in.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(i64),
            Other(serde::de::IgnoredAny),
        }
        let written: Option<BTreeMap<String, Written>> = Option::deserialize(deserializer)?;
        let read = |(resource, written): (String, Written)| {
            let amount = match written {
                Written::Text(text) => quantity(&text),
                Written::Number(number) => Some(i128::from(number) * THOUSAND),
                Written::Other(_) => None,
            };
            Some((resource, amount?))
        };
        Ok(Self(
            written.unwrap_or_default().into_iter().filter_map(read).collect(),
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn amounts(value: Value) -> Amounts {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let table = [
            ("500m", Some(500)),
            ("2", Some(2_000)),
            ("1.5", Some(1_500)),
            ("0.0001", Some(1)),
            ("128Mi", Some(134_217_728_000)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("1G", Some(1_000_000_000_000)),
            ("1e3", Some(1_000_000)),
            ("1E3", Some(1_000_000)),
            ("2E", Some(2_000_000_000_000_000_000_000)),
            ("100n", Some(1)),
            ("257025515114", Some(257_025_515_114_000)),
            ("", None),
            ("much", None),
            ("99999999999999999999999999999999999999Ei", None),
        ];
        for (text, wanted) in table {
            assert_eq!(quantity(text), wanted, "{text}");
        }
    }

    #[test]
    fn reports_what_is_lacking_in_its_own_unit() {
        let node = amounts(json!({"cpu": "2", "memory": "1Gi", "pods": "3"}));
        let used = amounts(json!({"cpu": "1500m", "memory": "512Mi", "pods": 3}));
        let asked = amounts(json!({"cpu": "600m", "memory": "1Gi", "example.com/gpu": 1, "pods": 0}));
        let format_amount: Vec<String> = node
            .lacks(&used, &asked.and_one("pods"))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            format_amount,
            [
                "600m of cpu, 500m left",
                "1 of example.com/gpu, 0 left",
                "1024 MiB of memory, 512 MiB left",
                "1 of pods, 0 left"
            ]
        );
    }

    #[test]
    fn what_nobody_can_read_is_left_out() {
        assert_eq!(amounts(json!(null)), Amounts::default());
        assert_eq!(amounts(json!({"cpu": {"a": 1}})), Amounts::default());
    }

    #[test]
    fn init_containers_run_before_the_others_so_that_the_larger_counts() {
        let more = amounts(json!({"cpu": 1})).or_more(&amounts(json!({"cpu": "500m", "memory": 7})));
        assert_eq!((more.of("cpu"), more.of("memory")), (1_000, 7_000));
    }
}
