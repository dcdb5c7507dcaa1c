//! A kubeconfig: three lists of named entries, and which context is current. Whatever else is in it is kept.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeSet;
use yaml_tree::{Format, Map, Node, parse, to_text};

/// Far more than any kubeconfig.
const LARGEST: usize = 8 << 20;
pub(crate) const CURRENT: &str = "current-context";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cluster,
    Context,
    User,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Cluster, Self::Context, Self::User];

    /// What the list is called in the file.
    pub(crate) fn list(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::Context => "contexts",
            Self::User => "users",
        }
    }

    /// What an entry holds beside its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Context => "context",
            Self::User => "user",
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kubeconfig {
    root: Map,
    format: Format,
}

/// It holds keys and tokens.
impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubeconfig")
    }
}

impl Kubeconfig {
    /// As kubectl begins one.
    pub(crate) fn new() -> Self {
        let mut root = Map::default();
        root.set("apiVersion", Node::text("v1"));
        root.set("clusters", Node::List(Vec::new()));
        root.set("contexts", Node::List(Vec::new()));
        root.set(CURRENT, Node::text(""));
        root.set("kind", Node::text("Config"));
        root.set("preferences", Node::Map(Map::default()));
        root.set("users", Node::List(Vec::new()));
        Self {
            root,
            format: Format::Yaml,
        }
    }

