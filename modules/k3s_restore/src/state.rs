//! A server as it is: how it is installed, what it holds, how far a restore of it has come. Secrets stay in here.

use crate::record::{Done, Record};
use anyhow::{Context, Result, bail};
use host::{Host, Secret};
use k3s_node::config::Given;
use k3s_node::facts::Facts;
use k3s_node::{NodeSettings, Program, Role, Settings, Show, Told};
use k3s_types::K3sVersion;
use server_archive::{Checked, Datastore, password};
use std::collections::BTreeMap;

const LOOK: &str = include_str!("programs/look.sh");

/// The files that make a cluster what it is, below the server's folder: its authorities, and the keys by which its
/// Secrets are encrypted. They are in the datastore too, and k3s compares the two at each start.
pub(crate) const IDENTITY: [&str; 13] = [
    "tls/client-ca.crt",
    "tls/client-ca.key",
    "tls/server-ca.crt",
    "tls/server-ca.key",
    "tls/request-header-ca.crt",
    "tls/request-header-ca.key",
    "tls/service.key",
    "tls/etcd/peer-ca.crt",
    "tls/etcd/peer-ca.key",
    "tls/etcd/server-ca.crt",
    "tls/etcd/server-ca.key",
    "cred/encryption-config.json",
    "cred/ipsec.psk",
];

/// What the port 6443 answers with: kept in the cluster too, and written anew whenever an address is added.
const LISTENER: &str = "tls/dynamic-cert.json";

#[expect(clippy::struct_excessive_bools, reason = "what was seen, each for itself")]
pub(crate) struct Server {
    pub(crate) node: String,
    pub(crate) unit: String,
    pub(crate) binary: String,
    pub(crate) data_dir: String,
    pub(crate) version: Option<K3sVersion>,
    pub(crate) told: Told,
    /// k3s's configuration, the main file first. It may hold the token.
    pub(crate) config: Vec<(String, String)>,
    pub(crate) config_path: String,
    pub(crate) config_fault: Option<String>,
    pub(crate) joins: Option<Given>,
    pub(crate) external: Option<Given>,
    pub(crate) cluster_init: bool,
    pub(crate) s3: bool,
    pub(crate) datastore: Option<Datastore>,
    pub(crate) token: Option<Token>,
    /// The hashes of all that is below `tls` and `cred`.
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) free: u64,
    pub(crate) show: Show,
    pub(crate) record: Option<Record>,
    pub(crate) done: Option<Done>,
    /// Whether the backup lies unpacked in the container.
    pub(crate) unpacked: bool,
    pub(crate) ready: bool,
}

/// The token that the server starts with.
pub(crate) struct Token {
    pub(crate) password: Secret,
    /// Where it is set; none: in the server's own file, which a restore may replace.
    pub(crate) place: Option<String>,
}

