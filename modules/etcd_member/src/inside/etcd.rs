//! Asking etcd, with the node's own certificates.

use crate::state::{Alarm, Cluster, Etcd, Member, Removal, Status};
use anyhow::{Context, Result};
use etcd_api::proto::AlarmType;
use etcd_api::{Client, Code, Error, Tls};
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// For the member here. An election of k3s's etcd takes longer; who can wait asks again.
const LIMIT: Duration = Duration::from_secs(5);
/// For each of the others, all at once: one whose machine is off costs this much and no more.
const MEMBER_LIMIT: Duration = Duration::from_secs(3);
/// How long a port is knocked at to learn whether anybody listens.
const KNOCK: Duration = Duration::from_secs(2);
/// Far more than etcd has been seen to bear.
const MOST_MEMBERS: usize = 50;
/// Addresses of one member that are tried.
const MOST_URLS: usize = 3;
/// Enough of a fault to act on.
const SAID: usize = 300;

/// Looks at the member here, and through it at the others.
pub(super) fn look(server: &Path, endpoint: &str) -> Result<Etcd> {
    let tls = tls(server)?;
    let name = std::fs::read_to_string(server.join("db/etcd/name")).unwrap_or_default();
    let name: String = name.trim().chars().take(SAID).collect();
    run(async {
        let here = client(endpoint, &tls, LIMIT)?;
        let seen = match here.status().await {
            Ok(status) if status.is_learner => return Ok(Etcd::Learner { name }),
            Ok(status) => cluster(&here, status.member_id, &tls).await,
            Err(error) => Err(error),
        };
        Ok(seen.map_or_else(
            |error| Etcd::Silent {
                name,
                why: format!("{endpoint}: {}", short(&error)),
                listening: !matches!(error, Error::Connection(_)) || listens(endpoint),
            },
            Etcd::Cluster,
        ))
    })
}

/// Removes a member, and asks the quorum whether it is gone.
pub(super) fn remove(server: &Path, endpoint: &str, id: u64) -> Result<Removal> {
    let tls = tls(server)?;
    run(async {
        let here = client(endpoint, &tls, LIMIT)?;
        let why = match here.remove(id).await {
            Ok(_) => "etcd removed it and lists it still".to_owned(),
            Err(error) => match is_final(&error) {
                // Somebody else removed it, or an earlier attempt that got no answer did.
                Some(Code::NotFound) => "etcd has removed it and still lists it".to_owned(),
                Some(_) => return Ok(Removal::Refused(short(&error))),
                None => short(&error),
            },
        };
        Ok(match agreed(&here).await {
            Ok(members) if members.iter().all(|member| member.id != id) => Removal::Gone,
            Ok(_) => Removal::Again(why),
            Err(error) => Removal::Again(format!("{why}; listing the members: {}", short(&error))),
        })
    })
}

/// The code of an answer that another attempt would not change.
fn is_final(error: &Error) -> Option<Code> {
    match error {
        Error::Etcd {
            code:
                code @ (Code::NotFound
                | Code::FailedPrecondition
                | Code::InvalidArgument
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented),
            ..
        } => Some(*code),
        _ => None,
    }
}

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    etcd_api::block_on(work).context("preparing to connect to etcd")?
}

fn tls(server: &Path) -> Result<Tls> {
    Tls::of_k3s(server).context("reading etcd's certificates")
}

fn client(endpoint: &str, tls: &Tls, limit: Duration) -> Result<Client> {
    Client::new(endpoint, tls, limit).with_context(|| format!("preparing to connect to etcd at {endpoint}"))
}

fn short(error: &Error) -> String {
    error.to_string().chars().take(SAID).collect()
}

/// Whether anybody takes connections there, whatever becomes of them.
fn listens(endpoint: &str) -> bool {
    let authority = endpoint.trim_start_matches("https://").trim_end_matches('/');
    let Some(address) = authority.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        return true;
    };
    match TcpStream::connect_timeout(&address, KNOCK) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::ConnectionRefused,
    }
}

/// The members with the consent of a quorum. An etcd before 3.5 lists them from its own knowledge; the read
/// before that has brought it up to date.
async fn agreed(here: &Client) -> Result<Vec<etcd_api::Member>, Error> {
    here.revision().await?;
    here.members().await
}

/// The same, and the alarms, which the quorum keeps.
async fn agreed_with_alarms(here: &Client) -> Result<(Vec<etcd_api::Member>, Vec<etcd_api::Alarm>), Error> {
    Ok((agreed(here).await?, here.alarms().await?))
}

/// An error here is the asked member's own: it went away while it was asked.
async fn cluster(here: &Client, own: u64, tls: &Tls) -> Result<Cluster, Error> {
    let (listed, alarms, no_quorum) = match agreed_with_alarms(here).await {
        Ok((members, alarms)) => (members, alarms, None),
        Err(error) => (here.members_known_here().await?, Vec::new(), Some(short(&error))),
    };
    if listed.len() > MOST_MEMBERS {
        let many = format!("{} members, more than etcd can have", listed.len());
        return Err(Error::Malformed(many));
    }
    let mut asked = JoinSet::new();
    for (index, member) in listed.into_iter().enumerate() {
        let (tls, has_quorum) = (tls.clone(), no_quorum.is_none());
        asked.spawn(async move { (index, ask(member, tls, has_quorum).await) });
    }
    let mut members = asked.join_all().await;
    members.sort_by_key(|(index, _)| *index);
    Ok(Cluster {
        own,
        no_quorum,
        members: members.into_iter().map(|(_, member)| member).collect(),
        alarms: alarms.iter().map(alarm).collect(),
    })
}

/// Asks one member how it is, at the first of its addresses that answers.
async fn ask(member: etcd_api::Member, tls: Tls, has_quorum: bool) -> Member {
    let (mut status, mut fault) = (None, None);
    for url in member.client_urls.iter().take(MOST_URLS) {
        match ask_at(url, &tls, has_quorum && !member.is_learner).await {
            Ok(answer) => {
                (status, fault) = (Some(answer.0), answer.1);
                break;
            }
            Err(error) => fault = Some(format!("asking for its status at {url}: {error}")),
        }
    }
    Member {
        id: member.id,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        learner: member.is_learner,
        status,
        fault,
    }
}

/// The member's status, and what a read through it failed at: a member that the others do not reach still
/// reports its status.
async fn ask_at(url: &str, tls: &Tls, with_read: bool) -> Result<(Status, Option<String>), String> {
    let there = Client::new(url, tls, MEMBER_LIMIT).map_err(|error| short(&error))?;
    let status = there.status().await.map_err(|error| short(&error))?;
    let read = if with_read {
        there.revision().await.err()
    } else {
        None
    };
    let status = Status {
        id: status.member_id,
        version: status.version,
        db_size: status.db_size,
        db_size_in_use: status.db_size_in_use,
        leader: status.leader,
        raft_term: status.raft_term,
        raft_index: status.raft_index,
    };
    let fault = read.map(|error| format!("reading through it: {}", short(&error)));
    Ok((status, fault))
}

fn alarm(alarm: &etcd_api::Alarm) -> Alarm {
    let kind = match alarm.kind {
        Some(AlarmType::NoSpace) => "NOSPACE",
        Some(AlarmType::Corrupt) => "CORRUPT",
        Some(AlarmType::None) | None => "unknown",
    };
    Alarm {
        member: alarm.member_id,
        kind: kind.to_owned(),
    }
}
