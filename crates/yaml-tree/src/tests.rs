use super::*;
use serde_json::json;

/// What a reader of YAML 1.1 may take an unquoted word for; each from a type of its type repository.
const NO_TEXTS: [&str; 44] = [
    "y",
    "Y",
    "yes",
    "Yes",
    "YES",
    "n",
    "N",
    "no",
    "No",
    "NO",
    "on",
    "On",
    "ON",
    "off",
    "Off",
    "OFF",
    "true",
    "True",
    "TRUE",
    "false",
    "False",
    "FALSE",
    "null",
    "Null",
    "NULL",
    "~",
    "",
    "=",
    "<<",
    "123_456",
    "1_000",
    "0.1_5",
    "0644",
    "0x1F",
    "0b1010",
    "1e3",
    "+1",
    "-.5",
    ".inf",
    ".NaN",
    "190:20:30",
    "2026-01-01",
    "1.",
    "685_230.15",
];

fn yaml(value: serde_json::Value) -> String {
    match value {
        Value::Object(entries) => to_yaml(&entries),
        other => panic!("{other} is not a configuration"),
    }
}

/// Whether some type of YAML 1.1 but text has words like this one. Wider than the types are.
fn may_be_no_text(word: &str) -> bool {
    NO_TEXTS.contains(&word)
        || word.starts_with(|first: char| first.is_ascii_digit() || "+-.~=<".contains(first))
}

#[test]
fn a_text_that_a_reader_of_yaml_1_1_takes_for_something_else_is_quoted() {
    for text in NO_TEXTS {
        assert_eq!(yaml(json!({"key": text})), format!("key: \"{text}\"\n"));
        assert_eq!(yaml(json!({"key": [text]})), format!("key:\n- \"{text}\"\n"));
        assert_eq!(yaml(json!({text: 1})), format!("\"{text}\": 1\n"));
    }
}

#[test]
fn no_short_word_is_left_unquoted_that_may_be_no_text() {
    let letters: Vec<char> = "ynoefstrual01_.:-+~xb".chars().collect();
    let mut words = vec![String::new()];
    for _ in 0..4 {
        let longer = words
            .iter()
            .flat_map(|word| letters.iter().map(move |letter| format!("{word}{letter}")));
        words = longer.collect();
        for word in &words {
            let written = yaml(json!({"key": word}));
            let is_quoted = written == format!("key: \"{word}\"\n");
            assert!(is_quoted || !may_be_no_text(word), "{written}");
        }
    }
}

#[test]
fn reads_back_what_it_wrote() {
    let value = json!({
        "token": "K10ab::server:cd", "node-label": ["a=b", "on", "x: y", "# z", " lead", "trail ", "two\nlines", "it's \"so\""],
        "debug": true, "etcd-snapshot-retention": 5, "share": 0.5, "nothing": null, "more": {"empty": {}, "none": []}, "ünï": "cödé\u{2028}\u{7f}",
    });
    let written = yaml(value.clone());
    assert_eq!(parse(&written).unwrap(), Some(Node::from(&value)), "{written}");
    for plain in [
        "token: K10ab::server:cd\n",
        "debug: true\n",
        "etcd-snapshot-retention: 5\n",
        "share: 0.5\n",
        "nothing: null\n",
    ] {
        assert!(written.contains(plain), "{written}");
    }
}

#[test]
fn the_order_of_keys_means_nothing_and_a_quote_may_mean_something() {
    let read = |text: &str| parse(text).unwrap().unwrap();
    for (one, other, same) in [
        ("{a: 1, b: [x, {c: d}]}", "b:\n- x\n- c: d\na: 1\n", true),
        ("a: word", "a: \"word\"", true),
        ("a: 123_456", "a: \"123_456\"", false),
        ("a: [x, y]", "a: [y, x]", false),
        ("a: 1", "{a: 1, b: 2}", false),
        ("a: ~", "a: null", true),
        ("a: 1\n\n  2", "a: \"1\\n2\"", true),
        ("{|b: c}", "\"|b\": c", true),
    ] {
        assert_eq!(read(one).means_the_same(&read(other)), same, "{one} {other}");
    }
}
