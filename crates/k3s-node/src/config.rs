//! k3s's configuration files, read as k3s reads them: YAML 1.1, the first document of each, the main file first and then
//! what is beside it by its name. Of a key that is there again the last value holds; `key+` adds to it.
//!
//! From `pkg/configfilearg/parser.go` of k3s, the same from v1.30 to main of July 2026.

use crate::facts::Facts;
use std::collections::BTreeMap;
use std::fmt;
use yaml_tree::{Map, Node, Scalar, first_document};

/// The configuration file and what is beside it in its folder, as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<String, Values>,
    /// The first file that is not a YAML dictionary: k3s would not start with it.
    pub fault: Option<String>,
}

/// What a setting is, and where that is said.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    pub value: String,
    /// `the argument --server`, a file, or `the variable K3S_URL`.
    pub location: String,
}

/// Without the value: it may be the token.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Given").field(&self.location).finish()
    }
}

impl Given {
    /// As Go reads a switch. What is neither keeps k3s from starting.
    pub(crate) fn is_true(&self) -> bool {
        ["1", "t", "T", "true", "True", "TRUE"].contains(&self.value.as_str())
    }
}

/// What a key has, and the file that had the last word.
#[derive(Clone, PartialEq, Eq)]
struct Values {
    texts: Vec<String>,
    location: String,
}

/// Without the values, as above.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Values").field(&self.location).finish()
    }
}

impl Config {
    /// Reads what [`crate::Probe::units`] asks for, where `main` is the configuration file.
    pub fn of(facts: &Facts, main: &str) -> Self {
        let files = files(facts, main);
        Self::read(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// Reads files in the order in which k3s does.
    pub fn read<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut config = Self::default();
        for (path, text) in files {
            match first_document(text) {
                Ok(None) => {}
                Ok(Some(Node::Map(map))) => config.add(path, &map),
                // The error's own text could repeat a line with a token in it.
                Ok(Some(_)) | Err(_) => {
                    config.fault.get_or_insert_with(|| path.to_owned());
                }
            }
        }
        config
    }

    fn add(&mut self, path: &str, map: &Map) {
        for (key, value) in &map.0 {
            let key = key.text.as_str();
            let (name, adds) = key.strip_suffix('+').map_or((key, false), |name| (name, true));
            let mut texts = texts(value);
            if adds && let Some(mut before) = self.values.remove(name) {
                before.texts.append(&mut texts);
                texts = before.texts;
            }
            let location = path.to_owned();
            self.values.insert(name.to_owned(), Values { texts, location });
        }
    }

    /// The value of a key; of a list, its last item.
    pub(crate) fn given(&self, name: &str) -> Option<Given> {
        let values = self.values.get(name)?;
        Some(Given {
            value: values.texts.last()?.clone(),
            location: values.location.clone(),
        })
    }

    /// All values of a key, and where they are set.
    pub(crate) fn all(&self, name: &str) -> (Vec<String>, String) {
        self.values
            .get(name)
            .map(|values| (values.texts.clone(), values.location.clone()))
            .unwrap_or_default()
    }

    /// The names of its keys, without `+`.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// Path and text of each configuration file, in the order in which k3s reads them.
pub fn files(facts: &Facts, main: &str) -> Vec<(String, String)> {
    let mut files = facts.below("config:");
    files.sort_by_key(|(path, _)| (path != main, path.clone()));
    files
}

fn texts(value: &Node) -> Vec<String> {
    match value {
        Node::List(items) => items.iter().flat_map(texts).collect(),
        Node::Scalar(scalar) => vec![text(scalar)],
        Node::Map(_) => Vec::new(),
    }
}

/// A scalar as k3s makes a flag of it: by the types of YAML 1.1 as `yaml.v2` has them.
fn text(scalar: &Scalar) -> String {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return text.to_owned();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => String::new(),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            "true".to_owned()
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            "false".to_owned()
        }
        _ => number(text).unwrap_or_else(|| text.to_owned()),
    }
}

/// What begins like a number and is one, in base ten.
fn number(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| fraction(&plain))
}

