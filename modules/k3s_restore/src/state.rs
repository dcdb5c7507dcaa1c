//! What is observed: an installed server, what it holds, how far a restore of it has come; the backup; the
//! cluster where it answers. Secrets stay in here.

use crate::params::{Goal, Params, Wanted};
use crate::record::{Done, Record, Stage};
use crate::seen::NodeSeen;
use crate::{api, api::Node};
use anyhow::{Context, Result, bail};
use host::{Command, Host, Secret, ourselves, quote};
use k3s_node::config::Given;
use k3s_node::facts::Facts;
use k3s_node::probe::Is;
use k3s_node::{FOLDER, LaunchConfig, NodeSettings, Probe, Role, Settings, Show};
use k3s_types::K3sVersion;
use server_archive::{CHECK, Checked, Datastore, Objects, count, password};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

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

/// Counting all objects of a large cluster, on a busy server.
const COUNTING: Duration = Duration::from_mins(2);

/// What the port 6443 answers with: kept in the cluster too, and written anew whenever an address is added.
const LISTENER: &str = "tls/dynamic-cert.json";

pub enum State {
    /// `state=planned`: all that is needed is in the arguments.
    Planning,
    Server(Box<View>),
    Node(Node),
}

/// A server, the backup where it was looked at, and the cluster where it answers.
pub struct View {
    pub(crate) server: Server,
    pub(crate) archive: Option<Checked>,
    pub(crate) objects: Objects,
    pub(crate) nodes: Vec<NodeSeen>,
    /// The nodes whose passwords the cluster has; `None`: its API is not ready.
    pub(crate) with_password: Option<Vec<String>>,
    pub(crate) now: SystemTime,
}

#[expect(clippy::struct_excessive_bools, reason = "what was seen, each for itself")]
pub(crate) struct Server {
    pub(crate) node: String,
    pub(crate) unit: String,
    pub(crate) binary: String,
    pub(crate) data_dir: String,
    pub(crate) version: Option<K3sVersion>,
    pub(crate) launch: LaunchConfig,
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
    /// Whether it has a token in a file of its own, and the password by which the cluster recognises its node.
    pub(crate) own_token: bool,
    pub(crate) node_password: bool,
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
    pub(crate) location: Option<String>,
}

impl State {
    pub(crate) fn observe(params: &Params, host: &dyn Host) -> Result<Self> {
        match &params.wanted {
            Wanted::Planned(_) => Ok(Self::Planning),
            Wanted::NodeReady { node, wait } => {
                Node::look(host, node, Duration::from_secs(*wait)).map(Self::Node)
            }
            wanted => {
                let view = View::look(host, wanted, Duration::from_secs(params.timeout))?;
                Ok(Self::Server(Box::new(view)))
            }
        }
    }
}

impl View {
    fn look(host: &dyn Host, wanted: &Wanted, limit: Duration) -> Result<Self> {
        let server = Server::look(host)?;
        let archive = match backup_to_check(wanted, &server) {
            Some(path) => check(host, path, &server, limit)?,
            None => None,
        };
        let counts = matches!(wanted, Wanted::Inspected { count: true, .. }) && server.ready;
        let (objects, nodes) = if counts {
            (objects(host, &server), api::nodes(host, &server.binary)?)
        } else {
            Default::default()
        };
        let with_password = match admitted(wanted) {
            [] => None,
            nodes if server.ready => Some(api::with_password(host, &server.binary, nodes)?),
            _ => None,
        };
        Ok(Self {
            server,
            archive,
            objects,
            nodes,
            with_password,
            now: host.now(),
        })
    }
}

/// Where the datastore is replaced already, no backup is needed any more.
fn backup_to_check<'a>(wanted: &'a Wanted, server: &Server) -> Option<&'a str> {
    match wanted {
        Wanted::Inspected { archive, .. } => Some(archive),
        Wanted::Restored {
            goal: Goal::Replaced { archive, .. },
            ..
        } => {
            let record = server.record.as_ref()?;
            (record.first && record.stage < Stage::Replaced).then_some(archive)
        }
        _ => None,
    }
}

