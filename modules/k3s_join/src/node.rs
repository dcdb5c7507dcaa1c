//! The present state of the node that is to join. Secrets stay in here.

use crate::params::{Joining, Member};
use anyhow::{Context, Result};
use host::Host;
use k3s_node::config::Given;
use k3s_node::facts::{Facts, own_addresses};
use k3s_node::probe::{Is, Run};
use k3s_node::settings::{self, DEFAULT_CONFIG, DEFAULT_DATA, Settings};
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::shared::Said;
use k3s_node::{Config, LaunchConfig, Probe, Role, Setup, Units, config};
use k3s_types::K3sVersion;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Where things are follows from what is read there; a third look would find nothing else.
const LOOKS: usize = 2;
/// It stands after the operator's own files, whose names rarely begin so.
const OURS: &str = "zz-homelab-k3s-join.yaml";

/// Where the install script puts what ends pods.
const KILLALL: &str = "/usr/local/bin/k3s-killall.sh";

/// What came of asking the server from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Answers,
    /// There is an answer, and its certificate is not one of the cluster for this name.
    Untrusted {
        of_cluster: bool,
    },
    /// With the words of the program that asked.
    NotThere(String),
    /// There is neither curl nor wget; the install script needs one of them too.
    NoProgram,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "what is there and what is not, each for itself"
)]
pub struct Node {
    pub(crate) systemd: bool,
    pub(crate) hostname: String,
    /// The name under which it would register by itself, and where that is said.
    pub(crate) name: String,
    pub(crate) named: bool,
    pub(crate) units: Units,
    /// What its unit says; an error is one that cannot be read.
    pub(crate) setup: Result<Option<Setup>, (Role, String)>,
    pub(crate) launch: LaunchConfig,
    /// Whether a service of k3s runs, or is coming up.
    pub(crate) alive: bool,
    pub(crate) version: Option<K3sVersion>,
    pub(crate) binary: String,
    /// The script that ends pods, where it can be run.
    pub(crate) killall: Option<String>,
    pub(crate) data_dir: String,
    pub(crate) config_path: String,
    /// The configuration without our own file.
    pub(crate) config: Config,
    pub(crate) ours: Option<String>,
    pub(crate) ca: Option<String>,
    pub(crate) agent_ca: Option<String>,
    pub(crate) has_identity: bool,
    /// Whether it has the password by which the cluster may know it.
    pub(crate) has_password: bool,
    pub(crate) data: [bool; 2],
    pub(crate) wal: bool,
    pub(crate) sqlite: bool,
    pub(crate) etcd_name: Option<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// Those of the server's name.
    pub(crate) resolved: Vec<IpAddr>,
    pub(crate) reach: Reach,
    /// Seconds by which its clock is ahead of the server's; unknown where no server reported the time.
    pub(crate) ahead: Option<i64>,
}

struct Paths {
    binary: String,
    config: String,
    data: String,
    url: String,
}

impl Node {
    pub(crate) fn look(host: &dyn Host, joining: &Joining) -> Result<Self> {
        let mut at = Paths {
            binary: DEFAULT_BINARY.to_owned(),
            config: DEFAULT_CONFIG.to_owned(),
            data: DEFAULT_DATA.to_owned(),
            url: joining.server.url.clone(),
        };
        let mut seen = Self::look_at(host, joining, &at)?;
        for _ in 1..LOOKS {
            let url = seen.url(joining);
            let same = (&seen.binary, &seen.config_path, &seen.data_dir, &url)
                == (&at.binary, &at.config, &at.data, &at.url);
            if same {
                break;
            }
            at = Paths {
                binary: seen.binary.clone(),
                config: seen.config_path.clone(),
                data: seen.data_dir.clone(),
                url,
            };
            seen = Self::look_at(host, joining, &at)?;
        }
        Ok(seen)
    }

    fn look_at(host: &dyn Host, joining: &Joining, at: &Paths) -> Result<Self> {
        let questions = questions(at).and(&reaches(&at.url, joining.server.ca.trim_end()));
        let output = host
            .run(&questions.command(&at.binary))?
            .succeed(&host.location(), "checking the node that is to join")?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
        Self::read(&facts, &at.config, joining).with_context(|| host.location())
    }

