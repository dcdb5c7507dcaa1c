//! Modules on a host that answers anything: the arguments of a transcript, and the answers from the input.

use crate::cases::{self, Case, Source};
use crate::{HostileHost, SEPARATOR};
use ansible_module::{Answer, Call, Module, params, run};
use anyhow::{Result, anyhow};
use k3s_version::{Channels, Reply, VersionCheck};
use kubeconfig_fetch::{Api, KubeconfigFetch, Obstacle};
use std::cell::RefCell;

/// More than any answer has that a person or a playbook reads, next to what the host said itself.
const LARGEST_ANSWER: usize = 1 << 20;

struct Entry {
    source: Source,
    params: fn(&Call) -> Result<()>,
    run: fn(&Call, &HostileHost) -> Option<Answer>,
}

const fn of<M: Module>(folder: &'static str, file: &'static str) -> Entry {
    Entry {
        source: Source {
            module: M::NAME,
            folder,
            file,
        },
        params: |call| params::<M>(call).map(drop),
        run: |call, host| {
            let params = params::<M>(call).ok()?;
            Some(run::<M>(&params, call, host))
        },
    }
}

const CASES: &str = "cases.yml";

const MODULES: [Entry; 27] = [
    of::<cluster_health::ClusterHealth>("cluster_health", CASES),
    of::<cluster_health::HaReport>("cluster_health", "ha_report.yml"),
    of::<cluster_lock::ClusterLock>("cluster_lock", CASES),
    of::<etcd_member::EtcdMember>("etcd_member", CASES),
    of::<helm_adopt::HelmAdopt>("helm_adopt", CASES),
    of::<k3s_archive::K3sArchive>("k3s_archive", CASES),
    of::<k3s_backup::K3sBackup>("k3s_backup", CASES),
    of::<k3s_certificates::K3sCertificates>("k3s_certificates", CASES),
    of::<k3s_config::K3sConfig>("k3s_config", CASES),
    of::<k3s_datastore::K3sDatastore>("k3s_datastore", CASES),
    of::<k3s_install::K3sInstall>("k3s_install", CASES),
    of::<k3s_join::K3sJoin>("k3s_join", CASES),
    of::<k3s_prereqs::K3sPrereqs>("k3s_prereqs", CASES),
    of::<k3s_restore::K3sRestore>("k3s_restore", CASES),
    of::<k3s_service::K3sService>("k3s_service", CASES),
    of::<k3s_uninstall::K3sUninstall>("k3s_uninstall", CASES),
    of::<VersionCheck<Service>>("k3s_version", CASES),
    of::<KubeconfigFetch<Network>>("kubeconfig_fetch", CASES),
    of::<node_drain::NodeDrain>("node_drain", CASES),
    of::<node_remove::NodeRemove>("node_remove", CASES),
    of::<node_taint::NodeTaint>("node_taint", CASES),
    of::<pct_exec::PctExec>("pct_exec", CASES),
    of::<pct_snapshot::PctSnapshot>("pct_snapshot", CASES),
    of::<preflight::Preflight>("preflight", CASES),
    of::<run_check::RunCheck>("run_check", CASES),
    of::<upgrade_plan::UpgradePlan>("upgrade_plan", CASES),
    of::<worker_cutover::WorkerCutover>("worker_cutover", CASES),
];

fn entry(module: &[u8]) -> Option<&'static Entry> {
    static TABLE: [Entry; 27] = MODULES;
    TABLE
        .iter()
        .find(|entry| entry.source.module.as_bytes() == module)
}

fn all_cases() -> &'static [Case] {
    static TABLE: [Entry; 27] = MODULES;
    let sources: Vec<Source> = TABLE
        .iter()
        .map(|entry| Source {
            module: entry.source.module,
            folder: entry.source.folder,
            file: entry.source.file,
        })
        .collect();
    cases::all(&sources)
}

/// The next part of an input, and the rest.
fn part(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input
        .iter()
        .position(|byte| *byte == SEPARATOR)
        .unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// Module and arguments of every case that is not refused by its arguments.
pub fn calls() -> Vec<(&'static str, serde_json::Map<String, serde_json::Value>)> {
    let accepted = all_cases()
        .iter()
        .filter(|case| refusal(case.module, &case.arguments).is_none());
    let call = |case: &Case| (case.module, serde_json::from_slice(&case.arguments).unwrap());
    accepted.map(call).collect()
}

/// Why a module refuses these arguments, before it looks at anything.
pub fn refusal(module: &str, arguments: &[u8]) -> Option<String> {
    let call = Call::parse(arguments).unwrap();
    let refused = (entry(module.as_bytes()).unwrap().params)(&call).err()?;
    Some(format!("{refused:#}"))
}

/// What a module answers to arguments on a host that answers everything with this.
pub fn run_with(module: &str, arguments: &[u8], answers: &[u8]) -> Option<serde_json::Value> {
    let call = Call::parse(arguments).unwrap();
    let answer = (entry(module.as_bytes()).unwrap().run)(&call, &HostileHost::new(answers))?;
    Some(answer.into_json())
}

/// The name of a module, and arguments.
pub(crate) fn arguments(input: &[u8]) {
    let (module, json) = part(input);
    let Some(entry) = entry(module) else { return };
    let Ok(call) = Call::parse(json) else { return };
    if let Err(error) = (entry.params)(&call) {
        let text = format!("{error:#}");
        assert!(
            text.starts_with(entry.source.module),
            "the module is not named: {text}"
        );
    }
}

pub(crate) fn argument_seeds() -> Vec<Vec<u8>> {
    let seed = |case: &Case| [case.module.as_bytes(), &[SEPARATOR], &case.arguments].concat();
    all_cases().iter().map(seed).collect()
}

/// The name of a module, the number of a case, and answers.
pub(crate) fn modules(input: &[u8]) {
    let (name, answers) = part(input);
    let name = String::from_utf8_lossy(name);
    let Some((module, number)) = name.split_once('/') else {
        return;
    };
    let Some(entry) = entry(module.as_bytes()) else {
        return;
    };
    let Some(case) = number.parse().ok().and_then(|number| numbered(module, number)) else {
        return;
    };
    let call = Call::parse(&case.arguments).unwrap();
    let host = HostileHost::new(answers);
    let Some(answer) = (entry.run)(&call, &host) else {
        return;
    };
    assert!(
        !(call.check_mode && host.wrote()),
        "{module} wrote a file in check mode"
    );
    let most = LARGEST_ANSWER + 16 * (answers.len() + case.arguments.len());
    let length = answer.into_json().to_string().len();
    assert!(length <= most, "{module} answers with {length} bytes");
}

fn numbered(module: &str, number: usize) -> Option<&'static Case> {
    let cases = all_cases().iter().filter(|case| case.module == module);
    cases.clone().nth(number)
}

