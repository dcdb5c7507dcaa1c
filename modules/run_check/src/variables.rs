//! The variables that somebody has set: whether each is one of ours, and of the right type.

use crate::params::{Known, Params, Variable};
use serde_json::Value;

/// Longer values are cut.
const LONGEST_SHOWN: usize = 60;
const YES: [&str; 6] = ["true", "yes", "on", "1", "y", "t"];
const NO: [&str; 6] = ["false", "no", "off", "0", "n", "f"];

pub(crate) fn faults(params: &Params) -> Vec<String> {
    params
        .variables
        .iter()
        .filter(|variable| !is_own(params, &variable.name))
        .filter_map(|variable| match params.known.get(&variable.name) {
            None => Some(unknown(params, variable)),
            Some(known) => mistyped(variable, known),
        })
        .collect()
}

/// Names that the inventory's owner has reserved; one that ends with `*` reserves all that begin so.
fn is_own(params: &Params, name: &str) -> bool {
    params.own.iter().any(|own| match own.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == own,
    })
}

fn unknown(params: &Params, variable: &Variable) -> String {
    let advice = match nearest(params, &variable.name) {
        Some(name) => format!("Did you mean {name}?"),
        None => "inventory/group_vars/k3s_cluster.yaml lists all.".to_owned(),
    };
    let own = if variable.extra {
        ""
    } else {
        " If it is yours, name it in k3s_own_variables."
    };
    format!(
        "{} ({}) is not a variable of these playbooks. {advice}{own}",
        variable.name,
        origin(variable)
    )
}

/// The known name that is least far from a misspelt one, if it is near enough to be meant.
fn nearest<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(known, name);
    let (distance, known) = params
        .known
        .keys()
        .map(|known| (distance(known), known.as_str()))
        .min()?;
    (distance <= (name.len() / 4).max(2)).then_some(known)
}

fn origin(variable: &Variable) -> String {
    if variable.extra {
        return "given with -e".to_owned();
    }
    match variable.hosts.as_slice() {
        [] => "in the inventory".to_owned(),
        [host] => format!("in the inventory, of {host}"),
        [host, others @ ..] => format!("in the inventory, of {host} and {} more", others.len()),
    }
}

fn mistyped(variable: &Variable, known: &Known) -> Option<String> {
    let wanted = wanted(&variable.value, known)?;
    let value = if known.no_log {
        "a value that is not shown".to_owned()
    } else {
        shown(&variable.value)
    };
    Some(format!(
        "{} ({}) is {value}, and has to be {wanted}.{}",
        variable.name,
        origin(variable),
        advice(variable, known)
    ))
}

/// What it has to be, if it is not.
fn wanted(value: &Value, known: &Known) -> Option<String> {
    if value.as_str() == Some("") && known.default.is_null() {
        return None;
    }
    if !known.choices.is_empty() {
        let words: Vec<String> = known.choices.iter().map(plain).collect();
        let given = plain(value).to_lowercase();
        return (!words.contains(&given)).then(|| format!("one of {}", words.join(", ")));
    }
    let (fits, words) = match known.r#type.as_str() {
        "int" => (is_int(value), "a whole number"),
        "bool" => (is_bool(value), "true or false"),
        "list" if known.elements == "str" => (value.is_array() || value.is_string(), "a list"),
        "list" => (value.is_array(), "a list"),
        "dict" => (value.is_object(), "a dictionary"),
        "str" | "path" => (value.is_string() || value.is_number(), "a text"),
        _ => (true, ""),
    };
    (!fits).then(|| words.to_owned())
}

fn is_int(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => text.trim().parse::<i64>().is_ok(),
        _ => false,
    }
}

fn is_bool(value: &Value) -> bool {
    let word = plain(value).to_lowercase();
    !value.is_null() && (YES.contains(&word.as_str()) || NO.contains(&word.as_str()))
}

/// `-e name=value` makes a text of everything.
fn advice(variable: &Variable, known: &Known) -> String {
    let name = &variable.name;
    if variable.value.is_null() {
        return " Leave it out where it is not wanted.".to_owned();
    }
    match (known.r#type.as_str(), variable.extra) {
        ("list", true) => format!(" Give it as -e '{{\"{name}\": [...]}}', or in a file with -e @file."),
        ("dict", true) => format!(" Give it as -e '{{\"{name}\": {{...}}}}', or in a file with -e @file."),
        _ => String::new(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "empty".to_owned(),
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "a dictionary".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_SHOWN {
        return text;
    }
    let start: String = text.chars().take(LONGEST_SHOWN).collect();
    format!("{start}…")
}