    pub(crate) fn read(facts: &Facts, config_path: &str, joining: &Joining) -> Result<Self> {
        let units = Units::read(facts)?;
        let setup = units.on_disk();
        let launch = units.launch_config(setup.as_ref().ok().and_then(Option::as_ref));
        let mut files = config::files(facts, config_path);
        let ours = ours(config_path);
        let own = files.iter().position(|(path, _)| *path == ours);
        let own = own.map(|at| files.remove(at).1);
        let config = Config::read(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let settings = Settings {
            args: &launch.args,
            config: &config,
            environment: &launch.environment,
        };
        let hostname = facts.lossy("hostname").unwrap_or_default();
        let text = |name: &str| facts.lossy(name).unwrap_or_default();
        let has = |name: &str| facts.lossy(name).is_some();
        let version = facts.lossy("binary-version");
        let binary = setup
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map(|setup| setup.binary.clone());
        let addresses = own_addresses(&text("fib-trie"), &text("if-inet6")).into_iter();
        Ok(Self {
            systemd: has("systemd"),
            alive: Role::ALL.iter().any(|role| units[role].show.is_alive()),
            name: settings.node_name(&hostname, facts.lossy("node-id").as_deref()),
            named: settings.given(&["node-name"], "K3S_NODE_NAME").is_some()
                || settings.is_on("with-node-id"),
            hostname,
            version: version.and_then(|text| K3sVersion::from_version_output(&text).ok()),
            binary: binary.unwrap_or_else(|| DEFAULT_BINARY.to_owned()),
            killall: facts.has("killall").then(|| KILLALL.to_owned()),
            data_dir: settings.data_dir(),
            config_path: settings::config_path(&launch.args, &launch.environment),
            ca: facts.lossy("ca"),
            agent_ca: facts.lossy("agent-ca"),
            has_identity: has("identity"),
            has_password: has("password"),
            data: [has("data:server"), has("data:agent")],
            wal: has("wal"),
            sqlite: has("sqlite"),
            etcd_name: facts.lossy("etcd-name"),
            addresses: addresses.filter(|address| !address.is_loopback()).collect(),
            resolved: resolved(&text("resolved")),
            reach: reach(facts, joining),
            ahead: ahead(facts),
            units,
            setup,
            launch,
            config,
            ours: own,
        })
    }

    pub(crate) fn said(&self) -> Said<'_> {
        Said {
            args: &self.launch.args,
            config: &self.config,
        }
    }

    /// What it says by itself, without our file.
    pub(crate) fn given(&self, names: &[&str], variable: &str) -> Option<Given> {
        let settings = Settings {
            args: &self.launch.args,
            config: &self.config,
            environment: &self.launch.environment,
        };
        settings.given(names, variable)
    }

    /// What its arguments say, which stand above every file.
    pub(crate) fn argued(&self, names: &[&str]) -> Option<String> {
        let settings = Settings {
            args: &self.launch.args,
            config: &Config::default(),
            environment: &std::collections::BTreeMap::new(),
        };
        settings.given(names, "").map(|given| given.value)
    }

    /// Which server it will ask: an argument stands above our file.
    pub(crate) fn url(&self, joining: &Joining) -> String {
        self.argued(&["server", "s"])
            .unwrap_or_else(|| joining.server.url.clone())
    }

    /// The units that run k3s here, by their own names.
    pub(crate) fn unit_names(&self) -> Vec<String> {
        let files = Role::ALL.iter().map(|role| &self.units[role]);
        let there = files.filter(|files| files.text.is_some());
        there.map(|files| files.name.clone()).collect()
    }

    pub(crate) fn role(&self) -> Option<Role> {
        match &self.setup {
            Ok(setup) => setup.as_ref().map(|setup| setup.role),
            Err((role, _)) => Some(*role),
        }
    }

    pub(crate) fn ours_path(&self) -> String {
        ours(&self.config_path)
    }

    /// Its own member of etcd: the one that its database belongs to.
    pub(crate) fn member<'m>(&self, members: &'m [Member]) -> Option<&'m Member> {
        let name = self.etcd_name.as_ref().filter(|_| self.wal)?;
        members.iter().find(|member| member.name.as_ref() == Some(name))
    }

    /// Whether a peer URL of the member is an address of this node.
    pub(crate) fn owns(&self, member: &Member) -> bool {
        let of = |url: &String| host_of(url).parse::<IpAddr>().ok();
        member
            .peer_urls
            .iter()
            .filter_map(of)
            .any(|address| self.addresses.contains(&address))
    }
}

/// The name or address in a server's URL, without the brackets of IPv6.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.trim_start_matches("https://");
    match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    }
}

