//! Which entries are this cluster's, and what they are to become. Pure.
//!
//! Names mean little: a `default` may be any cluster. An entry is this cluster's if its authority issues this cluster's
//! certificates; it is renewed under its own name, so that whoever pointed here still does. An address counts only for an
//! entry without an authority. What is another cluster's is not touched, and a credential of another kind or of another
//! person stays what it is.

use super::view::{Found, View};
use crate::credentials::Credentials;
use crate::kubeconfig::{Kind, Kubeconfig};
use crate::server;
use k3s_certs::Certificate;
use std::collections::BTreeSet;
use yaml_tree::{Map, Node};

/// What a merge is made of.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub view: &'a View,
    pub ours: &'a Credentials,
    /// What a new entry is called.
    pub name: &'a str,
    /// The address in the file answers as this cluster, and stays.
    pub keep_address: bool,
    /// An entry called `name` is replaced although it is another cluster's.
    pub replace: bool,
}

pub(crate) struct Merged {
    pub config: Kubeconfig,
    /// The context by which this cluster is reached as its administrator.
    pub context: String,
    /// The address that this context leads to.
    pub server: String,
    /// The entries that are this cluster's.
    pub touched: Vec<(Kind, String)>,
    /// Addresses that were changed.
    pub former_servers: Vec<String>,
}

pub(crate) fn merge(sources: Sources) -> Merged {
    let config = sources.view.dest.as_ref().map(|document| document.config.clone());
    let mut merge = Merge {
        sources,
        config: config.unwrap_or_else(Kubeconfig::new),
        touched: Vec::new(),
        former_servers: Vec::new(),
    };
    let clusters = merge.clusters();
    let is_only = clusters.len() == 1;
    for cluster in &clusters {
        merge.renew_cluster(cluster, is_only);
    }
    let context = merge.contexts_and_users(&clusters);
    merge.point(&context);
    Merged {
        server: merge.server_of(&context),
        config: merge.config,
        context,
        touched: merge.touched,
        former_servers: merge.former_servers,
    }
}

/// Whether some cluster is this one by what it holds.
pub(crate) fn has_credentials(view: &View, ours: &Credentials) -> bool {
    !own_clusters(view, ours).is_empty()
}

/// The address that a merge would change although the entry is not called as ours are: worth asking first.
pub(crate) fn address_to_try(view: &View, ours: &Credentials, name: &str) -> Option<String> {
    let [only] = own_clusters(view, ours)[..] else {
        return None;
    };
    let map = view.find(Kind::Cluster, only)?.map;
    let address = map.text("server")?;
    let is_changed = only != name && !has_own_route(map) && !server::is_same(address, &ours.server);
    is_changed.then(|| address.to_owned())
}

/// A cluster of another authority that is called as this one would be, or has its address.
pub(crate) fn lookalike<'a>(view: &'a View, ours: &Credentials, name: &str) -> Option<&'a str> {
    let mut entries = view.entries(Kind::Cluster).into_iter();
    let is_lookalike = |(own, found): &(&str, Option<Found>)| {
        found.is_some_and(|found| {
            let address = found.map.text("server").unwrap_or_default();
            !is_this_cluster(view, ours, found) && (*own == name || is_proof(found.map, address, ours))
        })
    };
    entries.find(is_lookalike).map(|(own, _)| own)
}

fn own_clusters<'a>(view: &'a View, ours: &Credentials) -> Vec<&'a str> {
    let is_ours = |found: Option<Found>| found.is_some_and(|found| is_this_cluster(view, ours, found));
    let entries = view.entries(Kind::Cluster).into_iter();
    entries
        .filter(|(_, found)| is_ours(*found))
        .map(|(name, _)| name)
        .collect()
}

fn is_this_cluster(view: &View, ours: &Credentials, found: Found) -> bool {
    if let Some(its) = view.certificates(found, "certificate-authority") {
        // What comes after the first is above it, and may be above other clusters too.
        return its.first() == ours.authority.first();
    }
    let address = found.map.text("server").unwrap_or_default();
    is_proof(found.map, address, ours)
}

fn text_of<'a>(found: Option<Found<'a>>, key: &str) -> &'a str {
    found.and_then(|found| found.map.text(key)).unwrap_or_default()
}

