//! The datastores behind the API: what each of them promises, and what each does when things go wrong. Against
//! real SQLite files and a real etcd cluster.

// The tests are the outside world too, and their helpers fail as tests do.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout
)]

mod etcd;
mod migrate;
mod promises;
mod sqlite;