fn admitted(wanted: &Wanted) -> &[String] {
    match wanted {
        Wanted::Restored {
            goal: Goal::Started { admit },
            ..
        } => admit,
        _ => &[],
    }
}

/// Has our own binary read every byte of the backup, on the Proxmox host, and compare the token. `None`: it is not there.
fn check(host: &dyn Host, archive: &str, server: &Server, limit: Duration) -> Result<Option<Checked>> {
    let outside = host.outside();
    let exists = outside.run(&Command::script(format!("[ -e {} ]\n", quote(archive))))?;
    if !exists.ok() {
        return Ok(None);
    }
    let token = server.token.as_ref().map_or("", |token| token.password.expose());
    let command = ourselves(outside, &[CHECK, archive, "tokens"])?
        .stdin(format!("{token}\n"))
        .within(limit);
    let output = outside
        .run(&command)?
        .succeed(&outside.location(), "checking the backup")?;
    let checked =
        serde_json::from_slice(&output.stdout).context("reading what the check of the backup found")?;
    Ok(Some(checked))
}

/// They are reported, and nothing is decided by them.
fn objects(host: &dyn Host, server: &Server) -> Objects {
    let counted = count(host, &server.binary, COUNTING).ok().flatten();
    counted.map(|(objects, _)| objects).unwrap_or_default()
}

impl Server {
    /// Its settings, then its data, which is where they say.
    fn look(host: &dyn Host) -> Result<Self> {
        let installed = NodeSettings::look_for(host, Role::Server)?;
        is_the_only_one(&installed).with_context(|| host.location())?;
        let settings = installed.settings();
        let token_file = settings.given(&["token-file"], "K3S_TOKEN_FILE");
        let data_dir = settings.data_dir();
        let path = token_file.as_ref().map(|given| given.value.as_str());
        let output = host
            .run(&questions(&data_dir, path).command(&installed.binary))?
            .succeed(&host.location(), "checking the server")?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
        let mut server = Self::read(&installed, &facts, token_file).with_context(|| host.location())?;
        if server.version.is_some() && server.show.is_alive() {
            server.ready = api::readiness(host, &server.binary, &server.unit)?.ready;
        }
        Ok(server)
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
            launch: installed.launch.clone(),
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
            own_token: facts.lossy("token").is_some(),
            node_password: facts.has("node-password"),
            keys: hashes(
                &facts.lossy("keys").unwrap_or_default(),
                &format!("{}/server", settings.data_dir()),
            ),
            free: free(facts)?,
            show: installed.units[&Role::Server].show.clone(),
            record,
            done: facts
                .lossy("done")
                .and_then(|text| serde_json::from_str(&text).ok()),
            unpacked: facts.has("unpacked"),
            ready: false,
        })
    }

    pub(crate) fn server_dir(&self) -> String {
        format!("{}/server", self.data_dir)
    }

    /// Whether it starts at boot.
    pub(crate) fn is_enabled(&self) -> bool {
        self.show.enabled == "enabled"
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
        let mut secrets = k3s_types::mask::values(&self.launch.args, self.launch.environment.iter());
        secrets.extend(self.token.iter().map(|token| token.password.expose().to_owned()));
        secrets
    }
}

