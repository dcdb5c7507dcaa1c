//! Command lines as systemd reads them: words, quotes, escapes. And the way back: a word written so that it
//! reaches the unit unharmed through the install script.

use crate::env_file::Variables;

/// Splits a command line. An error says what systemd itself would not accept, or what is more than one command.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(words);
        }
        let word = word(&mut rest)?;
        if word == Word::Separator {
            return Err("it has more than one command in a line (;)".to_owned());
        }
        if let Word::Text(text) = word {
            words.push(text);
        }
    }
}

#[derive(PartialEq)]
enum Word {
    Text(String),
    /// A bare `;`, which begins another command.
    Separator,
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn word(rest: &mut Chars) -> Result<Word, String> {
    let mut text = String::new();
    let mut quote = None;
    let mut plain = true;
    while let Some(&c) = rest.peek() {
        if quote.is_none() && c.is_whitespace() {
            break;
        }
        rest.next();
        match (c, quote) {
            ('\\', _) => {
                plain = false;
                text.push(escape(rest)?);
            }
            ('\'' | '"', None) => {
                plain = false;
                quote = Some(c);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, _) => text.push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("a quote ({open}) is not closed")),
        None if plain && text == ";" => Ok(Word::Separator),
        None => Ok(Word::Text(text)),
    }
}

fn escape(rest: &mut Chars) -> Result<char, String> {
    let Some(c) = rest.next() else {
        return Err("it ends in a backslash".to_owned());
    };
    Ok(match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        '\\' | '"' | '\'' | ';' => c,
        'x' => code(rest, "", 2, 16)?,
        'u' => code(rest, "", 4, 16)?,
        'U' => code(rest, "", 8, 16)?,
        '0'..='3' => code(rest, &c.to_string(), 3, 8)?,
        other => return Err(format!("\\{other} is not an escape of systemd")),
    })
}

/// A character by its number, of which `begun` was read already.
fn code(rest: &mut Chars, begun: &str, length: usize, radix: u32) -> Result<char, String> {
    let mut digits = begun.to_owned();
    while digits.len() < length {
        let digit = rest.next_if(|c| c.is_digit(radix));
        digits.push(digit.ok_or("a numeric escape is too short")?);
    }
    let number = u32::from_str_radix(&digits, radix).unwrap_or(0);
    char::from_u32(number)
        .filter(|c| *c != '\0')
        .ok_or_else(|| format!("a numeric escape is not a character ({digits})"))
}

/// The words as the program gets them: `%%` is one `%`, `$$` one `$`, and variables are put in. One that stands alone
/// without braces becomes as many words as its value has, none where it has none.
pub fn expand(words: &[String], environment: &Variables) -> Vec<String> {
    let expanded = words.iter().flat_map(|word| match alone(word) {
        Some(name) => {
            let value = environment.get(name).map_or("", String::as_str);
            value.split_whitespace().map(str::to_owned).collect()
        }
        None => vec![inside(&word.replace("%%", "%"), environment)],
    });
    expanded.collect()
}

fn alone(word: &str) -> Option<&str> {
    word.strip_prefix('$').filter(|name| is_name(name))
}

/// Whether a shell accepts it as the name of a variable.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn inside(word: &str, environment: &Variables) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let named = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
            .filter(|(name, _)| is_name(name));
        rest = if let Some((name, after)) = named {
            text.push_str(environment.get(name).map_or("", String::as_str));
            after
        } else {
            text.push('$');
            after.strip_prefix('$').unwrap_or(after)
        };
    }
    text + rest
}

/// What the script is given for a word. It puts the word into single quotes and keeps everything but runs of
/// blanks (it passes words through an unquoted expansion); systemd then reads escapes inside those quotes.
/// So what is special to either of the two travels as an escape.
pub fn for_script(word: &str) -> String {
    let blanks_suffer = word.starts_with(char::is_whitespace)
        || word.ends_with(char::is_whitespace)
        || word.contains("  ")
        || word.contains(|c: char| c.is_whitespace() && c != ' ');
    let mut text = String::new();
    for c in word.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            ' ' if blanks_suffer => text.push_str("\\x20"),
            c if c.is_ascii_control() => text.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes_are_read_as_systemd_reads_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("  a   b\t c ", &["a", "b", "c"]),
            ("'--node-label' 'tier=work'", &["--node-label", "tier=work"]),
            ("'it'\\''s'", &["it's"]),
            ("\"a 'b' c\" d", &["a 'b' c", "d"]),
            ("'a\\\\b' '\\x41\\101\\s\\t'", &["a\\b", "AA \t"]),
            ("'' \"\"", &["", ""]),
            ("pre'fix 'post", &["prefix post"]),
            ("\\; ';'", &[";", ";"]),
            ("$VAR %n", &["$VAR", "%n"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn words_are_expanded_as_systemd_hands_them_over() {
        let environment = Variables::from([
            ("ARGS".to_owned(), "--debug  -v 1".to_owned()),
            ("NAME".to_owned(), "n 1".to_owned()),
        ]);
        let words = [
            "ab%%cd",
            "$$5",
            "$ARGS",
            "$NONE",
            "a-${NAME}-b",
            "${NONE}",
            "x$ARGS",
            "50%",
            "$",
        ];
        let words = words.map(str::to_owned);
        assert_eq!(
            expand(&words, &environment),
            [
                "ab%cd", "$5", "--debug", "-v", "1", "a-n 1-b", "", "x$ARGS", "50%", "$"
            ]
        );
    }

    #[test]
    fn what_systemd_refuses_is_refused() {
        for line in ["'open", "a \\", "\\q", "\\x1", "\\x00", "a ; b", "\\U0011ffff"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_word_survives_the_way_through_script_and_unit() {
        let odd = [
            "plain",
            "a b",
            "two  blanks",
            " lead",
            "tab\there",
            "back\\slash",
            "it's",
            "line\nend",
            "é",
            "%h $X",
            "",
        ];
        for word in odd {
            // What the script does: one blank for every run of them, then single quotes.
            let passed: Vec<String> = for_script(word).split(' ').map(str::to_owned).collect();
            assert!(
                word.is_empty() || passed.iter().all(|part| !part.is_empty()),
                "{word:?}: a run of blanks is left"
            );
            let in_unit = format!("'{}'", for_script(word).replace('\'', "'\\''"));
            assert!(!in_unit.contains('\n'));
            assert_eq!(split(&in_unit).unwrap(), [word], "{in_unit}");
        }
    }
}
