//! The part of etcd's gRPC API that we speak: keys, watches, members, maintenance. The messages are written
//! out by hand with the field numbers of etcd's published protocol files, which stay the same from version to
//! version, and fields that we do not name are skipped. Always over mutual TLS: k3s offers nothing else.

mod client;
mod cluster;
mod error;
mod kv;
mod loopback;
mod maintenance;
pub mod proto;
#[cfg(feature = "test-cluster")]
pub mod testing;
mod watch;

pub use client::{Client, Tls, block_on};
pub use error::Error;
pub use kv::Listing;
pub use loopback::endpoint;
pub use maintenance::{Alarm, Status};
pub use proto::{Event, EventType, KeyValue, Member};
pub use tonic::Code;
pub use watch::Watcher;
