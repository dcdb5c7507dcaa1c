//! `members CA CERT KEY [ENDPOINT]`: what a k3s server's etcd says of its members. Also shows how large a static
//! program with this crate becomes.

// An example has nothing but its output.
#![allow(clippy::print_stdout)]

use std::fs;
use std::time::Duration;

use etcd_api::{Client, Tls};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ca, certificate, key, rest @ ..] = arguments.as_slice() else {
        return Err("usage: members CA CERT KEY [ENDPOINT]".into());
    };
    let tls = Tls {
        ca: fs::read(ca)?,
        certificate: fs::read(certificate)?,
        key: fs::read(key)?,
    };
    let endpoint = rest.first().map_or("https://127.0.0.1:2379", String::as_str);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(show(endpoint, &tls))
}

async fn show(endpoint: &str, tls: &Tls) -> Result<()> {
    let etcd = Client::new(endpoint, tls, Duration::from_secs(5))?;
    let status = etcd.status().await?;
    println!(
        "etcd {}, {} bytes, leader {:x}",
        status.version, status.db_size, status.leader
    );
    for member in etcd.members().await? {
        let role = if member.is_learner { "learner" } else { "voter" };
        println!(
            "{:x} {:?} {role} {}",
            member.id,
            member.name,
            member.peer_urls.join(",")
        );
    }
    for alarm in etcd.alarms().await? {
        println!("alarm {alarm:?}");
    }
    Ok(())
}
