//! Words that no name in the Rust sources has: CONTRIBUTING.md, under "Words", says which to take instead.

use crate::repo::Repo;
use anyhow::{Context, Result, anyhow};
use proc_macro2::{Ident, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders whose Rust sources are checked.
const FOLDERS: [&str; 5] = ["crates", "modules", "lab", "fuzz", "tests"];

/// The words, and what to write instead.
const BANNED: [(&[&str], &str); 10] = [
    (
        &["told", "tell", "tells", "telling"],
        "report, show, list or distinguish",
    ),
    (&["whole"], "healthy, complete or intact"),
    (&["mend", "mends", "mended"], "fix or repair"),
    (&["stranded"], "unschedulable"),
    (&["fate", "fates"], "outcome"),
    (&["gives", "knows"], "return, release, have, read or find"),
    (
        &["arrival", "wish", "wishes"],
        "readiness, desired state or request",
    ),
    (&["concerned"], "affected"),
    (&["spoil", "spoils", "spoilt"], "break or damage"),
    (
        &["place", "places"],
        "location, position, path, folder, host or node",
    ),
];

/// A value of a public option, and methods of the crate `time`.
const PUBLIC: [&str; 3] = ["NoPlace", "whole_days", "whole_seconds"];

/// Where the files of a Proxmox host are: a folder on this machine or inside a lab's host.
const OF_THE_LAB: [&str; 2] = ["place", "Place"];

pub(crate) fn faults(repo: &Repo) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in repo.files(&FOLDERS, &["rs"]) {
        let text = fs::read_to_string(repo.path(&path)).with_context(|| format!("reading {path}"))?;
        let file = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy();
        let mut names = names(&text).with_context(|| path.clone())?;
        names.insert(file.into_owned());
        names.retain(|name| !path.starts_with("lab/") || !OF_THE_LAB.contains(&name.as_str()));
        let fault = |name: &String| Some(format!("{path}: the name {name}: write {}", instead_of(name)?));
        faults.extend(names.iter().filter_map(fault));
    }
    Ok(faults)
}

/// Every name in a source: comments and strings have none.
fn names(text: &str) -> Result<BTreeSet<String>> {
    let names = identifiers(text)?.into_iter();
    Ok(names.map(|name| name.to_string()).collect())
}

pub(crate) fn identifiers(text: &str) -> Result<Vec<Ident>> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("it is not Rust: {error}"))?;
    let mut names = Vec::new();
    let mut open = vec![tokens];
    while let Some(tokens) = open.pop() {
        for token in tokens {
            match token {
                TokenTree::Ident(name) => names.push(name),
                TokenTree::Group(group) => open.push(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    Ok(names)
}

/// What to write instead of the first banned word in a name.
fn instead_of(name: &str) -> Option<&'static str> {
    if PUBLIC.contains(&name) {
        return None;
    }
    let words = words(name);
    let allowed = |at: usize| words[at] == "place" && at > 0 && words[at - 1] == "in";
    words
        .iter()
        .enumerate()
        .filter(|(at, _)| !allowed(*at))
        .find_map(|(_, word)| {
            let (_, instead) = BANNED
                .iter()
                .find(|(banned, _)| banned.contains(&word.as_str()))?;
            Some(*instead)
        })
}

/// The words of `a_name`, `A_NAME` or `AName`.
fn words(name: &str) -> Vec<String> {
    let is_constant = !name.chars().any(char::is_lowercase);
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() && !is_constant {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(text: &str) -> Vec<String> {
        let names = names(text).unwrap().into_iter();
        names.filter(|name| instead_of(name).is_some()).collect()
    }

    #[test]
    fn finds_banned_words_in_names_of_every_kind() {
        let text = "fn is_told_twice(whole: ToldNode) { const PLACES: u8 = 0; mac!([arrival]); } mod fate {}";
        assert_eq!(
            banned(text),
            ["PLACES", "ToldNode", "arrival", "fate", "is_told_twice", "whole"].map(str::to_owned)
        );
    }

    #[test]
    fn passes_longer_words_positions_and_public_names() {
        let text = "fn replace_in_place(placement: SaveInPlace) { Accepted::NoPlace; retold(holder, known) }";
        assert_eq!(banned(text), [""; 0]);
    }

    #[test]
    fn ignores_comments_and_strings() {
        assert_eq!(banned("const KEY: &str = \"told\"; /* told */ // whole"), [""; 0]);
    }
}