impl Server {
    /// How it is installed tells where its data is.
    pub(crate) fn look(host: &dyn Host) -> Result<Self> {
        let installed = NodeSettings::look_for(host, Role::Server)?;
        is_the_only_one(&installed).with_context(|| host.place())?;
        let settings = installed.settings();
        let token_file = settings.given(&["token-file"], "K3S_TOKEN_FILE");
        let program = Program::new(&installed.binary)
            .with("data", &settings.data_dir())
            .with(
                "token_file",
                token_file.as_ref().map_or("", |given| given.value.as_str()),
            );
        let output = host
            .run(&program.end(LOOK))?
            .succeed(&host.place(), "checking the server")?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.place())?;
        Self::read(&installed, &facts, token_file).with_context(|| host.place())
    }

    fn read(installed: &NodeSettings, facts: &Facts, token_file: Option<Given>) -> Result<Self> {
        let settings = installed.settings();
        let record = facts
            .lossy("record")
            .map(|text| Record::parse(&text))
            .transpose()?;
        Ok(Self {
            node: installed.node_name(),
            unit: installed.units[&Role::Server].name.clone(),
            binary: installed.binary.clone(),
            data_dir: settings.data_dir(),
            version: installed.version.clone(),
            told: installed.told.clone(),
            config: installed.config_files.clone(),
            config_path: installed.config_path.clone(),
            config_fault: installed.config.fault.clone(),
            joins: settings.given(&["server", "s"], "K3S_URL"),
            external: settings.datastore_endpoint(),
            cluster_init: settings
                .switch("cluster-init", Some("K3S_CLUSTER_INIT"))
                .is_some_and(|switch| switch.on),
            s3: settings.has_s3(),
            datastore: datastore(facts),
            token: token(facts, &settings, token_file),
            keys: hashes(&facts.lossy("keys").unwrap_or_default()),
            free: free(facts)?,
            show: installed.units[&Role::Server].show.clone(),
            record,
            done: facts
                .lossy("done")
                .and_then(|text| serde_json::from_str(&text).ok()),
            unpacked: facts.lossy("unpacked").is_some(),
            ready: facts.lossy("readyz").as_deref() == Some("ok"),
        })
    }

    pub(crate) fn server_dir(&self) -> String {
        format!("{}/server", self.data_dir)
    }

    /// Whether it has the authorities and keys of the backup; `None`: it has none at all.
    pub(crate) fn has_identity_of(&self, wanted: &BTreeMap<String, String>) -> Option<bool> {
        let has = |path: &&str| self.keys.contains_key(*path);
        let same = |path: &&str| wanted.get(*path) == self.keys.get(*path);
        IDENTITY.iter().any(has).then(|| IDENTITY.iter().all(same))
    }

    /// Whether it has all certificates and keys of the backup, those of its own among them. Another version of k3s may
    /// have renamed whom they are for.
    pub(crate) fn has_keys_of(&self, archive: &Checked) -> bool {
        let files = archive.manifest.files.iter();
        let mut of_keys = files.filter_map(|file| Some((file.path.strip_prefix("server/")?, &file.sha256)));
        of_keys.all(|(path, hash)| {
            let is_key = path.starts_with("tls/") || path.starts_with("cred/");
            !is_key || path == LISTENER || self.keys.get(path) == Some(hash)
        })
    }

    /// All that must not be repeated from what other programs print.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = k3s_types::mask::values(&self.told.args, self.told.environment.iter());
        secrets.extend(self.token.iter().map(|token| token.password.expose().to_owned()));
        secrets
    }
}

/// The identity of an archive, by the same paths.
pub(crate) fn identity_of(archive: &Checked) -> BTreeMap<String, String> {
    let files = &archive.manifest.files;
    let hash = |path: &&str| files.iter().find(|file| file.path == format!("server/{path}"));
    IDENTITY
        .iter()
        .filter_map(|path| Some(((*path).to_owned(), hash(path)?.sha256.clone())))
        .collect()
}

/// Two of them on one data folder: one would write into what is replaced.
fn is_the_only_one(installed: &NodeSettings) -> Result<()> {
    if let Some(name) = installed.units.more_in_service().first() {
        bail!(
            "{name} starts a k3s there too, beside {}: run `systemctl disable --now {name}` there, and then this again",
            installed.units[&Role::Server].name
        );
    }
    Ok(())
}

/// What lies there to be replaced; k3s uses an etcd that was begun, whatever lies beside it.
fn datastore(facts: &Facts) -> Option<Datastore> {
    let has = |name: &str| facts.lossy(name).is_some();
    match (has("wal"), has("database")) {
        (true, _) => Some(Datastore::Etcd),
        (false, true) => Some(Datastore::Sqlite),
        (false, false) => None,
    }
}

/// As k3s finds it: given by itself, by a file, or in the server's own file.
fn token(facts: &Facts, settings: &Settings, file: Option<Given>) -> Option<Token> {
    let of = |text: &str, place: Option<String>| Token {
        password: Secret::new(password(text)),
        place,
    };
    if let Some(given) = settings.given(&["token", "t"], "K3S_TOKEN") {
        return Some(of(&given.value, Some(given.place)));
    }
    if let Some(file) = file {
        let text = facts.lossy("token-file").unwrap_or_default();
        return Some(of(
            &text,
            Some(format!("the file {} ({})", file.value, file.place)),
        ));
    }
    facts.lossy("token").map(|text| of(&text, None))
}

/// Lines of `sha256sum`.
fn hashes(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (hash, path) = line.split_once("  ")?;
        Some((path.trim().to_owned(), hash.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// The least of what `df` says.
fn free(facts: &Facts) -> Result<u64> {
    let kib = |(_, line): &(String, String)| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let least = facts.below("free:").iter().map(kib).min().flatten();
    Ok(least
        .context("asking how much of the disk is free: df gave no number")?
        .saturating_mul(1024))
}
