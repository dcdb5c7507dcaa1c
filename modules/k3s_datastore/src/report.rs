//! The documented return values.

use crate::inside::{Compared, Member};
use crate::params::Params;
use crate::plan::{self, Act};
use crate::record::Record;
use crate::state::{Datastore, State};
use ansible_module::Refusal;
use serde::Serialize;
use std::time::Duration;

/// How far it went: it decides what can and must be put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Untouched,
    /// The record is written, k3s unchanged.
    Noted,
    /// k3s may be stopped.
    Stopped,
    /// It may have begun to fill etcd.
    Migrating,
    /// etcd holds everything.
    Proven,
}

/// What `apply` learns on its way.
#[derive(Default)]
pub struct Journal {
    pub(crate) phase: Phase,
    pub(crate) record: Option<Record>,
    pub(crate) stopped_at: Option<Duration>,
    /// When the API served again.
    pub(crate) back_at: Option<Duration>,
    /// When k3s was started, in seconds since 1970.
    pub(crate) started_at: Option<u64>,
    pub(crate) member: Option<Member>,
    pub(crate) compared: Option<Compared>,
    pub(crate) went_back: bool,
}

#[derive(Serialize)]
pub struct Returned {
    datastore_before: Datastore,
    datastore_after: Option<Datastore>,
    objects_before: Option<u64>,
    objects_after: Option<u64>,
    /// Whether every single object was compared with the copy.
    compared: bool,
    backup: Option<String>,
    member: Option<Member>,
    /// Whether k3s is stopped for it.
    outage: bool,
    outage_seconds: Option<u64>,
    rolled_back: bool,
    record: Option<RecordSeen>,
    refusals: Vec<Refusal>,
}

#[derive(Serialize)]
struct RecordSeen {
    run_id: Option<String>,
    saved_at: u64,
}

pub(crate) fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
    let record = journal.record.as_ref().or(before.record());
    let compared = journal.compared.as_ref();
    let (acts, refusals) = plan::decide(params, before);
    let counted = before
        .objects
        .as_ref()
        .and_then(|objects| objects.as_ref().ok().copied());
    Returned {
        datastore_before: before.datastore(),
        datastore_after: datastore_after(after, journal),
        objects_before: record.and_then(Record::objects).or(counted),
        objects_after: compared.map(|compared| compared.after),
        compared: compared.is_some_and(|compared| compared.revision.is_some()),
        backup: record
            .filter(|record| record.copy.is_some())
            .map(Record::database),
        member: journal.member.clone(),
        outage: acts.contains(&Act::Stop),
        outage_seconds: journal
            .stopped_at
            .zip(journal.back_at)
            .map(|(from, to)| to.saturating_sub(from).as_secs()),
        rolled_back: journal.went_back,
        record: before.record().map(|record| RecordSeen {
            run_id: record.run_id.clone(),
            saved_at: record.saved_at,
        }),
        refusals,
    }
}

/// After a failure the server was not looked at again: then it is reported where it is known.
fn datastore_after(after: &State, journal: &Journal) -> Option<Datastore> {
    match journal.phase {
        _ if journal.went_back => Some(Datastore::Sqlite),
        Phase::Untouched | Phase::Noted => Some(after.datastore()),
        Phase::Proven => Some(Datastore::Etcd),
        Phase::Stopped | Phase::Migrating => None,
    }
}
