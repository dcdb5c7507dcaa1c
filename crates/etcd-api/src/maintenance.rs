//! How a member is, what alarms it, and a copy of all it holds.

use std::io::Write;

use sha2::{Digest, Sha256};

use crate::proto::{
    AlarmAction, AlarmRequest, AlarmResponse, AlarmType, Empty, SnapshotResponse, StatusResponse,
};
use crate::{Client, Error};

/// What one member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub member_id: u64,
    /// Of etcd, such as `3.5.26`.
    pub version: String,
    pub db_size: u64,
    pub db_size_in_use: u64,
    /// 0: there is none.
    pub leader: u64,
    pub raft_term: u64,
    pub raft_index: u64,
    pub raft_applied_index: u64,
    pub is_learner: bool,
    pub errors: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub member_id: u64,
    /// `None`: one that this crate does not know.
    pub kind: Option<AlarmType>,
}

/// The checksum that etcd sends after the last byte of the database.
const CHECKSUM: usize = 32;

impl Client {
    pub async fn status(&self) -> Result<Status, Error> {
        let answer: StatusResponse = self.call("/etcdserverpb.Maintenance/Status", Empty {}).await?;
        let header = answer
            .header
            .ok_or_else(|| Error::Malformed("it has no header".to_owned()))?;
        Ok(Status {
            member_id: header.member_id,
            version: answer.version,
            db_size: answer.db_size.unsigned_abs(),
            db_size_in_use: answer.db_size_in_use.unsigned_abs(),
            leader: answer.leader,
            raft_term: answer.raft_term,
            raft_index: answer.raft_index,
            raft_applied_index: answer.raft_applied_index,
            is_learner: answer.is_learner,
            errors: answer.errors,
        })
    }

    /// The alarms of all members.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, Error> {
        self.alarm(AlarmAction::Get, 0, AlarmType::None).await
    }

    /// What etcd does itself at the limit of its database.
    #[cfg(feature = "test-cluster")]
    pub async fn raise_alarm(&self, member_id: u64, kind: AlarmType) -> Result<Vec<Alarm>, Error> {
        self.alarm(AlarmAction::Activate, member_id, kind).await
    }

    async fn alarm(&self, action: AlarmAction, member_id: u64, kind: AlarmType) -> Result<Vec<Alarm>, Error> {
        let request = AlarmRequest {
            action: action.into(),
            member_id,
            alarm: kind.into(),
        };
        let answer: AlarmResponse = self.call("/etcdserverpb.Maintenance/Alarm", request).await?;
        let alarms = answer.alarms.into_iter();
        Ok(alarms
            .map(|a| Alarm {
                member_id: a.member_id,
                kind: AlarmType::try_from(a.alarm).ok(),
            })
            .collect())
    }

    /// Writes the member's database to `sink`, in the form that a restore takes: with its checksum at the
    /// end, which is verified here. Answers the number of bytes; each piece must come within the limit.
    pub async fn snapshot(&self, sink: &mut impl Write) -> Result<u64, Error> {
        let mut stream = self
            .stream("/etcdserverpb.Maintenance/Snapshot", Empty {})
            .await?;
        let mut tail = Tail::default();
        let mut bytes = 0;
        while let Some(SnapshotResponse { blob, .. }) = self.next(&mut stream).await? {
            sink.write_all(&blob).map_err(Error::Io)?;
            bytes += blob.len() as u64;
            tail.take(&blob);
        }
        tail.verify()?;
        sink.flush().map_err(Error::Io)?;
        Ok(bytes)
    }
}

/// Hashes all but the last 32 bytes of what passes.
#[derive(Default)]
struct Tail {
    hasher: Sha256,
    held: Vec<u8>,
}

impl Tail {
    fn take(&mut self, blob: &[u8]) {
        self.held.extend_from_slice(blob);
        let done = self.held.len().saturating_sub(CHECKSUM);
        self.hasher.update(&self.held[..done]);
        self.held.drain(..done);
    }

    fn verify(self) -> Result<(), Error> {
        if self.hasher.finalize().as_slice() == self.held.as_slice() {
            Ok(())
        } else {
            Err(Error::Malformed(
                "the snapshot does not match its checksum, or was cut short".to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Sha256, Tail};

    fn verdict(pieces: &[&[u8]]) -> bool {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.take(piece);
        }
        tail.verify().is_ok()
    }

    #[test]
    fn a_snapshot_is_believed_only_with_its_checksum() {
        let sum = Sha256::digest(b"database");
        assert!(verdict(&[b"database", &sum]));
        assert!(verdict(&[b"data", b"base", &sum[..10], &sum[10..]]));
        assert!(!verdict(&[b"databasE", &sum]));
        assert!(!verdict(&[b"database"]));
        assert!(!verdict(&[b"database", &sum[..31]]));
        assert!(!verdict(&[]));
    }
}
