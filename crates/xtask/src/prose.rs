//! Phrases that no comment, message, test case and page has: CONTRIBUTING.md, under "Words". They are searched word by
//! word, over the ends of lines and not over a punctuation mark.

use crate::repo::Repo;
use crate::words;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// `|` separates words of which one is meant; `*` stands for any word, and `.` for a punctuation mark.
struct Rule {
    phrase: &'static str,
    instead: &'static str,
}

const fn rule(phrase: &'static str, instead: &'static str) -> Rule {
    Rule { phrase, instead }
}

const BANNED: [Rule; 13] = [
    rule("told|tell|tells|telling", "report, show, list or distinguish"),
    rule("whole", "healthy, complete, intact, or nothing"),
    rule("mend|mends|mended", "fix or repair"),
    rule("held|hold|holds against", "compare with"),
    rule("held|hold|holds|holding * against", "compare with"),
    rule("speak|speaks|spoke against", "refuse, or the reason"),
    rule("take|takes|taken up", "resume"),
    rule("take|takes|taken it|them up", "resume"),
    rule("cut off", "interrupted, truncated or timed out"),
    rule("is|are|was|were no *", "is not a …"),
    rule("as it|they is|are|was|were", "unchanged, as before or present"),
    rule("ways", "name them"),
    rule("gives|knows", "return, set, release, have, read or find"),
];

/// Banned too where an operator reads it.
const FOR_OPERATORS: [Rule; 6] = [
    rule("place|places", "node, host, folder or file"),
    rule("give|know", "return, set, release, have, read or find"),
    rule("judge|judges|judged|judging", "check, verify or compare"),
    rule(
        "look|looks|looked|looking at|for|whether",
        "check, read, find, inspect or wait for",
    ),
    rule("one after the other", "one at a time"),
    rule(
        ". name . see|note|say that|whether|what|which|who|when|how|why",
        "check, verify, record or report",
    ),
];

/// Where such a word is the only one that English has.
const ALLOWED: [&str; 4] = [
    "there is|are|was|were no",
    "is|are|was|were no longer",
    "in place",
    "a whole number",
];

/// Results that playbooks read, and a message that is quoted.
const PUBLIC: [(&str, &str); 4] = [
    ("modules/helm_adopt/", "told"),
    ("modules/cluster_health/", "whole"),
    ("modules/", "place"),
    ("modules/preflight/", "give"),
];

const FOLDERS: [&str; 14] = [
    "benches",
    "crates",
    "docs",
    "fuzz",
    "inventory",
    "lab",
    "meta",
    "modules",
    "molecule",
    "playbooks",
    "plugins/action",
    "plugins/plugin_utils",
    "roles",
    "tests",
];
const ENDINGS: [&str; 7] = ["rs", "md", "yml", "yaml", "py", "sh", "toml"];
const PAGES: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];

pub(crate) fn faults(repo: &Repo) -> Result<Vec<String>> {
    let pages = PAGES.map(str::to_owned).into_iter();
    let mut faults = Vec::new();
    for path in pages
        .chain(repo.files(&FOLDERS, &ENDINGS))
        .filter(|path| is_ours(path))
    {
        let text = repo.read(&path)?;
        let text = if ending(&path) == "rs" {
            without_names(&text).with_context(|| path.clone())?
        } else {
            text
        };
        let found = found(&text, is_for_operators(&path)).into_iter();
        let found = found.filter(|found| {
            !PUBLIC
                .iter()
                .any(|(folder, word)| path.starts_with(folder) && found.words == *word)
        });
        faults
            .extend(found.map(|Found { line, words, instead }| {
                format!("{path}:{line}: \"{words}\": write {instead}")
            }));
    }
    Ok(faults)
}

/// Not recorded from other programs, not installed by Ansible, and not these lists themselves.
fn is_ours(path: &str) -> bool {
    let lists = ["crates/xtask/src/prose.rs", "crates/xtask/src/words.rs"];
    !path.contains("/recorded/") && !path.contains("/.") && !lists.contains(&path)
}

