//! Files of a crate that use each other in a circle: none of them can be understood or moved without the others.
//!
//! A parent and its child do not make a circle: the child is a part of its parent.

use crate::repo::Repo;
use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// `judge::pods` is `["judge", "pods"]`; the root of a crate is empty.
type Names = Vec<String>;
/// The files of a crate, each with the paths that its code names.
type Named = BTreeMap<Names, BTreeSet<Names>>;

pub(crate) fn faults(repo: &Repo) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for folder in repo.crates() {
        let src = repo.path(&folder).join("src");
        let circles = circles(&|module| text(&src, module)).with_context(|| folder.clone())?;
        let fault = |circle| format!("{folder}: {circle}: move what they share into a file below them");
        faults.extend(circles.into_iter().map(fault));
    }
    Ok(faults)
}

fn text(src: &Path, module: &[String]) -> Result<String> {
    let files = if module.is_empty() {
        ["lib.rs".to_owned(), "main.rs".to_owned()]
    } else {
        let path = module.join("/");
        [format!("{path}.rs"), format!("{path}/mod.rs")]
    };
    let texts = files
        .iter()
        .map(|file| src.join(file))
        .filter(|file| file.is_file());
    let texts =
        texts.map(|file| fs::read_to_string(&file).with_context(|| format!("reading {}", file.display())));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    if texts.is_empty() {
        return Err(anyhow!(
            "there is neither {} below {}",
            files.join(" nor "),
            src.display()
        ));
    }
    Ok(texts.join("\n"))
}

/// Each circle as `a <-> b`. `text` returns the source of a module.
fn circles(text: &dyn Fn(&[String]) -> Result<String>) -> Result<Vec<String>> {
    let named = named(text)?;
    let mut found: Vec<BTreeSet<&Names>> = Vec::new();
    for module in named.keys() {
        let uses = reached(&named, module);
        let circle: BTreeSet<&Names> = uses
            .into_iter()
            .filter(|other| reached(&named, other).contains(module))
            .collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    let line = |circle: &BTreeSet<&Names>| {
        let files: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
        files.join(" <-> ")
    };
    Ok(found.iter().map(line).collect())
}

/// All that a module uses, and what that uses in turn.
fn reached<'n>(named: &'n Named, module: &Names) -> BTreeSet<&'n Names> {
    let mut reached = BTreeSet::new();
    let mut open = used(named, module);
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(used(named, next));
        }
    }
    reached
}

fn used<'n>(named: &'n Named, module: &Names) -> Vec<&'n Names> {
    let is_kin = |other: &Names| module.starts_with(other) || other.starts_with(module);
    let paths = named.get(module).into_iter().flatten();
    paths
        .filter_map(|path| file_of(named, path))
        .filter(|other| !is_kin(other))
        .collect()
}

/// The file that a path leads into: the rest of it are the names of items.
fn file_of<'n>(named: &'n Named, path: &[String]) -> Option<&'n Names> {
    (0..=path.len())
        .rev()
        .find_map(|length| Some(named.get_key_value(&path[..length])?.0))
}

fn named(text: &dyn Fn(&[String]) -> Result<String>) -> Result<Named> {
    let mut named = Named::new();
    let mut open = vec![Names::new()];
    while let Some(module) = open.pop() {
        let tokens: TokenStream = text(&module)?
            .parse()
            .map_err(|error| anyhow!("{} is not Rust: {error}", module.join("::")))?;
        let mut file = File::default();
        file.read(tokens, &module);
        open.extend(file.children);
        named.insert(module, file.paths);
    }
    Ok(named)
}

#[derive(Default)]
struct File {
    children: Vec<Names>,
    paths: BTreeSet<Names>,
}

impl File {
    /// Reads the code of a module, which may stand in the file of another one.
    fn read(&mut self, tokens: TokenStream, module: &Names) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            rest = self.read_next(rest, module);
        }
    }

    fn read_next<'t>(&mut self, tokens: &'t [TokenTree], module: &Names) -> &'t [TokenTree] {
        match tokens {
            [TokenTree::Punct(hash), TokenTree::Group(attribute), rest @ ..]
                if hash.as_char() == '#' && is_for_tests(attribute) =>
            {
                after_item(rest)
            }
            [
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                TokenTree::Punct(end),
                rest @ ..,
            ] if word == "mod" && end.as_char() == ';' => {
                self.children.push(below(module, &name.to_string()));
                rest
            }
            [
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                TokenTree::Group(body),
                rest @ ..,
            ] if word == "mod" => {
                self.read(body.stream(), &below(module, &name.to_string()));
                rest
            }
            [TokenTree::Ident(word), rest @ ..] if is_joined(rest) => match word.to_string().as_str() {
                "crate" => self.read_path(Names::new(), rest),
                "self" => self.read_path(module.clone(), rest),
                "super" => self.read_path(parent(module), rest),
                _ => rest,
            },
            [TokenTree::Group(group), rest @ ..] => {
                self.read(group.stream(), module);
                rest
            }
            [_, rest @ ..] => rest,
            [] => tokens,
        }
    }

    /// Reads how a path goes on after what is known of it.
    fn read_path<'t>(&mut self, path: Names, tokens: &'t [TokenTree]) -> &'t [TokenTree] {
        match tokens {
            [_, _, TokenTree::Ident(name), rest @ ..] if is_joined(tokens) => {
                self.read_path(step(path, &name.to_string()), rest)
            }
            [_, _, TokenTree::Group(group), rest @ ..] if is_joined(tokens) => {
                self.read_branches(&path, group);
                rest
            }
            _ => {
                self.paths.insert(path);
                tokens
            }
        }
    }

    /// Reads `{a::{b, c}, d}` of a `use`.
    fn read_branches(&mut self, path: &Names, group: &Group) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        for branch in tokens.split(is_comma) {
            if let [TokenTree::Ident(name), rest @ ..] = branch {
                self.read_path(step(path.clone(), &name.to_string()), rest);
            } else {
                self.paths.insert(path.clone());
            }
        }
    }
}