fn integer(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.get(..2), lower.strip_prefix('0')) {
        (Some("0x"), _) => (16, &lower[2..]),
        (Some("0b"), _) => (2, &lower[2..]),
        (Some("0o"), _) => (8, &lower[2..]),
        (_, Some(octal)) if !octal.is_empty() => (8, octal),
        _ => (10, lower.as_str()),
    };
    // A second sign would pass for a digit.
    let digits = Some(digits).filter(|digits| digits.starts_with(|c: char| c.is_digit(radix)))?;
    let number = u64::from_str_radix(digits, radix).ok()?;
    Some(if number == 0 {
        "0".to_owned()
    } else {
        format!("{sign}{number}")
    })
}

fn fraction(text: &str) -> Option<String> {
    let allowed = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let number: f64 = text.parse().ok().filter(|_| allowed)?;
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Option<String> {
        let config = Config::read(std::iter::once(("c.yaml", text)));
        assert_eq!(config.fault, None, "{text}");
        config.given("k").map(|given| given.value)
    }

    #[test]
    fn values_are_those_of_yaml_1_1() {
        let cases = [
            ("yes", "true"),
            ("On", "true"),
            ("y", "true"),
            ("TRUE", "true"),
            ("no", "false"),
            ("OFF", "false"),
            ("n", "false"),
            ("\"yes\"", "yes"),
            ("'no'", "no"),
            ("0644", "420"),
            ("\"0644\"", "0644"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("123_456", "123456"),
            ("-010", "-8"),
            ("+5", "5"),
            ("0", "0"),
            ("00", "0"),
            ("0888", "888"),
            ("1.50", "1.5"),
            ("1.", "1"),
            ("10.0.0.1", "10.0.0.1"),
            ("2026-01-01", "2026-01-01"),
            ("\"::1\"", "::1"),
            ("fd00::1", "fd00::1"),
            ("yEs", "yEs"),
            ("~", ""),
            ("", ""),
            ("a b", "a b"),
        ];
        for (written, read) in cases {
            let text = format!("k: {written}\n");
            assert_eq!(given(&text).as_deref(), Some(read), "{text}");
        }
        assert_eq!(given("k: [a, yes]\n").as_deref(), Some("true"));
        assert_eq!(given("other: 1\n"), None);
    }

    #[test]
    fn a_later_key_replaces_an_earlier_one_and_a_plus_adds() {
        let all = |files: &[&str]| {
            let named = files.iter().map(|text| ("c.yaml", *text));
            Config::read(named).all("k").0.join(",")
        };
        assert_eq!(all(&["k: [a, b]\n", "k: c\n"]), "c");
        assert_eq!(all(&["k: [a, b]\n", "k+: c\n", "k+: [d]\n"]), "a,b,c,d");
        assert_eq!(all(&["k+: c\n", "k: a\n"]), "a");
        assert_eq!(all(&["k: a\nk+: b\nk: c\n"]), "c");
    }

    #[test]
    fn reads_a_key_that_is_extended_many_times_in_a_moment() {
        let text = "node-label+: a=b\n".repeat(40_000);
        let config = Config::read(std::iter::once(("a", text.as_str())));
        // A copy of all that came before for each of them would take minutes.
        assert_eq!(config.all("node-label").0.len(), 40_000);
    }

    #[test]
    fn what_follows_the_first_document_is_not_looked_at() {
        for text in [
            "k: v\n---\n",
            "---\nk: v\n",
            "k: v\n...\n",
            "k: v\n---\nk: w\n",
            "k: v\n--- [\n",
        ] {
            assert_eq!(given(text).as_deref(), Some("v"), "{text}");
        }
    }

    #[test]
    fn a_file_that_k3s_could_not_read_is_named() {
        let files = [
            ("a.yaml", "x: 1"),
            ("b.yaml", "- token: s3cr3t\n- ["),
            ("c.yaml", "["),
        ];
        let config = Config::read(files.into_iter());
        assert_eq!(config.fault.as_deref(), Some("b.yaml"));
        let list = Config::read(std::iter::once(("a.yaml", "- a\n")));
        assert_eq!(list.fault.as_deref(), Some("a.yaml"));
    }

    #[test]
    fn shows_no_value_when_it_is_printed() {
        let config = Config::read(std::iter::once(("c.yaml", "token: secret\n")));
        let shown = format!("{config:?} {:?}", config.given("token"));
        assert!(shown.contains("token") && !shown.contains("secret"), "{shown}");
    }
}