    /// Reads a file; `None`: there is nothing in it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        if bytes.len() > LARGEST {
            bail!("it has {} bytes, more than any kubeconfig", bytes.len());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| anyhow!("it is not text"))?;
        let root = match parse(text).context("it is neither YAML nor JSON")? {
            None => return Ok(None),
            Some(Node::Map(root)) => root,
            Some(_) => bail!("it is not a kubeconfig: a mapping was expected"),
        };
        for (key, expected) in [("kind", "Config"), ("apiVersion", "v1")] {
            if let Some(node) = root.get(key).filter(|node| !node.is_null())
                && node.as_text() != Some(expected)
            {
                bail!("it is not a kubeconfig: {key} is not {expected}");
            }
        }
        let config = Self {
            root,
            format: Format::of(text),
        };
        for kind in Kind::ALL {
            config.check(kind)?;
        }
        Ok(Some(config))
    }

    fn check(&self, kind: Kind) -> Result<()> {
        if let Some(node) = self.root.get(kind.list())
            && !matches!(node, Node::List(_))
            && !node.is_null()
        {
            bail!("{} is not a list", kind.list());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.names(kind).into_iter().find(|name| !seen.insert(*name)) {
            bail!(
                "{}: two entries are named {twice:?}, which kubectl refuses too",
                kind.list()
            );
        }
        Ok(())
    }

    fn items(&self, kind: Kind) -> &[Node] {
        match self.root.get(kind.list()) {
            Some(Node::List(items)) => items,
            _ => &[],
        }
    }

    /// Names in the file's order; what has none is not looked at.
    pub(crate) fn names(&self, kind: Kind) -> Vec<&str> {
        self.entries(kind).map(|(name, _)| name).collect()
    }

    /// The named entries in the file's order, and what each holds.
    pub(crate) fn entries(&self, kind: Kind) -> impl Iterator<Item = (&str, Option<&Map>)> {
        let maps = self.items(kind).iter().filter_map(Node::as_map);
        maps.filter_map(move |map| {
            let content = map.get(kind.word()).and_then(Node::as_map);
            Some((map.text("name")?, content))
        })
    }

    pub(crate) fn has(&self, kind: Kind, name: &str) -> bool {
        self.entries(kind).any(|(own, _)| own == name)
    }

    /// What an entry holds; `None` also where it holds nothing.
    pub(crate) fn entry(&self, kind: Kind, name: &str) -> Option<&Map> {
        self.entries(kind).find(|(own, _)| *own == name)?.1
    }

    /// Replaces the entry of that name, else at the end.
    pub(crate) fn put(&mut self, kind: Kind, name: &str, content: Map) {
        if !matches!(self.root.get(kind.list()), Some(Node::List(_))) {
            self.root.set(kind.list(), Node::List(Vec::new()));
        }
        let Some(Node::List(items)) = self.root.get_mut(kind.list()) else {
            return;
        };
        let old = items.iter_mut().find_map(|item| match item {
            Node::Map(map) if map.text("name") == Some(name) => Some(map),
            _ => None,
        });
        if let Some(old) = old {
            old.set(kind.word(), Node::Map(content));
            return;
        }
        let mut item = Map::default();
        // As kubectl orders them.
        if kind == Kind::User {
            item.set("name", Node::text(name));
        }
        item.set(kind.word(), Node::Map(content));
        item.set("name", Node::text(name));
        items.push(Node::Map(item));
    }

    pub(crate) fn current(&self) -> Option<&str> {
        self.root.text(CURRENT).filter(|name| !name.is_empty())
    }

    pub(crate) fn set_current(&mut self, name: &str) {
        self.root.set_text(CURRENT, name);
    }

    /// One name for all entries of a file of one cluster, and one address for it.
    pub(crate) fn rename(&mut self, name: &str, server: &str) {
        for kind in Kind::ALL {
            let Some(Node::List(items)) = self.root.get_mut(kind.list()) else {
                continue;
            };
            for item in items {
                let Node::Map(item) = item else { continue };
                item.set_text("name", name);
                match (kind, item.get_mut(kind.word())) {
                    (Kind::Cluster, Some(Node::Map(cluster))) => cluster.set_text("server", server),
                    (Kind::Context, Some(Node::Map(context))) => {
                        context.set_text("cluster", name);
                        context.set_text("user", name);
                    }
                    _ => {}
                }
            }
        }
        self.set_current(name);
    }

    /// The file's new text. It is read once more before anybody writes it.
    pub(crate) fn to_text(&self) -> Result<String> {
        let text = to_text(&self.root, self.format);
        let again = Self::parse(text.as_bytes());
        if again.as_ref().ok() != Some(&Some(self.clone())) {
            bail!("rewriting the kubeconfig would change more than it should: this is a fault in the module");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_invalid_kubeconfig_with_its_reason() {
        let cases: [(&[u8], &str); 9] = [
            (b"\xff\xfe", "it is not text"),
            (b"[1]", "a mapping was expected"),
            (b"hello", "a mapping was expected"),
            (b"a: [", "neither YAML nor JSON: line "),
            (b"kind: Pod\n", "kind is not Config"),
            (b"apiVersion: v2\n", "apiVersion is not v1"),
            (b"clusters: {}\n", "clusters is not a list"),
            (b"users: x\n", "users is not a list"),
            (
                b"users: [{name: a}, {name: b}, {name: a}]\n",
                "users: two entries are named \"a\"",
            ),
        ];
        for (bytes, words) in cases {
            let error = format!("{:#}", Kubeconfig::parse(bytes).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
        let large = vec![b' '; LARGEST + 1];
        assert!(
            Kubeconfig::parse(&large)
                .unwrap_err()
                .to_string()
                .contains("bytes")
        );
    }

    #[test]
    fn lists_may_be_missing_or_nothing() {
        for text in [
            "{}",
            "clusters:\nusers: null\n",
            "a: b\n",
            "kind:\napiVersion: v1\n",
        ] {
            let mut config = Kubeconfig::parse(text.as_bytes()).unwrap().unwrap();
            assert!(config.names(Kind::Cluster).is_empty());
            config.put(Kind::Cluster, "x", Map::default());
            assert_eq!(config.names(Kind::Cluster), ["x"]);
        }
        assert_eq!(Kubeconfig::parse(b" \n# nothing\n").unwrap(), None);
    }

    #[test]
    fn fills_an_entry_without_content() {
        let text = "users:\n- name: a\n- name: b\n  user: null\n- user: {}\n- just a word\n";
        let mut config = Kubeconfig::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(config.names(Kind::User), ["a", "b"]);
        assert!(config.entry(Kind::User, "a").is_none() && config.entry(Kind::User, "b").is_none());
        config.put(Kind::User, "b", Map::default());
        assert!(config.entry(Kind::User, "b").is_some());
        assert_eq!(config.names(Kind::User), ["a", "b"]);
    }

    #[test]
    fn a_new_one_is_as_kubectl_writes_it() {
        let mut config = Kubeconfig::new();
        config.set_current("x");
        let text = "apiVersion: v1\nclusters: []\ncontexts: []\ncurrent-context: x\nkind: Config\npreferences: {}\nusers: []\n";
        assert_eq!(config.to_text().unwrap(), text);
        config.set_current("y");
        assert_eq!(config.current(), Some("y"));
    }
}
