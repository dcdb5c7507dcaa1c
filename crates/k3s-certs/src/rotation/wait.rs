//! Waiting until a k3s that was started works again.

use super::{MARK, Role, Service};
use anyhow::{Context, Result, bail};
use host::{Failure, Host, Kind, wait_until};
use k3s_node::probe::Run;
use k3s_node::{Facts, Probe, Show};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LOOK_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `renewed`: the certificates of a start before the mark do not count.
pub(super) fn wait(host: &dyn Host, service: &Service, renewed: bool, limit: Duration) -> Result<()> {
    let unit = &service.unit;
    let what = match service.role {
        Role::Server => format!("{unit} and its API"),
        Role::Agent => format!("{unit} and its kubelet's certificate"),
    };
    let mut looks = Looks {
        service,
        renewed,
        began: host.now(),
        node: None,
    };
    let waited = wait_until(host, limit, LOOK_EVERY, || looks.look(host));
    waited
        .and_then(|waited| waited.or_fail(host, &what))
        .with_context(|| advice(service))
}

/// One look after the other at a k3s that is coming up.
pub(super) struct Looks<'a> {
    pub(super) service: &'a Service,
    pub(super) renewed: bool,
    pub(super) began: SystemTime,
    /// The node of an agent, which its certificate names, as soon as it has been asked for.
    pub(super) node: Option<String>,
}

impl Looks<'_> {
    fn look(&mut self, host: &dyn Host) -> Result<Result<(), String>> {
        let unit = &self.service.unit;
        let command = self.questions().command(&self.service.binary);
        let output = match host.run(&command.within(LOOK_LIMIT)) {
            Ok(output) => output,
            Err(error) if may_come_back(&error) => return Ok(Err(format!("{error:#}"))),
            Err(error) => return Err(error),
        };
        let output = output.succeed(&host.location(), &format!("checking {unit}"))?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
        if Show::of(&facts, unit).active == "failed" {
            bail!(
                "{}: {unit} has failed, and systemd does not start it again",
                host.location()
            );
        }
        let missing = self.missing(&facts);
        self.node = self.node.take().or_else(|| node(&facts));
        Ok(missing)
    }

    fn questions(&self) -> Probe {
        let mut probe = Probe::new().show("show", &self.service.unit);
        if let Some(file) = self.renewed_file() {
            probe = probe.print("rewritten", &["test", &file, "-nt", MARK]);
        }
        let Some(kubeconfig) = &self.service.kubeconfig else {
            return probe;
        };
        let ask = |probe: Probe, name: &str, errors: bool, words: &[&str]| {
            let kubectl = [
                self.service.binary.as_str(),
                "kubectl",
                "--kubeconfig",
                kubeconfig,
            ];
            let argv = [&kubectl, &["--request-timeout=5s"][..], words].concat();
            let run = Run {
                argv: &argv,
                errors,
                ..Run::default()
            };
            probe.run(name, &run)
        };
        if self.service.role == Role::Agent {
            probe = match &self.node {
                None => ask(probe, "user", false, &USER),
                Some(node) => ask(probe, "lease", false, &[&LEASE[..], &[node]].concat()),
            };
        }
        ask(probe, "api", true, &["get", "--raw", "/readyz"])
    }

    /// What is written by a start that gave new certificates, where that counts.
    fn renewed_file(&self) -> Option<String> {
        self.service.renewed_file().filter(|_| self.renewed)
    }

    /// What one look still lacks.
    pub(super) fn missing(&self, facts: &Facts) -> Result<(), String> {
        let unit = &self.service.unit;
        match Show::of(facts, unit).active.as_str() {
            "active" => {}
            "activating" if self.service.role == Role::Agent => {
                serves_already(unit, &answer(facts, "lease").unwrap_or_default(), self.began)?;
            }
            "" => return Err(format!("{unit} is unknown to systemd")),
            state => return Err(format!("{unit} is {state}")),
        }
        if let Some(file) = self.renewed_file()
            && (!facts.has("rewritten") || facts.status("rewritten") != 0)
        {
            return Err(format!("{unit} runs, but has not rewritten {file} yet"));
        }
        if self.service.kubeconfig.is_none() || answer(facts, "api").is_some() {
            return Ok(());
        }
        let said = facts.lossy("api").unwrap_or_default();
        let said = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        let said: String = said.unwrap_or_default().chars().take(200).collect();
        Err(format!("its API says {said:?}"))
    }
}

/// By whom the API recognises the kubelet.
const USER: [&str; 4] = ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
/// When the kubelet last renewed its node's lease.
const LEASE: [&str; 6] = [
    "get",
    "-o",
    "jsonpath={.spec.renewTime}",
    "-n",
    "kube-node-lease",
    "lease",
];

fn node(facts: &Facts) -> Option<String> {
    let user = answer(facts, "user")?;
    user.strip_prefix("system:node:").map(str::to_owned)
}

/// What a program printed that succeeded.
fn answer(facts: &Facts, name: &str) -> Option<String> {
    facts.lossy(name).filter(|_| facts.status(name) == 0)
}

/// A look that could not be taken is one more thing that is missing: a container that is slow may come back.
fn may_come_back(error: &anyhow::Error) -> bool {
    matches!(
        Failure::of(error),
        Some(Failure {
            kind: Kind::TimedOut | Kind::AttachFailed,
            ..
        })
    )
}

/// An agent reports to systemd that it is ready when its node's `Ready` condition has been reported anew, which may take minutes
/// (k3s 1.34.2, 1.33.6, 1.32.10, 1.31.14 on). Its kubelet works when it has renewed its node's lease since.
fn serves_already(unit: &str, lease: &str, began: SystemTime) -> Result<(), String> {
    let renewed = OffsetDateTime::parse(lease, &Rfc3339).ok();
    if renewed.is_some_and(|renewed| SystemTime::from(renewed) > began) {
        return Ok(());
    }
    let last = if lease.is_empty() { "not known" } else { lease };
    Err(format!(
        "{unit} is activating, and its kubelet has not renewed the node's lease since its start (renewed last: {last})"
    ))
}

/// What to do about a k3s that does not come back.
fn advice(service: &Service) -> String {
    let unit = &service.unit;
    let listener = match service.role {
        Role::Server => format!(
            " If only the API's own serving certificate is reported as expired: delete the secret k3s-serving in kube-system and {}/server/tls/dynamic-cert.json, and restart {unit} (some versions miss it).",
            service.data_dir
        ),
        Role::Agent => " An agent needs a server that answers: see that one does.".to_owned(),
    };
    format!(
        "{unit} was started but has not been seen to work. Look with `journalctl -u {unit}`.{listener} Running this again goes on from here"
    )
}