/// Behind a proxy the same address may be a machine of another network, and on the loopback anything may answer.
fn is_proof(map: &Map, address: &str, ours: &Credentials) -> bool {
    map.text("proxy-url").is_none() && !server::is_loopback(address) && server::is_same(address, &ours.server)
}

/// Somebody saw to it how this address is reached.
fn has_own_route(map: &Map) -> bool {
    ["proxy-url", "tls-server-name"]
        .iter()
        .any(|key| map.text(key).is_some())
}

struct Merge<'a> {
    sources: Sources<'a>,
    config: Kubeconfig,
    touched: Vec<(Kind, String)>,
    former_servers: Vec<String>,
}

/// Whose the user of a context is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    /// The administrator with a certificate: the one to renew.
    Ours,
    /// Somebody else, or the same by other means: stays, and so does who points at it.
    Another,
    /// Not there, or another cluster's that this context shares by mistake: another has to be named.
    Useless,
}

impl Merge<'_> {
    /// This cluster's entries by what they hold, else a new one.
    fn clusters(&self) -> Vec<String> {
        let ours = own_clusters(self.sources.view, self.sources.ours);
        if ours.is_empty() {
            return vec![self.free_name(Kind::Cluster, |_| self.sources.replace)];
        }
        ours.into_iter().map(str::to_owned).collect()
    }

    /// Also where another file has it: kubectl then takes it from ours, which comes first.
    fn renew_cluster(&mut self, name: &str, is_only: bool) {
        let mut map = self.base(Kind::Cluster, name);
        let Sources { ours, .. } = self.sources;
        for by_path_or_without in ["certificate-authority", "insecure-skip-tls-verify"] {
            map.remove(by_path_or_without);
        }
        map.set_text("certificate-authority-data", &ours.authority_data);
        let former = map.text("server").map(str::to_owned);
        if former.is_none() || self.may_change_address(name, &map, is_only) {
            self.former_servers.extend(former);
            map.set_text("server", &ours.server);
        }
        self.put(Kind::Cluster, name, map);
    }

    /// One cluster may be entered by several addresses, each for its reason: a virtual one, a tunnel, a server.
    fn may_change_address(&self, name: &str, map: &Map, is_only: bool) -> bool {
        name == self.sources.name || (is_only && !self.sources.keep_address && !has_own_route(map))
    }

    fn server_of(&self, context: &str) -> String {
        let own = self.config.entry(Kind::Context, context);
        let cluster = match own {
            Some(map) => map.text("cluster"),
            None => Some(self.sources.view.of_context(context, "cluster")),
        };
        let map = cluster.and_then(|cluster| self.config.entry(Kind::Cluster, cluster));
        let server = map.and_then(|map| map.text("server"));
        server.unwrap_or(&self.sources.ours.server).to_owned()
    }

    /// Renews the users of this cluster's contexts, and returns the context to use. There is always one.
    fn contexts_and_users(&mut self, clusters: &[String]) -> String {
        let own: BTreeSet<&str> = clusters.iter().map(String::as_str).collect();
        let contexts = self.sources.view.entries(Kind::Context).into_iter();
        let (ours, foreign): (Vec<_>, Vec<_>) = contexts
            .map(|(context, found)| (context, text_of(found, "cluster"), text_of(found, "user")))
            .partition(|(_, cluster, _)| own.contains(cluster));
        let foreign: BTreeSet<&str> = foreign.into_iter().map(|(_, _, user)| user).collect();
        let judged = ours
            .into_iter()
            .map(|(context, _, user)| (context, user, self.judge(user, &foreign)));
        let judged: Vec<(&str, &str, User)> = judged.collect();
        let mut users: Vec<String> = Vec::new();
        for (_, user, _) in judged.iter().filter(|(_, _, whose)| *whose == User::Ours) {
            if !users.iter().any(|known| known == user) {
                users.push((*user).to_owned());
            }
        }
        let mut contexts: Vec<&str> = judged
            .iter()
            .filter_map(|(context, _, whose)| (*whose == User::Ours).then_some(*context))
            .collect();
        if users.is_empty() {
            let is_useless = |name: &str| {
                self.judge(name, &foreign) == User::Ours && self.belongs_to_no_other_cluster(name)
            };
            users.push(self.free_name(Kind::User, is_useless));
        }
        for user in &users {
            self.renew_user(user);
        }
        for (context, ..) in judged.iter().filter(|(_, _, whose)| *whose == User::Useless) {
            let mut map = self.base(Kind::Context, context);
            map.set_text("user", &users[0]);
            self.put(Kind::Context, context, map);
            contexts.push(context);
        }
        let preferred = contexts.iter().find(|context| **context == self.sources.name);
        if let Some(context) = preferred.or(contexts.first()) {
            return (*context).to_owned();
        }
        let context = self.free_name(Kind::Context, |_| false);
        let mut map = Map::default();
        map.set("cluster", Node::text(&clusters[0]));
        map.set("user", Node::text(&users[0]));
        self.put(Kind::Context, &context, map);
        context
    }

    fn judge(&self, user: &str, foreign: &BTreeSet<&str>) -> User {
        if !self.sources.view.has(Kind::User, user) {
            return User::Useless;
        }
        let Some(found) = self.sources.view.find(Kind::User, user) else {
            return User::Ours;
        };
        let certificate = ["client-certificate-data", "client-certificate"];
        let other_means = ["exec", "auth-provider", "token", "tokenFile", "username"];
        let has = |keys: &[&str]| {
            keys.iter()
                .any(|key| found.map.get(key).is_some_and(|node| !node.is_null()))
        };
        if !has(&certificate) && has(&other_means) {
            return User::Another;
        }
        let chain = self.sources.view.certificates(found, "client-certificate");
        let (leaf, own) = (
            chain.as_ref().and_then(|chain| chain.first()),
            self.sources.ours.leaf(),
        );
        // One whose certificate cannot be read is of no use to anybody.
        let is_admin = leaf.is_none_or(|leaf| leaf.subject == own.subject);
        let is_issued_here = leaf.is_some_and(|leaf| self.is_issued_here(leaf));
        let is_shared = foreign.contains(user);
        match (is_admin, is_issued_here, is_shared) {
            (false, ..) => User::Another,
            (true, true, _) | (true, _, false) => User::Ours,
            (true, false, true) => User::Useless,
        }
    }

    /// By the signature: the authorities of two clusters may have one name, and one root above them.
    fn is_issued_here(&self, leaf: &Certificate) -> bool {
        match self.sources.ours.chain.get(1) {
            Some(authority) => leaf.signed_by(authority).is_ok(),
            None => leaf.issuer == self.sources.ours.leaf().issuer,
        }
    }

    /// A user whom no context names may still be wanted, with the key of another cluster.
    fn belongs_to_no_other_cluster(&self, name: &str) -> bool {
        let found = self.sources.view.find(Kind::User, name);
        let chain = found.and_then(|found| self.sources.view.certificates(found, "client-certificate"));
        let leaf = chain.as_ref().and_then(|chain| chain.first());
        leaf.is_none_or(|leaf| self.is_issued_here(leaf))
    }

    fn renew_user(&mut self, name: &str) {
        let mut map = self.base(Kind::User, name);
        for by_path in ["client-certificate", "client-key"] {
            map.remove(by_path);
        }
        map.set_text("client-certificate-data", &self.sources.ours.chain_data);
        map.set_text("client-key-data", self.sources.ours.key_data.expose());
        self.put(Kind::User, name, map);
    }

    /// A context that is there stays current, whatever it is of.
    fn point(&mut self, context: &str) {
        let is_there = |current: &str| {
            self.sources.view.has(Kind::Context, current) || self.config.has(Kind::Context, current)
        };
        if !self.sources.view.current().is_some_and(is_there) {
            self.config.set_current(context);
        }
    }

    /// Our name, or one like it where another has it.
    fn free_name(&self, kind: Kind, may_be_taken: impl Fn(&str) -> bool) -> String {
        let is_free = |name: &String| !self.sources.view.has(kind, name) || may_be_taken(name);
        let others = (2..).map(|number| format!("{}-{number}", self.sources.name));
        let mut names = std::iter::once(self.sources.name.to_owned()).chain(others);
        names.find(is_free).unwrap_or_default()
    }

    fn base(&self, kind: Kind, name: &str) -> Map {
        self.sources
            .view
            .find(kind, name)
            .map(|found| found.map.clone())
            .unwrap_or_default()
    }

    fn put(&mut self, kind: Kind, name: &str, map: Map) {
        let there = self.config.entry(kind, name);
        if there != Some(&map) {
            self.config.put(kind, name, map);
        }
        self.touched.push((kind, name.to_owned()));
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod identity_tests;
#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
