//! Plays, in the pods of a real k3s, the programs of images that a lab without a way out cannot have. Which one, says the
//! name that it is called by, as busybox does, or its first argument. `lab/src/images.rs` makes the images.
//!
//! It is a program of a pod, not of ours: it waits, answers and ends as such a program does, hence the exceptions below.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod get;
mod helm;
mod http;
mod metrics;
mod part;
mod release;
mod wait;

use anyhow::{Context as _, Result};
use http::Reply;
use part::Part;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args().collect();
    match Part::of(&argv).and_then(|part| play(&part)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("lab-pod: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn play(part: &Part) -> Result<u8> {
    match part {
        Part::Get { url } => print!("{}", get::get(url)?),
        Part::Done => {}
        Part::Fail => {
            // Long enough to be seen running.
            std::thread::sleep(Duration::from_secs(1));
            eprintln!("lab-pod: failing as asked");
            return Ok(1);
        }
        Part::Sleep { seconds } => wait::until_signalled(*seconds)?,
        Part::Web { port, grace } => {
            serve(&[*port], |_| Reply::text(host()))?;
            wait::until_signalled(None)?;
            std::thread::sleep(*grace);
        }
        Part::CoreDns => wait_answering(&[8080, 8181])?,
        Part::Traefik { ports } => wait_answering(ports)?,
        Part::MetricsServer => {
            let config = metrics::config()?;
            for listener in listen(&[443, 4443, 10250])? {
                http::serve_tls(listener, &config, metrics::answer);
            }
            wait::until_signalled(None)?;
        }
        Part::KlipperHelm { arguments } => helm::run(arguments)?,
    }
    Ok(0)
}

fn wait_answering(ports: &[u16]) -> Result<()> {
    serve(ports, |_| Reply::text("OK".to_owned()))?;
    wait::until_signalled(None)
}

fn serve(ports: &[u16], answer: http::Answer) -> Result<()> {
    for listener in listen(ports)? {
        http::serve(listener, answer);
    }
    Ok(())
}

/// Which of its ports a program may open depends on its user; one is enough.
fn listen(ports: &[u16]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut refused = Vec::new();
    for port in ports {
        // Both families where the node has IPv6.
        let listener = TcpListener::bind(("::", *port)).or_else(|_| TcpListener::bind(("0.0.0.0", *port)));
        match listener {
            Ok(listener) => listeners.push(listener),
            Err(error) => refused.push(format!("port {port}: {error}")),
        }
    }
    let refused = refused.join(", ");
    if listeners.is_empty() {
        anyhow::bail!("listening: {refused}");
    }
    if !refused.is_empty() {
        println!("not listening on {refused}");
    }
    Ok(listeners)
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("reading the name of this host");
    name.map_or_else(|error| format!("{error:#}"), |name| name.trim().to_owned())
}
