//! What the tests of this crate are made of: clusters with their authorities, and kubeconfigs of them.

use crate::credentials::{Authorities, Credentials};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k3s_certs::testing::{Authority, Leaf};

/// What a kubeconfig has of a k3s cluster.
pub(crate) struct Cluster {
    pub servers: Authority,
    pub clients: Authority,
}

pub(crate) fn data(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

pub(crate) fn user(certificate: &str, key: &str) -> String {
    format!("{{client-certificate-data: {certificate}, client-key-data: {key}}}")
}

pub(crate) fn admin() -> Leaf {
    Leaf::new("system:admin").organization("system:masters")
}

impl Cluster {
    /// `birth` is in the names of its authorities, as k3s puts it there.
    pub(crate) fn new(birth: u32) -> Self {
        Self {
            servers: Authority::new(&format!("k3s-server-ca@{birth}")),
            clients: Authority::new(&format!("k3s-client-ca@{birth}")),
        }
    }

    /// A `user:` with a certificate of this cluster.
    pub(crate) fn user(&self, leaf: &Leaf) -> String {
        let signed = self.clients.sign(leaf);
        user(&data(signed.pem + &self.clients.pem), &data(signed.key_pem))
    }

    /// A `cluster:` with this server.
    pub(crate) fn cluster(&self, server: &str) -> String {
        format!(
            "{{certificate-authority-data: {}, server: \"{server}\"}}",
            data(&self.servers.pem)
        )
    }

    /// A kubeconfig with one name for all three.
    pub(crate) fn kubeconfig(&self, name: &str, server: &str, leaf: &Leaf) -> String {
        one(name, &self.cluster(server), &self.user(leaf))
    }

    pub(crate) fn credentials(&self, server: &str, leaf: &Leaf) -> Credentials {
        let text = self.kubeconfig("default", server, leaf);
        Credentials::read(text.as_bytes(), "k3s.yaml", &Authorities::default()).unwrap()
    }
}

pub(crate) fn one(name: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster: {cluster}\n  name: {name}\ncontexts:\n- context: {{cluster: {name}, user: {name}}}\n  \
         name: {name}\ncurrent-context: {name}\nkind: Config\npreferences: {{}}\nusers:\n- name: {name}\n  user: {user}\n"
    )
}
