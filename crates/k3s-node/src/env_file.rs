//! Environment files as systemd reads them. The older script writes bare values, the newer one quotes them as
//! its shell does: compared are keys and values, not bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub type Variables = BTreeMap<String, String>;

/// Reads `KEY=value` lines; a later line wins, as with systemd.
pub fn parse(text: &str) -> Variables {
    let mut variables = Variables::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.peek() {
        match c {
            c if c.is_whitespace() => {
                rest.next();
            }
            '#' | ';' => while rest.next().is_some_and(|c| c != '\n') {},
            _ => {
                if let Some((key, value)) = assignment(&mut rest) {
                    variables.insert(key, value);
                }
            }
        }
    }
    variables
}

/// One assignment to the end of its line; a line without `=` is nothing.
fn assignment(rest: &mut std::iter::Peekable<std::str::Chars>) -> Option<(String, String)> {
    let mut key = String::new();
    loop {
        match rest.next() {
            Some('=') => break,
            Some('\n') | None => return None,
            Some(c) => key.push(c),
        }
    }
    let mut value = String::new();
    // Blanks at the end do not count, unless they were quoted or escaped.
    let mut kept = 0;
    while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    while let Some(c) = rest.next() {
        match c {
            '\n' => break,
            '\'' => value.extend(rest.by_ref().take_while(|c| *c != '\'')),
            '"' => double_quoted(rest, &mut value),
            '\\' => match rest.next() {
                // A line that goes on.
                Some('\n') | None => continue,
                Some(c) => value.push(c),
            },
            c => {
                value.push(c);
                if c.is_whitespace() {
                    continue;
                }
            }
        }
        kept = value.len();
    }
    value.truncate(kept);
    Some((key.trim().to_owned(), value))
}

fn double_quoted(rest: &mut std::iter::Peekable<std::str::Chars>, value: &mut String) {
    while let Some(c) = rest.next() {
        match c {
            '"' => return,
            '\\' => match rest.next() {
                Some('\n') | None => {}
                Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

/// The text for these variables: quoted only where it must be.
pub fn render(variables: &Variables) -> String {
    let plain = |value: &str| {
        value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c))
    };
    let mut text = String::new();
    for (key, value) in variables {
        if plain(value) {
            let _ = writeln!(text, "{key}={value}");
        } else {
            let quoted = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "\\$")
                .replace('`', "\\`");
            let _ = writeln!(text, "{key}=\"{quoted}\"");
        }
    }
    text
}

/// Whether a script carries a variable over into the file it writes; others it forgets. `KINE_` came in June 2026: a script
/// before that passes over it.
pub fn is_carried(key: &str) -> bool {
    let upper = key.to_ascii_uppercase();
    ["K3S_", "CONTAINERD_", "KINE_"]
        .iter()
        .any(|prefix| key.starts_with(prefix))
        || ["NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"]
            .iter()
            .any(|proxy| upper.starts_with(proxy))
}

/// Whether a variable is a proxy setting, which a download needs too.
pub fn is_proxy(key: &str) -> bool {
    ["no_proxy", "http_proxy", "https_proxy"].contains(&key.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn bare_and_quoted_values_are_the_same() {
        let recorded = parse("K3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n");
        assert_eq!(
            recorded,
            of(&[("K3S_TOKEN", "labtoken"), ("K3S_URL", "https://10.99.0.101:6443")])
        );
        assert_eq!(
            parse("K3S_TOKEN='labtoken'\nK3S_URL=\"https://10.99.0.101:6443\"\n"),
            recorded
        );
    }

    #[test]
    fn files_are_read_as_systemd_reads_them() {
        let cases = [
            ("", of(&[])),
            ("# A=1\n; B=2\n\n  C = 3  \n", of(&[("C", "3")])),
            ("no assignment\nA=1", of(&[("A", "1")])),
            (
                "A=one\\\n two\nB='two\nlines'\n",
                of(&[("A", "one two"), ("B", "two\nlines")]),
            ),
            ("A='x '\"y \" z \n", of(&[("A", "x y  z")])),
            ("A=\"a\\$b \\\"c\\\" \\d\"\n", of(&[("A", "a$b \"c\" \\d")])),
            ("A=1\nA=2\n", of(&[("A", "2")])),
            ("A=\n", of(&[("A", "")])),
        ];
        for (text, variables) in cases {
            assert_eq!(parse(text), variables, "{text:?}");
        }
    }

    #[test]
    fn what_is_rendered_is_read_again() {
        let odd = of(&[
            ("A", "plain"),
            ("B", "two  blanks "),
            ("C", "\"q\" $x `y` \\z"),
            ("D", "two\nlines"),
            ("E", ""),
            ("F", "it's"),
        ]);
        assert_eq!(parse(&render(&odd)), odd);
        assert_eq!(
            render(&of(&[("K3S_URL", "https://a:6443")])),
            "K3S_URL=https://a:6443\n"
        );
    }

    #[test]
    fn the_script_carries_only_its_own() {
        for key in [
            "K3S_URL",
            "CONTAINERD_LOG_LEVEL",
            "KINE_DATASTORE_MAX_IDLE_CONNECTIONS",
            "http_proxy",
            "NO_PROXY",
        ] {
            assert!(is_carried(key), "{key}");
        }
        for key in [
            "GOGC",
            "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS",
            "k3s_url",
            "kine_x",
        ] {
            assert!(!is_carried(key), "{key}");
        }
    }
}
