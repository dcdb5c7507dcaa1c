//! Why a call failed: etcd said no, or nobody answered.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};

#[derive(Debug)]
pub enum Error {
    /// etcd's own answer, such as `etcdserver: request timed out`.
    Etcd { code: Code, message: String },
    /// The connection: refused, broken, not trusted.
    Connection(String),
    /// No answer within the limit.
    TimedOut(Duration),
    /// The watch asked for history that etcd has thrown away; `oldest` is what it still has.
    Compacted { oldest: i64 },
    /// The answer makes no sense, or a snapshot does not match its checksum.
    Malformed(String),
    /// What the snapshot is written to.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd { message, .. } => f.write_str(message),
            Self::Connection(what) => write!(f, "talking to etcd: {what}"),
            Self::TimedOut(limit) => write!(f, "waiting for etcd: no answer within {limit:?}"),
            Self::Compacted { oldest } => {
                write!(f, "watching etcd: the history before revision {oldest} is gone")
            }
            Self::Malformed(what) => write!(f, "reading etcd's answer: {what}"),
            Self::Io(error) => write!(f, "writing the snapshot: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Status> for Error {
    /// What etcd sends has no source; what goes wrong on our side of the wire has one.
    fn from(status: Status) -> Self {
        let Some(mut cause) = status.source() else {
            return Self::Etcd {
                code: status.code(),
                message: status.message().to_owned(),
            };
        };
        let mut what = cause.to_string();
        while let Some(deeper) = cause.source() {
            let text = deeper.to_string();
            if !what.ends_with(&text) {
                what = format!("{what}: {text}");
            }
            cause = deeper;
        }
        Self::Connection(what)
    }
}

impl From<tonic::transport::Error> for Error {
    fn from(error: tonic::transport::Error) -> Self {
        let cause = error
            .source()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        Self::Connection(format!("{error}{cause}"))
    }
}