pub(crate) fn answer_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (module, cases) in cases::by_module(all_cases()) {
        for (number, case) in cases.iter().enumerate() {
            let name = format!("{module}/{number}");
            seeds.push([name.as_bytes(), &[SEPARATOR], &case.answers].concat());
        }
    }
    seeds
}

thread_local! {
    static REPLY: RefCell<Reply> = RefCell::default();
}

/// A channel server that answers with the input.
struct Service;

impl Channels for Service {
    fn get(_: &k3s_version::Request) -> Result<Reply> {
        Ok(REPLY.with_borrow(Clone::clone))
    }
}

/// An API server that is not there.
struct Network;

impl Api for Network {
    fn ask(_: &kubeconfig_fetch::Request) -> Result<u16, Obstacle> {
        Err(Obstacle {
            cause: kubeconfig_fetch::Cause::Refused,
            detail: String::new(),
        })
    }
}

/// The status, the location and the body of an answer.
pub(crate) fn channel(input: &[u8]) {
    let (status, rest) = part(input);
    let (location, body) = part(rest);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    REPLY.set(Reply {
        status: text(status).parse().unwrap_or(200),
        location: (!location.is_empty()).then(|| text(location)),
        content_type: None,
        body: body.to_vec(),
    });
    let call = Call::parse(br#"{"channel": "v1.31", "vmid": 101}"#).unwrap();
    let params = params::<VersionCheck<Service>>(&call)
        .map_err(|error| anyhow!("the arguments of every input: {error:#}"))
        .unwrap();
    let _ = VersionCheck::<Service>::observe(&params, &HostileHost::new(b"1"));
}

pub(crate) fn channel_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "302\u{1c}https://example.org/releases/tag/v1.31.5+k3s1\u{1c}",
        "302\u{1c}/tag/v1.31.5%2Bk3s1?a#b\u{1c}",
        "200\u{1c}\u{1c}{\"tag_name\": \"v1.31.5+k3s1\"}",
        "200\u{1c}\u{1c}{\"data\": [{\"name\": \"v1.31\", \"latest\": \"v1.31.5+k3s1\"}, {\"name\": \"stable\"}]}",
        "404\u{1c}\u{1c}<html>not here</html>",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

/// Two kubeconfigs: one that arrives, and the one that it is merged into.
pub(crate) fn kubeconfig(input: &[u8]) {
    let (content, dest) = part(input);
    let Some(case) = all_cases()
        .iter()
        .find(|case| case.module == "kubeconfig_fetch" && has_dest(case))
    else {
        panic!("kubeconfig_fetch has no case with dest");
    };
    let mut call = Call::parse(&case.arguments).unwrap();
    call.arguments.insert(
        "content".to_owned(),
        String::from_utf8_lossy(content).into_owned().into(),
    );
    let Ok(params) = params::<KubeconfigFetch<Network>>(&call) else {
        return;
    };
    let dest_path = call.arguments["dest"].as_str().unwrap_or_default();
    let look = format!(
        "me 0 0\ntarget {dest_path}\nfolder drwx------ 2 0 0 1 x /\nfile -rw------- 1 0 0 1 x {dest_path}\n"
    );
    let host = HostileHost::constant(&look, dest);
    let answer = run::<KubeconfigFetch<Network>>(&params, &call, &host);
    drop(answer.into_json());
}

fn has_dest(case: &Case) -> bool {
    Call::parse(&case.arguments).is_ok_and(|call| {
        call.arguments.contains_key("dest")
            && call.arguments.contains_key("content")
            && params::<KubeconfigFetch<Network>>(&call).is_ok()
    })
}

pub(crate) fn kubeconfig_seeds() -> Vec<Vec<u8>> {
    let files = crate::seeds::kubeconfigs();
    let pairs = files.iter().flat_map(|one| {
        files
            .iter()
            .map(move |other| [one.as_slice(), other].join(&SEPARATOR))
    });
    pairs.collect()
}