/// `#[cfg(test)]`
fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// An item ends with its body, or with a semicolon.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1);
    &tokens[end..]
}

/// Whether `::` is next.
fn is_joined(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.len() >= 2 && tokens[..2].iter().all(is_colon)
}

fn step(path: Names, name: &str) -> Names {
    match name {
        "self" => path,
        "super" => parent(&path),
        name => below(&path, name),
    }
}

fn below(module: &[String], name: &str) -> Names {
    [module, &[name.to_owned()]].concat()
}

fn parent(module: &[String]) -> Names {
    module
        .split_last()
        .map(|(_, parent)| parent.to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate of these modules; the root is the one without a name.
    fn circles_of(sources: &[(&str, &str)]) -> Vec<String> {
        let text = |module: &[String]| {
            let name = module.join("::");
            let source = sources.iter().find(|(module, _)| *module == name);
            source.map(|(_, text)| (*text).to_owned()).context(name)
        };
        circles(&text).unwrap()
    }

    #[test]
    fn files_that_use_each_other_are_a_circle() {
        let found = circles_of(&[
            ("", "mod a; pub mod b; mod c;"),
            ("a", "use crate::b::B;"),
            ("b", "pub struct B; fn f() { super::c::f() }"),
            ("c", "use crate::a; pub fn f() {}"),
        ]);
        assert_eq!(found, ["a <-> b <-> c"]);
    }

    #[test]
    fn each_circle_is_reported_once() {
        let found = circles_of(&[
            ("", "mod a; mod b; mod c; mod d; mod e;"),
            ("a", "use crate::b::B; use crate::c::C;"),
            ("b", "use crate::a::A;"),
            ("c", "use crate::d::D;"),
            ("d", "fn f() -> crate::c::C { crate::c::C }"),
            ("e", "use crate::a::A; use crate::d::D;"),
        ]);
        assert_eq!(found, ["a <-> b", "c <-> d"]);
    }

    #[test]
    fn files_in_one_order_have_no_circle() {
        let found = circles_of(&[
            ("", "mod a; mod b; mod c; pub struct State;"),
            ("a", "use crate::b::B; use crate::{State, c};"),
            (
                "b",
                "use crate::c::C; /* crate::a */ // crate::a\nconst A: &str = \"crate::a\"; pub(crate) struct B;",
            ),
            ("c", "use crate::State; //! [`crate::a::A`]"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn nested_braces_name_each_file() {
        let nested = [
            ("", "mod a; mod e;"),
            ("a", "mod b; mod c;"),
            ("a::b", "pub struct B;"),
            ("a::c", "use crate::e;"),
            ("e", "use crate::{a::{b::B, c::{self, C}}, State};"),
        ];
        assert_eq!(circles_of(&nested), ["a::c <-> e"]);
    }

    #[test]
    fn paths_in_macros_and_modules_without_a_file_count() {
        let found = circles_of(&[
            ("", "mod a; mod b; mod c;"),
            ("a", "fn f() { println!(\"{}\", crate::b::NAME); }"),
            (
                "b",
                "mod inner { use super::super::a::f; use super::NAME; } use self::inner::X;",
            ),
            ("c", ""),
        ]);
        assert_eq!(found, ["a <-> b"]);
    }

    #[test]
    fn a_parent_and_its_child_do_not_make_a_circle() {
        let found = circles_of(&[
            ("", "mod a;"),
            ("a", "mod b; use self::b::B; pub struct A;"),
            ("a::b", "use super::A; pub struct B;"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let found = circles_of(&[
            ("", "mod a; mod b; #[cfg(test)] mod samples;"),
            ("a", "use crate::b::B; pub struct A;"),
            (
                "b",
                "pub struct B; #[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] #[path = \"b_tests.rs\"] mod more;",
            ),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn crates_are_found_in_every_folder_that_has_some() {
        let found = Repo::here().crates();
        for folder in ["crates/xtask", "modules/k3s_join", "lab", "lab/k3s"] {
            assert!(found.iter().any(|one| one == folder), "{folder}: {found:?}");
        }
    }
}
