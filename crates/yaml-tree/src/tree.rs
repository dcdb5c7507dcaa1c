//! A document as a tree that remembers how each scalar was written.
//!
//! Most of a kubeconfig is none of our business and has to come out as it went in. Whether `yes`, `1_000` or
//! `2026-01-01` is a text depends on who reads it, and on nothing but its quotes: so a plain scalar stays plain,
//! letter for letter, and a quoted one stays quoted. Nothing here is ever taken for a number.

use anyhow::{Context as _, Result, bail};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::{BTreeMap, BTreeSet};

/// No kubeconfig is nearly as deep.
const DEPTH: usize = 64;
/// What aliases may grow a document to. They are written out, and a few lines of them could fill the memory.
const NODES: usize = 100_000;
/// And what their texts may come to: one long text under thousands of aliases is few values, and no less memory.
const BYTES: usize = 32 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: String,
    /// Without quotes: whether it is a text is for its reader to say.
    pub plain: bool,
}

/// Equal is what no reader can distinguish.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.is_null() && other.is_null() || self.text == other.text && self.is_text() == other.is_text()
    }
}

impl Eq for Scalar {}

/// In the order of the file; no key is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(pub Vec<(Scalar, Node)>);

impl Node {
    /// A text of ours; the writer puts the quotes that it needs.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar::text(text))
    }

    /// The scalar's text; `None` for anything else, and for nothing.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether both say the same; the order of a map's keys says nothing.
    pub fn means_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(own), Self::List(other)) => {
                own.len() == other.len()
                    && own
                        .iter()
                        .zip(other)
                        .all(|(own, other)| own.means_the_same(other))
            }
            (Self::Map(own), Self::Map(other)) => {
                // From the last on, since of a key that is there twice the first counts.
                let others = other.0.iter().rev();
                let others: BTreeMap<&str, &Self> =
                    others.map(|(key, value)| (key.text.as_str(), value)).collect();
                let has = |(key, value): &(Scalar, Self)| {
                    let found = others.get(key.text.as_str());
                    found.is_some_and(|found| value.means_the_same(found))
                };
                own.0.len() == other.0.len() && own.0.iter().all(has)
            }
            _ => self == other,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.is_null())
    }
}

impl Scalar {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: false,
        }
    }

    fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether every reader, of YAML 1.1 or 1.2, takes it for a text.
    fn is_text(&self) -> bool {
        !self.plain || self.needs_quotes() || self.needs_no_quotes()
    }

    /// Whether it cannot be written without quotes, though it was read so: over several lines, or, as some readers take it in
    /// a key, with a sign in front that begins something else. Such a thing is neither a number nor a date nor a switch.
    pub(crate) fn needs_quotes(&self) -> bool {
        self.text.contains('\n') || self.text.starts_with(|c| ",[]{}#&*!|>'\"%@`".contains(c))
    }

    /// Whether that is so also without quotes.
    pub(crate) fn needs_no_quotes(&self) -> bool {
        let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
        let text = &self.text;
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._@+=:-".contains(c))
            && !text.ends_with(':')
            && !words.contains(&text.to_ascii_lowercase().as_str())
    }
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0
            .iter()
            .find(|(own, _)| own.text == key)
            .map(|(_, node)| node)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::as_text)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0
            .iter_mut()
            .find(|(own, _)| own.text == key)
            .map(|(_, node)| node)
    }

    /// Replaces the old value, else at the end.
    pub fn set(&mut self, key: &str, value: Node) {
        if let Some(slot) = self.get_mut(key) {
            *slot = value;
            return;
        }
        let key = Scalar {
            text: key.to_owned(),
            plain: true,
        };
        self.0.push((key, value));
    }

    /// As [`Map::set`], where the value is not that text already.
    pub fn set_text(&mut self, key: &str, text: &str) {
        if self.text(key) != Some(text) {
            self.set(key, Node::text(text));
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.retain(|own| own != key);
    }

    /// Keeps the entries whose key fits.
    pub fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.0.retain(|(own, _)| fits(&own.text));
    }
}

/// Reads a document, YAML or JSON (every JSON is YAML); `None`: there is nothing in it.
pub fn parse(text: &str) -> Result<Option<Node>> {
    let mut reader = Reader::new(text);
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(document),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => {
                let node = reader.node(event, span, DEPTH)?;
                match &document {
                    _ if node.is_null() => {}
                    None => document = Some(node),
                    Some(_) => bail!("line {}: a second document begins here", span.start.line()),
                }
            }
        }
    }
}

