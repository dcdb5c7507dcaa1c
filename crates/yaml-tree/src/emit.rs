//! A tree as text: YAML in the shape that kubectl writes, or JSON.

use crate::tree::{Map, Node, Scalar};
use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

impl Format {
    /// What a file is written in.
    pub fn of(text: &str) -> Self {
        let is_json =
            text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if is_json { Self::Json } else { Self::Yaml }
    }
}

pub fn to_text(map: &Map, format: Format) -> String {
    let mut text = String::new();
    match format {
        Format::Yaml if map.0.is_empty() => text.push_str("{}\n"),
        Format::Yaml => yaml_map(&mut text, map, 0),
        Format::Json => {
            json(&mut text, &Node::Map(map.clone()), 0);
            text.push('\n');
        }
    }
    text
}

fn yaml_map(text: &mut String, map: &Map, indent: usize) {
    for (index, (key, value)) in map.0.iter().enumerate() {
        // The first key of a map in a list stands behind its dash.
        if index > 0 || !text.ends_with("- ") {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        text.push_str(&yaml_scalar(key));
        text.push(':');
        yaml_value(text, value, indent);
    }
}

fn yaml_value(text: &mut String, value: &Node, indent: usize) {
    match value {
        Node::Scalar(scalar) => {
            let _ = writeln!(text, " {}", yaml_scalar(scalar));
        }
        Node::List(list) if list.is_empty() => text.push_str(" []\n"),
        Node::Map(map) if map.0.is_empty() => text.push_str(" {}\n"),
        Node::List(list) => {
            text.push('\n');
            yaml_list(text, list, indent);
        }
        Node::Map(map) => {
            text.push('\n');
            yaml_map(text, map, indent + 2);
        }
    }
}

fn yaml_list(text: &mut String, list: &[Node], indent: usize) {
    for (index, item) in list.iter().enumerate() {
        if index > 0 || !text.ends_with("- ") {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        text.push('-');
        match item {
            Node::Map(map) if !map.0.is_empty() => {
                text.push(' ');
                yaml_map(text, map, indent + 2);
            }
            Node::List(list) if !list.is_empty() => {
                text.push(' ');
                yaml_list(text, list, indent + 2);
            }
            other => yaml_value(text, other, indent),
        }
    }
}

fn yaml_scalar(scalar: &Scalar) -> String {
    let stays_plain = scalar.plain && !scalar.needs_quotes();
    if stays_plain && scalar.text.is_empty() {
        return "null".to_owned();
    }
    if stays_plain || scalar.needs_no_quotes() {
        return scalar.text.clone();
    }
    quoted(&scalar.text)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Among the controls and these are line breaks of YAML, and what a reader may refuse.
            '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            _ if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn json(text: &mut String, node: &Node, indent: usize) {
    let (open, close, count) = match node {
        Node::Scalar(scalar) => return text.push_str(&json_scalar(scalar)),
        Node::List(list) => ('[', ']', list.len()),
        Node::Map(map) => ('{', '}', map.0.len()),
    };
    text.push(open);
    for index in 0..count {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n(' ', indent + 2));
        let value = match node {
            Node::Map(map) => {
                let (key, value) = &map.0[index];
                let _ = write!(text, "{}: ", json_text(&key.text));
                value
            }
            Node::List(list) => &list[index],
            Node::Scalar(_) => continue,
        };
        json(text, value, indent + 2);
    }
    if count > 0 {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    }
    text.push(close);
}

/// What is plain in a JSON file is a number, a boolean or null.
fn json_scalar(scalar: &Scalar) -> String {
    if scalar.plain {
        scalar.text.clone()
    } else {
        json_text(&scalar.text)
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse;

    fn again(text: &str) -> String {
        let Some(Node::Map(map)) = parse(text).unwrap() else {
            panic!("{text}")
        };
        let written = to_text(&map, Format::of(text));
        assert_eq!(parse(&written).unwrap(), Some(Node::Map(map)), "{written}");
        written
    }

    #[test]
    fn leaves_kubectls_output_unchanged() {
        let text = "apiVersion: v1\nclusters:\n- cluster:\n    server: https://127.0.0.1:6443\n  name: default\n\
                    contexts: []\nkind: Config\npreferences: {}\nusers:\n- name: a\n  user:\n    exec:\n      args:\n      \
                    - get-token\n      - --region\n      env: null\n";
        assert_eq!(again(text), text);
    }

    #[test]
    fn quotes_a_key_that_begins_with_a_sign() {
        assert_eq!(again("user: {|oken: a:b}\n"), "user:\n  \"|oken\": a:b\n");
    }

    #[test]
    fn no_scalar_changes_its_meaning() {
        // As two readers of different minds see them: neither must notice.
        let text = "a: yes\nb: \"yes\"\nc: 0o17\nd: '0o17'\ne: 1.10\nf: \"2026-01-01\"\ng: 2026-01-01\nh: ''\ni: ~\n\
                    j: \"a\\tb\\u0085c\"\nk: \"no\"\nl: |\n  two\n  lines\nm: plain over\n  lines\nn: \"# x\"\no: 'it''s'\n\
                    p: \"null\"\nq: 123456789012345678901234567890\n\"on\": {}\nr: [[1, [2]], {}, {s: t, u: [v]}, []]\n";
        let written = again(text);
        for plain in [
            "a: yes\n",
            "c: 0o17\n",
            "e: 1.10\n",
            "g: 2026-01-01\n",
            "q: 123456789012345678901234567890\n",
        ] {
            assert!(written.contains(plain), "{written}");
        }
        for quoted in [
            "b: \"yes\"\n",
            "f: \"2026-01-01\"\n",
            "k: \"no\"\n",
            "p: \"null\"\n",
            "\"on\": {}\n",
        ] {
            assert!(written.contains(quoted), "{written}");
        }
    }

    #[test]
    fn json_stays_json() {
        let text = "{\"a\":1,\"b\":[true,null,{}],\"c\":{\"d\":\"e \\\"f\\\"\\n\"},\"g\":[]}";
        let written = again(text);
        assert_eq!(Format::of(&written), Format::Json);
        let (before, after): (serde_json::Value, serde_json::Value) = (
            serde_json::from_str(text).unwrap(),
            serde_json::from_str(&written).unwrap(),
        );
        assert_eq!(before, after);
    }

    #[test]
    fn flow_style_does_not_count_as_json() {
        assert_eq!(Format::of("{a: b}"), Format::Yaml);
        assert_eq!(again("{a: b, c: [d]}"), "a: b\nc:\n- d\n");
        assert_eq!(again("{}\n"), "{}\n");
        assert_eq!(to_text(&Map::default(), Format::Yaml), "{}\n");
    }
}