fn is_for_operators(path: &str) -> bool {
    let of_developers = ["lab/", "crates/"].iter().any(|folder| path.starts_with(folder));
    let is_yaml = matches!(ending(path), "yml" | "yaml");
    !of_developers && (ending(path) == "md" || is_yaml && !path.contains("/tests/"))
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// A Rust source of which only comments and strings are left.
fn without_names(source: &str) -> Result<String> {
    let mut text = source.to_owned();
    for name in words::identifiers(source)? {
        let range = name.span().byte_range();
        // A doc comment is an attribute, whose name has the span of the comment.
        if !source[range.clone()].starts_with('/') {
            text.replace_range(range.clone(), &" ".repeat(range.len()));
        }
    }
    Ok(text)
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    words: String,
    instead: &'static str,
}

fn found(text: &str, for_operators: bool) -> Vec<Found> {
    let words = words_of(text);
    let further = FOR_OPERATORS.iter().filter(|_| for_operators);
    let mut by_first_word: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in BANNED.iter().chain(further) {
        let first = rule.phrase.split(' ').next().unwrap_or_default();
        for word in first.split('|') {
            by_first_word.entry(word).or_default().push(rule);
        }
    }
    let mut found = Vec::new();
    for at in 0..words.len() {
        let rules = by_first_word.get(words[at].text.as_str());
        for Rule { phrase, instead } in rules.into_iter().flatten() {
            if begins_with(&words[at..], phrase) && !is_allowed(&words, at) {
                let length = phrase.split(' ').count();
                let phrase = words[at..at + length].iter().map(|word| word.text.as_str());
                found.push(Found {
                    line: words[at].line,
                    words: phrase.collect::<Vec<_>>().join(" "),
                    instead,
                });
            }
        }
    }
    found
}

fn begins_with(words: &[Word], phrase: &str) -> bool {
    let mut words = words.iter().map(|word| word.text.as_str());
    phrase.split(' ').all(|part| match (part, words.next()) {
        ("*", Some(word)) => word != MARK,
        (_, Some(word)) => part.split('|').any(|one| one == word),
        (_, None) => false,
    })
}

/// Whether the word is a part of an allowed phrase.
fn is_allowed(words: &[Word], at: usize) -> bool {
    ALLOWED.iter().any(|phrase| {
        let starts = (0..phrase.split(' ').count()).filter_map(|before| at.checked_sub(before));
        starts
            .into_iter()
            .any(|start| begins_with(&words[start..], phrase))
    })
}

struct Word {
    line: usize,
    text: String,
}

/// Stands for any punctuation mark, for code and for an empty line.
const MARK: &str = ".";

fn words_of(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut push = |text: &str| {
            words.push(Word {
                line: number + 1,
                text: text.to_lowercase(),
            });
        };
        let line = line.trim().trim_start_matches(['/', '!', '#']);
        if line.is_empty() {
            push(MARK);
        }
        for (at, part) in line.split('`').enumerate() {
            if at > 0 {
                push(MARK);
            }
            if at % 2 == 0 {
                pieces(part).for_each(&mut push);
            }
        }
    }
    words
}

/// Words and marks. What belongs to a word as to a path or a name is not a mark.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |letter: char| !letter.is_alphanumeric() && !letter.is_whitespace();
    let is_inner = |letter: char| "_'-./".contains(letter);
    text.split_whitespace().flat_map(move |chunk| {
        let parts = chunk.split_inclusive(move |letter| is_mark(letter) && !is_inner(letter));
        parts.flat_map(move |part| {
            let word = part.trim_matches(is_mark);
            let before = part.starts_with(is_mark) || word.is_empty();
            let after = !word.is_empty() && part.ends_with(is_mark);
            let mark = |is_there: bool| is_there.then_some(MARK);
            let word = Some(word).filter(|word| !word.is_empty());
            [mark(before), word, mark(after)].into_iter().flatten()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(text: &str) -> Vec<(usize, String)> {
        let found = found(text, false).into_iter();
        found.map(|found| (found.line, found.words)).collect()
    }

    #[test]
    fn finds_phrases_over_the_ends_of_lines() {
        let text = "# It is Told.\n/// A list is\n/// no map, and stays as it\n//! is (whole).";
        let found = [(1, "told"), (2, "is no map"), (3, "as it is"), (4, "whole")];
        assert_eq!(phrases(text), found.map(|(line, words)| (line, words.to_owned())));
    }

    #[test]
    fn passes_code_names_allowed_phrases_and_other_sentences() {
        for text in [
            "`told`, k3s_release.told, is_told, always, sideways",
            "there is no backup, it is no longer a whole number",
            "What it is. No more.",
            "it is\n\nno paragraph",
        ] {
            assert_eq!(phrases(text), [], "{text}");
        }
    }

    #[test]
    fn checks_further_words_for_operators() {
        let found = |path: &str| found("- name: See what a place can give", is_for_operators(path)).len();
        for path in [
            "playbooks/site.yaml",
            "modules/a/a.yml",
            "molecule/a/molecule.yml",
            "README.md",
        ] {
            assert_eq!(found(path), 3, "{path}");
        }
        for path in [
            "modules/a/tests/cases.yml",
            "lab/README.md",
            "crates/a/src/lib.rs",
        ] {
            assert_eq!(found(path), 0, "{path}");
        }
    }

    #[test]
    fn reads_comments_and_strings_of_rust() {
        let source = "/// Told é.\nfn told(knows: u8) { /* whole */ \"gives {told}\"; } // ways\n";
        let found = ["told", "whole", "gives", "told", "ways"].map(str::to_owned);
        let text = without_names(source).unwrap();
        let words: Vec<String> = phrases(&text).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, found);
    }
}
