//! Which entries are this cluster's, and what they are to become. Pure.
//!
//! Names mean little: a `default` may be any cluster. An entry is this cluster's by its authority or its address, and
//! is renewed in its place under its own name, so that whoever pointed here still does. What is not this cluster's
//! is not touched, and a credential of another kind or of another person stays what it is.

use super::view::{Found, View};
use crate::credentials::Credentials;
use crate::kubeconfig::{Kind, Kubeconfig};
use crate::server;
use crate::tree::{Map, Node};

pub(crate) struct Merged {
    pub config: Kubeconfig,
    /// The context by which this cluster is reached as its administrator.
    pub context: String,
    /// The entries that are this cluster's.
    pub touched: Vec<(Kind, String)>,
    /// Addresses by which this cluster was reached until now.
    pub former_servers: Vec<String>,
}

pub(crate) fn merge(view: &View, ours: &Credentials, name: &str) -> Merged {
    let config = view.dest.as_ref().map(|document| document.config.clone());
    let mut merge = Merge {
        view,
        ours,
        name,
        config: config.unwrap_or_else(Kubeconfig::new),
        touched: Vec::new(),
        former_servers: Vec::new(),
    };
    let clusters = merge.clusters();
    for cluster in &clusters {
        merge.renew_cluster(cluster);
    }
    let context = merge.contexts_and_users(&clusters);
    merge.point(&context);
    Merged {
        config: merge.config,
        context,
        touched: merge.touched,
        former_servers: merge.former_servers,
    }
}

/// Whether some cluster is this one by what it holds.
pub(crate) fn knows(view: &View, ours: &Credentials) -> bool {
    let names = view.names(Kind::Cluster);
    let mut found = names
        .into_iter()
        .filter_map(|name| view.find(Kind::Cluster, name));
    found.any(|found| is_this_cluster(view, ours, found))
}

fn is_this_cluster(view: &View, ours: &Credentials, found: Found) -> bool {
    let authority = view.certificates(found, "certificate-authority");
    if authority.is_some_and(|its| its.iter().any(|own| ours.authority.contains(own))) {
        return true;
    }
    // Behind a proxy the same address may be a machine of another network.
    let server = found
        .map
        .text("server")
        .filter(|_| found.map.text("proxy-url").is_none());
    server.is_some_and(|server| server::is_same(server, &ours.server))
}

struct Merge<'a> {
    view: &'a View,
    ours: &'a Credentials,
    name: &'a str,
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
    /// This cluster's entries by what they hold, else the one with our name, else a new one.
    fn clusters(&self) -> Vec<String> {
        let is_ours = |name: &&str| {
            let found = self.view.find(Kind::Cluster, name);
            found.is_some_and(|found| is_this_cluster(self.view, self.ours, found))
        };
        let names = self.view.names(Kind::Cluster);
        let ours: Vec<String> = names.into_iter().filter(is_ours).map(str::to_owned).collect();
        if ours.is_empty() {
            vec![self.name.to_owned()]
        } else {
            ours
        }
    }

    /// Also where another file has it: kubectl then takes it from ours, which comes first.
    fn renew_cluster(&mut self, name: &str) {
        let mut map = self.base(Kind::Cluster, name);
        self.former_servers.extend(map.text("server").map(str::to_owned));
        for by_path_or_without in ["certificate-authority", "insecure-skip-tls-verify"] {
            map.remove(by_path_or_without);
        }
        map.set_text("certificate-authority-data", &self.ours.authority_data);
        map.set_text("server", &self.ours.server);
        self.put(Kind::Cluster, name, map);
    }

    /// Renews the users of this cluster's contexts, and returns the context to use. There is always one.
    fn contexts_and_users(&mut self, clusters: &[String]) -> String {
        let is_ours = |context: &&str| {
            clusters
                .iter()
                .any(|own| own == self.view.of_context(context, "cluster"))
        };
        let (ours, foreign): (Vec<&str>, Vec<&str>) =
            self.view.names(Kind::Context).into_iter().partition(is_ours);
        let judged = ours.into_iter().map(|context| {
            let user = self.view.of_context(context, "user");
            (context, user, self.judge(user, &foreign))
        });
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
            users.push(self.free_name(Kind::User, |name| self.judge(name, &foreign) == User::Ours));
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
        let preferred = contexts.iter().find(|context| **context == self.name);
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

    fn judge(&self, user: &str, foreign: &[&str]) -> User {
        if !self.view.has(Kind::User, user) {
            return User::Useless;
        }
        let Some(found) = self.view.find(Kind::User, user) else {
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
        let chain = self.view.certificates(found, "client-certificate");
        let (leaf, own) = (chain.as_ref().and_then(|chain| chain.first()), self.ours.leaf());
        // One whose certificate cannot be read is of no use to anybody.
        let is_admin = leaf.is_none_or(|leaf| leaf.subject == own.subject);
        let is_issued_here = leaf.is_some_and(|leaf| leaf.issuer == own.issuer);
        let is_shared = foreign
            .iter()
            .any(|context| self.view.of_context(context, "user") == user);
        match (is_admin, is_issued_here, is_shared) {
            (false, ..) => User::Another,
            (true, true, _) | (true, _, false) => User::Ours,
            (true, false, true) => User::Useless,
        }
    }

    fn renew_user(&mut self, name: &str) {
        let mut map = self.base(Kind::User, name);
        for by_path in ["client-certificate", "client-key"] {
            map.remove(by_path);
        }
        map.set_text("client-certificate-data", &self.ours.chain_data);
        map.set_text("client-key-data", self.ours.key_data.expose());
        self.put(Kind::User, name, map);
    }

    /// A context that is there stays current, whatever it is of.
    fn point(&mut self, context: &str) {
        let is_there =
            |current: &str| self.view.has(Kind::Context, current) || self.config.has(Kind::Context, current);
        if !self.view.current().is_some_and(is_there) {
            self.config.set_current(context);
        }
    }

    /// Our name, or one like it where another has it.
    fn free_name(&self, kind: Kind, may_be_taken: impl Fn(&str) -> bool) -> String {
        let is_free = |name: &String| !self.view.has(kind, name) || may_be_taken(name);
        let others = (2..).map(|number| format!("{}-{number}", self.name));
        let mut names = std::iter::once(self.name.to_owned()).chain(others);
        names.find(is_free).unwrap_or_default()
    }

    fn base(&self, kind: Kind, name: &str) -> Map {
        self.view
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
#[path = "merge_tests.rs"]
mod tests;
