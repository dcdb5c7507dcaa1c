//! Taking the steps.

use super::look::variables;
use super::{Act, Role, Service, Step, Way};
use anyhow::{Context, Result, bail};
use host::{Command, Failure, Host, Kind, wait_until};
use serde::Serialize;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const COMMON: &str = include_str!("common.sh");
const MARK: &str = "/var/lib/homelab-k3s/renewal-under-way";

/// The turn, the stop and the command each have a minute or two; the start does not block.
const ROTATE_LIMIT: Duration = Duration::from_mins(6);
const START_LIMIT: Duration = Duration::from_mins(2);
const LOOK_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// None: nothing was renewed.
    pub way: Option<Way>,
    /// Seconds until k3s was seen to run again.
    pub seconds: Option<u64>,
}

/// Takes one step. `limit` is what a started k3s gets to come back. Where it fails, k3s has been started again, and
/// the error says whether it runs.
pub fn apply(host: &dyn Host, step: &Step, limit: Duration, done: &mut Done) -> Result<()> {
    let service = &step.service;
    let unit = &service.unit;
    match step.act {
        Act::Renew => {
            let way = service.way();
            let (text, doing) = match way {
                Way::Command => (include_str!("rotate.sh"), "renewing the certificates"),
                Way::Restart => (include_str!("restart.sh"), "restarting k3s"),
            };
            let ran = run(host, service, text, ROTATE_LIMIT, &format!("{doing} of {unit}"));
            ran.map_err(|error| started_all_the_same(host, service, limit, error))?;
            done.way = Some(way);
        }
        Act::Start => {
            let text = include_str!("start.sh");
            run(host, service, text, START_LIMIT, &format!("starting {unit}"))?;
        }
        Act::Wait { renewed } => {
            let began = host.elapsed();
            wait(host, service, renewed, limit)?;
            done.seconds = Some(host.elapsed().saturating_sub(began).as_secs());
            host.remove(MARK)?;
        }
    }
    Ok(())
}

/// The script starts k3s on its own way out. One that was killed did not, and starting twice does no harm.
fn started_all_the_same(
    host: &dyn Host,
    service: &Service,
    limit: Duration,
    error: anyhow::Error,
) -> anyhow::Error {
    let unit = &service.unit;
    let text = include_str!("start.sh");
    let outcome = run(host, service, text, START_LIMIT, &format!("starting {unit}"))
        .and_then(|_| wait(host, service, false, limit))
        .and_then(|()| host.remove(MARK));
    let left = match outcome {
        Ok(()) => {
            format!("{unit} was started again and runs, with the certificates that it had or has recreated")
        }
        Err(failed) => format!(
            "{unit} may be stopped, since starting it failed too ({failed:#}): run `systemctl start {unit}` there, or this again, which starts it"
        ),
    };
    match Failure::of(&error) {
        Some(failure) => {
            let mut failure = failure.clone();
            failure.detail = format!("{}. {left}", failure.detail);
            failure.into()
        }
        None => error.context(left),
    }
}

fn run(host: &dyn Host, service: &Service, text: &str, limit: Duration, doing: &str) -> Result<String> {
    let script = format!("{}{COMMON}{text}", inputs(service, false));
    let output = host
        .run(&Command::script(script).within(limit))
        .and_then(|output| output.succeed(&host.place(), doing))?;
    Ok(output.text())
}

fn inputs(service: &Service, renewed: bool) -> String {
    let renewed = service.renewed_file().filter(|_| renewed).unwrap_or_default();
    variables(&[
        ("unit", &service.unit),
        ("binary", &service.binary),
        ("data", &service.data_dir),
        ("kubeconfig", service.kubeconfig.as_deref().unwrap_or_default()),
        ("renewed", &renewed),
    ])
}

fn wait(host: &dyn Host, service: &Service, renewed: bool, limit: Duration) -> Result<()> {
    let unit = &service.unit;
    let script = format!("{}{COMMON}{}", inputs(service, renewed), include_str!("wait.sh"));
    let what = match service.role {
        Role::Server => format!("{unit} and its API"),
        Role::Agent => format!("{unit} and its kubelet's certificate"),
    };
    let began = host.now();
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        let output = match host.run(&Command::script(script.clone()).within(LOOK_LIMIT)) {
            Ok(output) => output,
            Err(error) if may_come_back(&error) => return Ok(Err(format!("{error:#}"))),
            Err(error) => return Err(error),
        };
        let output = output.succeed(&host.place(), &format!("checking {unit}"))?;
        let text = output.text();
        if text.starts_with("state=failed") {
            bail!(
                "{}: {unit} has failed, and systemd does not start it again",
                host.place()
            );
        }
        Ok(missing(service, began, &text))
    });
    waited
        .and_then(|waited| waited.or_fail(host, &what))
        .with_context(|| advice(service))
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

/// What one look still lacks.
fn missing(service: &Service, began: SystemTime, text: &str) -> Result<(), String> {
    let unit = &service.unit;
    let (state, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (state, rest) = match (state.strip_prefix("state="), rest.strip_prefix("lease=")) {
        (Some("activating"), Some(rest)) => {
            let (lease, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            serves_already(unit, lease, began)?;
            ("active", rest)
        }
        (state, _) => (state.unwrap_or("unknown"), rest),
    };
    if state != "active" {
        return Err(format!("{unit} is {state}"));
    }
    if rest.starts_with("old=yes") {
        let file = service.renewed_file().unwrap_or_default();
        return Err(format!("{unit} runs, but has not rewritten {file} yet"));
    }
    match rest.strip_prefix("api=0\n") {
        Some(_) => Ok(()),
        None if service.kubeconfig.is_none() => Ok(()),
        None => {
            let said = rest.split_once('\n').map_or("", |(_, said)| said);
            let said = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            let said: String = said.unwrap_or_default().chars().take(200).collect();
            Err(format!("its API says {said:?}"))
        }
    }
}

/// An agent tells systemd that it is ready when its node's `Ready` condition has been reported anew, which may take minutes
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