/// What a restore has to know of a server's data. The archive is unpacked in one of the two folders whose disks are asked for, and
/// the database made anew in the other.
fn questions(data_dir: &str, token_file: Option<&str>) -> Probe {
    let server = format!("{data_dir}/server");
    let db = format!("{server}/db");
    let [tls, cred] = ["tls", "cred"].map(|folder| format!("{server}/{folder}"));
    let sums = ["find", &tls, &cred, "-type", "f", "-exec", "sha256sum", "{}", "+"];
    let probe = Probe::new()
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .is("database", Is::File, &format!("{db}/state.db"))
        .print("keys", &sums)
        .file("token", &format!("{server}/token"))
        .file("record", &format!("{FOLDER}/restore.json"))
        .file("done", &format!("{FOLDER}/restored.json"))
        .is("unpacked", Is::Folder, &format!("{FOLDER}/restore/files"))
        .is("node-password", Is::Filled, "/etc/rancher/node/password")
        .disk("disk", &[FOLDER, &db]);
    match token_file {
        Some(path) => probe.file("token-file", path),
        None => probe,
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
    match (facts.has("wal"), facts.has("database")) {
        (true, _) => Some(Datastore::Etcd),
        (false, true) => Some(Datastore::Sqlite),
        (false, false) => None,
    }
}

/// As k3s finds it: given by itself, by a file, or in the server's own file.
fn token(facts: &Facts, settings: &Settings, file: Option<Given>) -> Option<Token> {
    let of = |text: &str, location: Option<String>| Token {
        password: Secret::new(password(text)),
        location,
    };
    if let Some(given) = settings.given(&["token", "t"], "K3S_TOKEN") {
        return Some(of(&given.value, Some(given.location)));
    }
    if let Some(file) = file {
        let text = facts.lossy("token-file").unwrap_or_default();
        return Some(of(
            &text,
            Some(format!("the file {} ({})", file.value, file.location)),
        ));
    }
    facts.lossy("token").map(|text| of(&text, None))
}

/// Lines of `sha256sum`, by their paths below the server's folder.
fn hashes(text: &str, server: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (hash, path) = line.split_once("  ")?;
        let path = path.strip_prefix(server)?.strip_prefix('/')?;
        Some((path.to_owned(), hash.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// The least of what `df` says, below its line of titles.
fn free(facts: &Facts) -> Result<u64> {
    let text = facts.lossy("disk").unwrap_or_default();
    let kib = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let least = text.lines().skip(1).map(kib).min().flatten();
    let least = least.with_context(|| {
        format!(
            "asking how much of the disk is free: df gave no number: {}",
            text.replace('\n', "; ")
        )
    })?;
    Ok(least.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn facts(frames: &[(&str, &str)]) -> Facts {
        let mut text = String::new();
        for (name, content) in frames.iter().chain([&("end", "")]) {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        Facts::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_disk_with_the_least_room_counts_and_each_has_to_be_known() {
        let title = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
        let room = |lines: &str| free(&facts(&[("disk", &format!("{title}{lines}"))])).ok();
        assert_eq!(
            room("/dev/a 9 5 4 50% /\n/dev/b 9 6 3 60% /data\n"),
            Some(3 * 1024)
        );
        assert_eq!(room("df: /data: Permission denied\n/dev/a 9 5 4 50% /\n"), None);
        assert_eq!(room(""), None);
        let error = free(&facts(&[("disk", "df: not found")]))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("df gave no number: df: not found"), "{error}");
    }

    #[test]
    fn keys_are_named_below_the_servers_folder() {
        let text = "ab  /d/server/tls/server-ca.crt\ncd  /d/server/cred/a  b\nef  /d/server-2/tls/x\n";
        let keys = hashes(text, "/d/server");
        let keys: Vec<_> = keys
            .iter()
            .map(|(path, hash)| (path.as_str(), hash.as_str()))
            .collect();
        assert_eq!(keys, [("cred/a  b", "cd"), ("tls/server-ca.crt", "ab")]);
    }

    #[test]
    fn an_etcd_that_was_begun_is_the_datastore_whatever_lies_beside_it() {
        let (wal, database) = (("wal", "x"), ("database", "x"));
        assert_eq!(datastore(&facts(&[wal, database])), Some(Datastore::Etcd));
        assert_eq!(datastore(&facts(&[database])), Some(Datastore::Sqlite));
        assert_eq!(datastore(&facts(&[])), None);
    }
}