/// The addresses that `getent` names, one a line and each once.
fn resolved(text: &str) -> Vec<IpAddr> {
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    let mut addresses: Vec<IpAddr> = words.filter_map(|word| word.parse().ok()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// What is on the node.
fn questions(at: &Paths) -> Probe {
    let data = &at.data;
    let probe = Probe::new()
        .units(&at.config)
        .is("killall", Is::Executable, KILLALL)
        .is("data:server", Is::There, &format!("{data}/server"))
        .is("data:agent", Is::There, &format!("{data}/agent"))
        .file("ca", &format!("{data}/server/tls/server-ca.crt"))
        .file("agent-ca", &format!("{data}/agent/server-ca.crt"))
        .is("wal", Is::Folder, &format!("{data}/server/db/etcd/member/wal"))
        .is("sqlite", Is::File, &format!("{data}/server/db/state.db"))
        .file("etcd-name", &format!("{data}/server/db/etcd/name"));
    probe
        .is("password", Is::Filled, "/etc/rancher/node/password")
        .is("identity", Is::There, &format!("{data}/agent/client-kubelet.crt"))
        .kernels("fib-trie", "/proc/net/fib_trie")
        .kernels("if-inet6", "/proc/net/if_inet6")
}

/// Whether it reaches the server: curl first, as the install script does. The time is taken right after the server's.
fn reaches(url: &str, ca: &str) -> Probe {
    let (ping, open) = (format!("{url}/ping"), format!("{url}/cacerts"));
    let stdin = format!("{ca}\n");
    let asked = |name: &str, argv: &[&str], open: &[&str]| {
        let run = Run {
            argv,
            errors: name == "ping:wget",
            shown: "s/^ *[Dd]ate: *//p",
            stdin: &stdin,
        };
        let probe = Probe::new().run(name, &run).print("clock", &["date", "+%s"]);
        probe.print("open-ca", open)
    };
    let (ca, none) = ("/dev/stdin", "/dev/null");
    let curl = asked(
        "ping:curl",
        &[
            "curl",
            "-gs",
            "--max-time",
            "10",
            "--cacert",
            ca,
            "-D",
            "-",
            "-o",
            none,
            &ping,
        ],
        &["curl", "-gsk", "--max-time", "10", &open],
    );
    let ca = format!("--ca-certificate={ca}");
    let wget = asked(
        "ping:wget",
        &["wget", "-q", "-S", "-T", "10", "-t", "1", "-O", none, &ca, &ping],
        &[
            "wget",
            "-q",
            "-T",
            "10",
            "-t",
            "1",
            "-O",
            "-",
            "--no-check-certificate",
            &open,
        ],
    );
    let wget = Probe::new().where_program("wget", &wget, &Probe::new());
    Probe::new()
        .print("resolved", &["getent", "ahosts", host_of(url)])
        .where_program("curl", &curl, &wget)
}

/// With which status the program ended that asked.
fn ping(facts: &Facts) -> Option<(&'static str, i32)> {
    let programs = [("curl", "ping:curl"), ("wget", "ping:wget")];
    let (program, name) = programs.into_iter().find(|(_, name)| facts.has(name))?;
    Some((program, facts.status(name)))
}

fn ours(config_path: &str) -> String {
    format!("{config_path}.d/{OURS}")
}

/// By exit statuses: curl ends with 60, wget with 5 where the certificate is not trusted.
fn reach(facts: &Facts, joining: &Joining) -> Reach {
    let Some((program, status)) = ping(facts) else {
        return Reach::NoProgram;
    };
    match (program, status) {
        (_, 0) => Reach::Answers,
        ("curl", 60 | 51) | ("wget", 5) => Reach::Untrusted {
            of_cluster: facts.lossy("open-ca").as_deref() == Some(joining.server.ca.trim()),
        },
        ("curl", 6) => Reach::NotThere("its name has no address here (curl ended with 6)".to_owned()),
        ("curl", 7) => {
            Reach::NotThere("nobody listens there, or the way is closed (curl ended with 7)".to_owned())
        }
        ("curl", 28) => Reach::NotThere("no answer in 10 s (curl ended with 28)".to_owned()),
        _ => Reach::NotThere(format!("{program} ended with {status}")),
    }
}

fn ahead(facts: &Facts) -> Option<i64> {
    let (program, _) = ping(facts)?;
    let dates = facts.lossy(&format!("ping:{program}"))?;
    let there = OffsetDateTime::parse(dates.lines().next()?.trim(), &Rfc2822).ok()?;
    let here: i64 = facts.lossy("clock")?.parse().ok()?;
    Some(here - there.unix_timestamp())
}