/// Reads the first document as Go's `yaml.v2` does: what follows it is not looked at, and a key may be there twice. A
/// map then has both entries.
pub fn first_document(text: &str) -> Result<Option<Node>> {
    let mut reader = Reader {
        lenient: true,
        ..Reader::new(text)
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(None),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => {
                let node = reader.node(event, span, DEPTH)?;
                return Ok((!node.is_null()).then_some(node));
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Whether tags and keys that are there twice are accepted.
    lenient: bool,
    anchors: BTreeMap<usize, Node>,
    size: Size,
}

/// What a document holds, with its aliases and anchors written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            lenient: false,
            anchors: BTreeMap::new(),
            size: Size::default(),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => bail!("line {}: {}", error.marker().line(), error.info()),
            None => bail!("the end is missing"),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node> {
        let line = span.start.line();
        if depth == 0 {
            bail!("line {line}: it is more than {DEPTH} levels deep");
        }
        self.count(Size { nodes: 1, bytes: 0 }, line)?;
        let (node, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                // A reader that honours a tag does not read a number.
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let text = text.into_owned();
                self.count(
                    Size {
                        nodes: 0,
                        bytes: text.len(),
                    },
                    line,
                )?;
                (Node::Scalar(Scalar { text, plain }), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (Node::List(self.list(depth)?), anchor, tag),
            Event::MappingStart(anchor, tag) => (Node::Map(self.map(depth)?), anchor, tag),
            Event::Alias(anchor) => (self.alias(anchor, line)?, 0, None),
            _ => bail!("line {line}: it cannot be read"),
        };
        // What a tag makes of a value differs between readers, and no kubeconfig needs one.
        if tag.is_some() && !self.lenient {
            bail!("line {line}: there is a tag (`!…`), which no kubeconfig has");
        }
        if anchor > 0 {
            let bytes = size(&node).bytes;
            self.count(Size { nodes: 0, bytes }, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(list),
                (event, span) => list.push(self.node(event, span, depth - 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map> {
        let mut map = Map::default();
        let mut keys = BTreeSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(map);
            }
            let line = span.start.line();
            let Node::Scalar(key) = self.node(event, span, depth - 1)? else {
                bail!("line {line}: a key that is not text");
            };
            if !keys.insert(key.text.clone()) && !self.lenient {
                bail!("line {line}: the key {:?} is there twice", key.text);
            }
            let (event, span) = self.next()?;
            map.0.push((key, self.node(event, span, depth - 1)?));
        }
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node> {
        let Some(size) = self.anchors.get(&anchor).map(size) else {
            bail!("line {line}: an alias of something that is not finished yet");
        };
        // Before it is copied: the copy is what has to fit.
        self.count(size, line)?;
        self.anchors.get(&anchor).cloned().context("an alias of nothing")
    }

    fn count(&mut self, more: Size, line: usize) -> Result<()> {
        self.size = self.size.and(more);
        if self.size.nodes > NODES {
            bail!("line {line}: it holds more than {NODES} values");
        }
        if self.size.bytes > BYTES {
            bail!("line {line}: with its aliases written out it holds more than {BYTES} bytes");
        }
        Ok(())
    }
}

impl Size {
    fn and(self, more: Self) -> Self {
        Self {
            nodes: self.nodes + more.nodes,
            bytes: self.bytes + more.bytes,
        }
    }
}

fn size(node: &Node) -> Size {
    let own = |bytes| Size { nodes: 1, bytes };
    match node {
        Node::Scalar(scalar) => own(scalar.text.len()),
        Node::List(list) => list.iter().map(size).fold(own(0), Size::and),
        Node::Map(map) => {
            let entry = |(key, node): &(Scalar, Node)| size(node).and(own(key.text.len()));
            map.0.iter().map(entry).fold(own(0), Size::and)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn only_the_first_document_is_read_and_a_key_may_be_there_twice() {
        for text in [
            "a: 1\na: 2\n---\n",
            "---\na: 1\na: 2\n--- {\n",
            "a: 1\na: 2\n...\n",
        ] {
            let Some(Node::Map(map)) = first_document(text).unwrap() else {
                panic!("{text:?}")
            };
            let values: Vec<_> = map.0.iter().map(|(_, node)| node.as_text().unwrap()).collect();
            assert_eq!(values, ["1", "2"], "{text:?}");
        }
        for nothing in ["", "---\n", "# a\n", "~\n"] {
            assert_eq!(first_document(nothing).unwrap(), None, "{nothing:?}");
        }
        let tagged = first_document("a: !!str 1\n").unwrap().unwrap();
        let Some(Node::Scalar(scalar)) = tagged.as_map().unwrap().get("a") else {
            panic!("{tagged:?}")
        };
        assert!(!scalar.plain);
        assert!(first_document("a: [\n").is_err() && first_document("a: b: c\n").is_err());
    }

    fn map(text: &str) -> Map {
        match parse(text).unwrap() {
            Some(Node::Map(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn quotes_are_remembered() {
        let map = map("a: yes\nb: \"yes\"\nc: 'yes'\nd: |\n  yes\n");
        let written: Vec<(&str, bool)> = map
            .0
            .iter()
            .map(|(_, node)| match node {
                Node::Scalar(scalar) => (scalar.text.as_str(), scalar.plain),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            written,
            [("yes", true), ("yes", false), ("yes", false), ("yes\n", false)]
        );
    }

    #[test]
    fn nothing_is_nothing() {
        for empty in ["", "\n", "# only words\n", "---\n", "--- ~\n", "null"] {
            assert_eq!(parse(empty).unwrap(), None, "{empty:?}");
        }
        assert_eq!(map("a:\nb: ~\nc: ''\n").text("a"), None);
        assert_eq!(map("c: ''\n").text("c"), Some(""));
    }

    #[test]
    fn reads_json_unchanged() {
        let json = map("{\n\t\"a\": [1.10, \"x\\/y\"],\n\t\"b\": {}\n}\n");
        assert_eq!(json.get("b"), Some(&Node::Map(Map::default())));
        let Some(Node::List(list)) = json.get("a") else {
            panic!()
        };
        assert_eq!(
            (list[0].as_text(), list[1].as_text()),
            (Some("1.10"), Some("x/y"))
        );
    }

    #[test]
    fn aliases_are_written_out_within_bounds() {
        assert_eq!(map("a: &x {q: 1}\nb: *x\n").get("b"), map("b: {q: 1}\n").get("b"));
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..10 {
            let before = format!("*a{}", n - 1);
            let _ = writeln!(laughs, "a{n}: &a{n} [{}]", [before.as_str(); 10].join(", "));
        }
        let error = parse(&laughs).unwrap_err().to_string();
        assert!(error.contains("more than 100000 values"), "{error}");
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(parse(&deep).unwrap_err().to_string().contains("levels deep"));
    }

    #[test]
    fn a_long_text_is_not_multiplied_by_aliases() {
        let long = "a".repeat(1 << 20);
        let bombs = [
            format!("x: &a \"{long}\"\ny: [{}]\n", vec!["*a"; 30_000].join(", ")),
            format!("x: &a {{{long}: 1}}\ny: [{}]\n", vec!["*a"; 30_000].join(", ")),
            // Each level keeps a copy of all that is below it.
            (0..60).fold(format!("\"{long}\""), |inner, n| format!("&a{n} [{inner}]")),
        ];
        for bomb in bombs {
            let error = parse(&bomb).unwrap_err().to_string();
            assert!(error.contains("bytes"), "{error}");
        }
    }

    #[test]
    fn many_keys_and_anchors_are_read() {
        let line = |n: usize| format!("k{n}: &a{n} 1\nl{n}: *a{n}\n");
        let text: String = (0..16_000).map(line).collect();
        // A step for each pair of them would take minutes.
        let map = Node::Map(map(&text));
        assert!(map.means_the_same(&map));
        assert_eq!(map.as_map().unwrap().0.len(), 32_000);
    }

    #[test]
    fn reports_unreadable_text_with_its_line() {
        let cases = [
            ("a: [1, 2\n", "line 2: "),
            ("a: \"abc\n", "line 1: "),
            ("a:\n\tb: 1\n", "line 2: "),
            ("a: 1\na: 2\n", "line 2: the key \"a\" is there twice"),
            ("a: 1\n---\nb: 2\n", "line 3: a second document"),
            ("a: !!str 1\n", "line 1: there is a tag"),
            ("[a]: 1\n", "line 1: a key that is not text"),
            ("a: *x\n", "line 1: "),
            ("a: &x [*x]\n", "line 1: "),
        ];
        for (text, words) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{text:?}: {error}");
        }
    }
}
