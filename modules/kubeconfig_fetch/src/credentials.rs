//! What the kubeconfig of one cluster holds: its server, its authority, and the certificate and key to enter with.

use crate::kubeconfig::{Kind, Kubeconfig};
use crate::server;
use anyhow::{Context, Result, bail};
use host::Secret;
use k3s_certs::{Certificate, base64, belongs, certificates, chains_to};
use yaml_tree::Map;

/// Checked: each part is what it should be, and they fit together. How long they last is another question.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub server: String,
    pub authority: Vec<Certificate>,
    /// As it stands in the file, as the two below.
    pub authority_data: String,
    /// The client certificate and what signed it.
    pub chain: Vec<Certificate>,
    pub chain_data: String,
    pub key_data: Secret,
}

/// The authorities as the server itself keeps them; empty where they are not at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Authorities {
    pub of_clients: Vec<Certificate>,
    pub of_servers: Vec<Certificate>,
}

impl Credentials {
    pub(crate) fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Reads a kubeconfig of one cluster. `from` is its location, for messages.
    pub(crate) fn read(bytes: &[u8], from: &str, kept: &Authorities) -> Result<Self> {
        let config = Kubeconfig::parse(bytes).with_context(|| from.to_owned())?;
        let config = config.with_context(|| format!("{from}: it is empty"))?;
        let [cluster_name, context_name, user_name] = [
            the_one(&config, Kind::Cluster, from)?,
            the_one(&config, Kind::Context, from)?,
            the_one(&config, Kind::User, from)?,
        ];
        let nothing = Map::default();
        let part = |kind, name| config.entry(kind, name).unwrap_or(&nothing);
        let context = part(Kind::Context, context_name);
        for (key, name) in [("cluster", cluster_name), ("user", user_name)] {
            if context.text(key) != Some(name) {
                bail!("{from}: contexts[{context_name}].context.{key} is not {name:?}");
            }
        }
        let cluster = Part::new(
            part(Kind::Cluster, cluster_name),
            format!("{from}: clusters[{cluster_name}].cluster"),
        );
        let user = Part::new(
            part(Kind::User, user_name),
            format!("{from}: users[{user_name}].user"),
        );
        let server = cluster.text("server", "address of the API server")?;
        server::parse(server, &cluster.field("server"))?;
        let (authority_data, authority) =
            cluster.certificates("certificate-authority", "certificate of the authority")?;
        let (chain_data, chain) = user.certificates("client-certificate", "client certificate")?;
        let key_data = user.data("client-key", "private key")?;
        let field = user.field("client-key-data");
        if !belongs(&base64(key_data, &field)?, &field, &chain[0])? {
            bail!("{field}: it is not the key of the client certificate beside it");
        }
        check_authorities(&authority, &chain, kept, &cluster, &user)?;
        Ok(Self {
            server: server.to_owned(),
            authority,
            authority_data: authority_data.to_owned(),
            chain,
            chain_data: chain_data.to_owned(),
            key_data: Secret::new(key_data),
        })
    }
}

fn the_one<'a>(config: &'a Kubeconfig, kind: Kind, from: &str) -> Result<&'a str> {
    match config.names(kind)[..] {
        [name] => Ok(name),
        [] => bail!("{from}: it has no {}", kind.word()),
        ref names => bail!(
            "{from}: it has {} {} where one is expected",
            names.len(),
            kind.list()
        ),
    }
}

/// The client's authority is another than the servers' in k3s, and comes in the chain.
fn check_authorities(
    authority: &[Certificate],
    chain: &[Certificate],
    kept: &Authorities,
    cluster: &Part,
    user: &Part,
) -> Result<()> {
    const OTHER: &str = "it is from another authority than the cluster's (a CA mismatch)";
    let brought: Vec<Certificate> = chain[1..].iter().filter(|own| own.is_ca).cloned().collect();
    let trusted = [&kept.of_clients[..], &brought, authority];
    let trusted = trusted
        .into_iter()
        .find(|some| !some.is_empty())
        .unwrap_or_default();
    chains_to(chain, trusted)
        .with_context(|| format!("{}: {OTHER}", user.field("client-certificate-data")))?;
    if !kept.of_servers.is_empty() && !authority.iter().any(|own| kept.of_servers.contains(own)) {
        bail!(
            "{}: {OTHER}: it holds {}, the server has {}",
            cluster.field("certificate-authority-data"),
            subjects(authority),
            subjects(&kept.of_servers)
        );
    }
    Ok(())
}

fn subjects(certificates: &[Certificate]) -> String {
    let subjects: Vec<&str> = certificates.iter().map(|own| own.subject.as_str()).collect();
    subjects.join("; ")
}

/// A cluster or user of the file, with its location.
struct Part<'a> {
    map: &'a Map,
    location: String,
}

impl<'a> Part<'a> {
    fn new(map: &'a Map, location: String) -> Self {
        Self { map, location }
    }

    fn field(&self, key: &str) -> String {
        format!("{}.{key}", self.location)
    }

    fn text(&self, key: &str, what: &str) -> Result<&'a str> {
        let text = self.map.text(key).filter(|text| !text.trim().is_empty());
        text.with_context(|| format!("{}: there is no {what} ({key})", self.location))
    }

    fn data(&self, key: &str, what: &str) -> Result<&'a str> {
        if self.map.text(&format!("{key}-data")).is_none()
            && let Some(path) = self.map.text(key)
        {
            bail!(
                "{}: the {what} is not in the file, it is named by its path {path}",
                self.field(key)
            );
        }
        self.text(&format!("{key}-data"), what)
    }

    fn certificates(&self, key: &str, what: &str) -> Result<(&'a str, Vec<Certificate>)> {
        let data = self.data(key, what)?;
        let field = self.field(&format!("{key}-data"));
        Ok((data, certificates(&base64(data, &field)?, &field)?))
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
