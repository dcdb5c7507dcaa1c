//! Looks at the cluster; changes nothing. What cannot be had is noted, and the rest is read all the same.

mod lists;

use crate::here::Here;
use crate::params::{Params, Scope};
use crate::servers::{self, Apis, Given};
use crate::state::{Etcd, Seen, State, checks};
use crate::{diagnose, judge};
use anyhow::Result;
use cluster::{Answer, Answers, ApiGroups, ApiVersion, Kubectl, Questions};
use host::{Failure, Host, Kind, quote, wait_until};
use k3s_certs::All;
use lists::{List, read};
use std::time::Duration;

/// etcd's own port for metrics is on the loopback, without TLS. Where its folder is not, there is no etcd. Where the cluster's first
/// range of Services is of IPv6, so is the loopback: the kernel's table shows who listens there (094D is 2381, 0A is listening).
const ETCD: &str = r#"at=127.0.0.1; ! grep -qs '^ *[0-9]*: 00000000000000000000000001000000:094D [0-9A-F:]* 0A ' /proc/net/tcp6 || at='[::1]'
e() { [ -d "$data/server/db/etcd/member/wal" ] || return 44; k --kubeconfig /dev/null --server "http://$at:2381" get --raw "$1"; }
learner() { e /metrics | grep '^etcd_server_is_learner '; }
"#;
/// A look takes a second or two.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The status for "no etcd here"; kubectl ends with 0 or 1.
const NO_ETCD: i32 = 44;

/// The last look: the one that found nothing wrong, or that after which the wait was over.
pub(crate) fn state(params: &Params, host: &dyn Host) -> Result<State> {
    let here = Here::look(params, host);
    let started = host.elapsed();
    let mut last = None;
    wait_until(host, params.wait, LOOK_EVERY, || {
        let seen = last.insert(look(params, host, &here));
        let health = judge::judge(params, seen);
        let wrong = health.failing().next().is_some() || health.settling() > 0;
        Ok(if wrong { Err(String::new()) } else { Ok(()) })
    })?;
    let mut seen = last.unwrap_or_else(|| Seen::nothing(host.location(), host.now()));
    look_at_the_node(params, host, &here, &mut seen);
    Ok(State {
        seen,
        waited: host.elapsed().saturating_sub(started),
    })
}

fn look(params: &Params, host: &dyn Host, here: &Here) -> Seen {
    let mut seen = Seen::nothing(host.location(), host.now());
    let kubectl = params.kubectl(host);
    let groups = match control(&here.paths.data_dir, &kubectl) {
        Ok(answers) => read_control(&answers, &mut seen),
        Err(error) => {
            seen.api.said = format!("{error:#}");
            seen.api.failure = Failure::of(&error).map(|failure| failure.kind);
            None
        }
    };
    if seen.api.version.is_some() {
        let lists = lists(params, groups);
        read(&kubectl, lists, params.limits.restart_window, &mut seen);
    }
    if let Some(given) = &params.servers {
        seen.servers = Some(ask_servers(given, &kubectl, &seen));
    }
    seen
}

fn lists(params: &Params, groups: Option<ApiGroups>) -> Vec<List> {
    if params.scope == Scope::Servers {
        return vec![List::Nodes];
    }
    let served = |list: &&List| groups.as_ref().is_some_and(|groups| groups.serve(list.group()));
    let mut lists = List::ALWAYS.to_vec();
    lists.extend(List::WHERE_SERVED.iter().filter(served));
    lists
}

/// Each server's API at the address of its Node. Without the Nodes, no address is known.
fn ask_servers(given: &Given, kubectl: &Kubectl, seen: &Seen) -> Apis {
    let unread = seen.unread.get("nodes").cloned();
    let unread = unread.or_else(|| seen.api.version.is_none().then(|| seen.api.said.clone()));
    let asked = unread.map_or_else(
        || servers::ask(given, kubectl, &seen.nodes).map_err(|error| format!("{error:#}")),
        Err,
    );
    asked.unwrap_or_else(|why| Apis::unknown(&seen.location, why))
}

/// What no wait changes: the node's certificates, and why an API does not answer in the end. They may be just that.
fn look_at_the_node(params: &Params, host: &dyn Host, here: &Here, seen: &mut Seen) {
    if params.scope == Scope::Servers {
        return;
    }
    // The container itself may be out of reach.
    let in_reach = |kind: Kind| matches!(kind, Kind::CommandFailed | Kind::CommandNotFound);
    if !seen.api.failure.is_none_or(in_reach) {
        return;
    }
    match All::of_node(host, Some(&here.paths), &[]) {
        Ok(all) => seen.certificates = all,
        Err(error) => seen
            .certificates
            .fault(&*here.paths.data_dir, format!("{error:#}")),
    }
    if seen.api.version.is_none() {
        diagnose::service(&here.service(params, host), host, &mut seen.api);
    }
}

/// What is asked of every server, down or not.
fn control(data_dir: &str, kubectl: &Kubectl) -> Result<Answers> {
    Questions::new(kubectl)
        .with(&format!("data={}\n{ETCD}", quote(data_dir)))
        .path("/readyz?verbose")
        .path("/version")
        .or_end()
        .path("/apis")
        .command("etcd's /health", "e /health")
        .command("etcd's /metrics", "learner")
        .ask("asking the API server how it is")
}

fn read_control(answers: &Answers, seen: &mut Seen) -> Option<ApiGroups> {
    let api = &mut seen.api;
    if let Some(readyz) = answers.get(0) {
        api.ready = readyz.ok();
        api.checks = checks(&if readyz.ok() {
            readyz.text()
        } else {
            readyz.said.to_owned()
        });
        readyz.said.clone_into(&mut api.said);
    }
    let version = answers.get(1)?;
    match version.parse::<ApiVersion>() {
        Ok(version) => api.version = Some(version.git_version),
        Err(error) => {
            api.said = if version.ok() {
                format!("{error:#}")
            } else {
                version.said.to_owned()
            };
            return None;
        }
    }
    let text = |number: usize| {
        answers
            .get(number)
            .map(|answer: Answer| answer.text())
            .unwrap_or_default()
    };
    seen.etcd = answers
        .get(3)
        .filter(|health| health.status != NO_ETCD)
        .map(|health| Etcd::of(&health.text(), &text(4), health.said));
    match answers.get(2)?.parse() {
        Ok(groups) => Some(groups),
        Err(error) => {
            seen.unread
                .insert("the API's groups".to_owned(), format!("{error:#}"));
            None
        }
    }
}
