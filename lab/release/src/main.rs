//! The lab's release server: answers as the channel server and the release pages do, and hands out the
//! install script, binaries and checksums. Plain HTTP/1.1, one thread a connection, one request each:
//! it must also misbehave (cut a download short, never answer), which HTTP libraries work against.

// This program is the outside world: it reads files, sleeps and prints by itself.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod answer;
mod catalogue;
mod faults;
mod http;
mod script;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use clap::Parser;

use crate::answer::Site;

/// The lab's release server.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Address to listen on, such as 10.99.0.1:8080 (port 0: any free one).
    #[arg(long)]
    listen: String,
    /// Folder with versions/VERSION/k3s, channels.json, and if wanted faults.json and install.sh.
    #[arg(long)]
    root: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(&options.listen)
        .with_context(|| format!("listening on {}: is another lab running?", options.listen))?;
    let address = listener
        .local_addr()
        .context("asking for the address listened on")?;
    println!("listening on http://{address}");
    let site = Arc::new(Site::new(options.root, address.to_string()));
    for connection in listener.incoming() {
        match connection {
            Ok(stream) => {
                let site = Arc::clone(&site);
                thread::spawn(move || serve(&site, &stream));
            }
            Err(error) => eprintln!("accepting a connection: {error}"),
        }
    }
    Ok(())
}

fn serve(site: &Site, stream: &TcpStream) {
    let request = match http::read_request(stream) {
        Ok(request) => request,
        Err(error) => return eprintln!("reading a request: {error:#}"),
    };
    let response = site.answer(&request);
    eprintln!("{} {} {}", request.method, request.path, response.status);
    if let Err(error) = http::send(stream, &request, response) {
        eprintln!("answering {} {}: {error:#}", request.method, request.path);
    }
}
