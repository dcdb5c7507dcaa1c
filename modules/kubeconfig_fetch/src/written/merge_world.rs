//! Two clusters, and what has to hold of every merge: what is not this cluster's is equal after parsing and in its
//! order, this cluster is entered with the new certificate, and doing it twice is doing it once.

use super::merge::{Merged, Sources, merge};
use super::view::{Document, View};
use crate::credentials::Credentials;
use crate::kubeconfig::{Kind, Kubeconfig};
use crate::samples::{Cluster, admin, data};
use k3s_certs::testing::Leaf;
use serde_yaml_ng::Value;
use std::collections::BTreeMap;

pub(crate) const SERVER: &str = "https://k3s-1:6443";
pub(crate) const NAME: &str = "k3s-k3s-1";
const PATH: &str = "/home/user/.kube/config";

/// This cluster now and before, and another.
pub(crate) struct World {
    new: Credentials,
    words: BTreeMap<&'static str, String>,
    /// What lies beside the kubeconfig, by its path.
    files: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (ours, other, stale) = (Cluster::new(1), Cluster::new(2), Cluster::new(3));
        let expired = ours.clients.sign(&admin().days(-400, -35));
        let operator = ours.clients.sign(&Leaf::new("operator"));
        let (others, stales) = (
            other.clients.sign(&admin()),
            stale.clients.sign(&admin().days(-400, -35)),
        );
        let words = BTreeMap::from([
            ("OUR_CA", data(&ours.servers.pem)),
            ("OUR_OLD_CERT", data(&expired.pem)),
            ("OUR_OLD_KEY", data(&expired.key_pem)),
            ("OTHER_CA", data(&other.servers.pem)),
            ("OTHER_CERT", data(&others.pem)),
            ("OTHER_KEY", data(&others.key_pem)),
            ("STALE_CA", data(&stale.servers.pem)),
            ("STALE_CERT", data(&stales.pem)),
            ("STALE_KEY", data(&stales.key_pem)),
            ("OPERATOR_CERT", data(&operator.pem)),
            ("OPERATOR_KEY", data(&operator.key_pem)),
        ]);
        let files = BTreeMap::from([
            (
                "/home/user/.kube/certs/ca.crt".to_owned(),
                ours.servers.pem.clone().into_bytes(),
            ),
            (
                "/home/user/.kube/certs/admin.crt".to_owned(),
                expired.pem.into_bytes(),
            ),
            (
                "/home/user/.minikube/ca.crt".to_owned(),
                other.servers.pem.into_bytes(),
            ),
        ]);
        Self {
            new: ours.credentials(SERVER, &admin()),
            words,
            files,
        }
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        // The longest first: one word begins another.
        let words = self.words.iter().rev();
        words.fold(text.to_owned(), |text, (word, data)| text.replace(word, data))
    }

    fn view(&self, text: &str, others: &[&str]) -> View {
        let document = |path: String, text: &str| {
            let config = Kubeconfig::parse(self.fill(text).as_bytes()).unwrap();
            config.map(|config| Document { path, config })
        };
        let other = |(index, text): (usize, &&str)| document(format!("/home/user/other-{index}"), text);
        View {
            dest: document(PATH.to_owned(), text),
            others: others.iter().enumerate().filter_map(other).collect(),
            files: self.files.clone(),
        }
    }

    /// As a first run has it; a test changes what it is about.
    pub(crate) fn sources<'a>(&'a self, view: &'a View) -> Sources<'a> {
        Sources {
            view,
            ours: &self.new,
            name: NAME,
            keep_address: false,
            replace: false,
        }
    }

    /// Merges, checks what has to hold always, and returns the merged file as its readers see it.
    pub(crate) fn merged(&self, text: &str, others: &[&str]) -> (Merged, Value) {
        self.merged_as(text, others, |sources| sources)
    }

    /// With other options than a first run has.
    pub(crate) fn merged_as(
        &self,
        text: &str,
        others: &[&str],
        options: impl for<'a> Fn(Sources<'a>) -> Sources<'a>,
    ) -> (Merged, Value) {
        let view = self.view(text, others);
        let merged = merge(options(self.sources(&view)));
        let written = merged.config.to_text().unwrap();
        let (before, after) = (value(&self.fill(text)), value(&written));
        assert_kept(&before, &after, &merged.touched);
        let again = View {
            dest: Some(Document {
                path: PATH.to_owned(),
                config: Kubeconfig::parse(written.as_bytes()).unwrap().unwrap(),
            }),
            ..view
        };
        let twice = merge(options(self.sources(&again)));
        assert_eq!(twice.config.to_text().unwrap(), written, "a second time");
        // What the plan asks: whether there is anything to write.
        assert!(
            again
                .dest
                .as_ref()
                .is_some_and(|dest| dest.config == twice.config),
            "{written}"
        );
        assert_eq!(twice.context, merged.context);
        self.assert_enters(&again, &merged.context);
        (merged, after)
    }

    /// That kubectl, with this context, comes to this cluster as its administrator.
    fn assert_enters(&self, view: &View, context: &str) {
        let cluster = view
            .find(Kind::Cluster, view.of_context(context, "cluster"))
            .unwrap()
            .map;
        assert!(cluster.text("server").is_some());
        assert_eq!(
            cluster.text("certificate-authority-data"),
            Some(self.new.authority_data.as_str())
        );
        assert!(
            cluster.get("certificate-authority").is_none()
                && cluster.get("insecure-skip-tls-verify").is_none()
        );
        let user = view
            .find(Kind::User, view.of_context(context, "user"))
            .unwrap()
            .map;
        assert_eq!(
            user.text("client-certificate-data"),
            Some(self.new.chain_data.as_str())
        );
        assert_eq!(user.text("client-key-data"), Some(self.new.key_data.expose()));
        assert!(user.get("client-certificate").is_none() && user.get("client-key").is_none());
    }
}

pub(crate) fn value(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap()
}

pub(crate) fn items(file: &Value, list: &str) -> Vec<Value> {
    file.get(list)
        .and_then(Value::as_sequence)
        .cloned()
        .unwrap_or_default()
}

pub(crate) fn name(item: &Value) -> String {
    item.get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Everything but the entries touched, in the order in which it was.
fn assert_kept(before: &Value, after: &Value, touched: &[(Kind, String)]) {
    for kind in Kind::ALL {
        let is_kept = |item: &Value| !touched.contains(&(kind, name(item)));
        let kept = |file: &Value| {
            items(file, kind.list())
                .into_iter()
                .filter(is_kept)
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(before), kept(after), "{}", kind.list());
        let names = |file: &Value| items(file, kind.list()).iter().map(name).collect::<Vec<_>>();
        assert!(
            names(after).starts_with(&names(before)),
            "the order of {}",
            kind.list()
        );
    }
    let rest = |file: &Value| {
        let mut map = file.as_mapping().cloned().unwrap_or_default();
        for key in ["clusters", "contexts", "users", "current-context"] {
            map.remove(key);
        }
        map
    };
    let is_new = before.as_mapping().is_none_or(serde_yaml_ng::Mapping::is_empty);
    if !is_new {
        assert_eq!(rest(before), rest(after), "what is beside the lists");
    }
}
