//! The channel server, reached over the network.

use crate::channel::{Channels, Reply, Request};
use anyhow::{Context, Result, anyhow, bail};
use reqwest::blocking::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io::Read as _;
use std::sync::{Arc, mpsc};
use std::thread;

/// Far more than any listing, far less than would harm the Proxmox host.
const LARGEST_ANSWER: u64 = 4 << 20;

pub struct Https;

impl Channels for Https {
    /// The limit is for all of it: reqwest's own begins anew with each piece that arrives, and a server that sends a byte a second
    /// would never meet it. What is still at work then ends with the process.
    fn get(request: &Request) -> Result<Reply> {
        let (sender, receiver) = mpsc::channel();
        let asked = request.clone();
        thread::spawn(move || sender.send(ask(&asked)));
        receiver
            .recv_timeout(request.limit)
            .unwrap_or_else(|_| Err(too_late(request)))
    }
}

fn ask(request: &Request) -> Result<Reply> {
    let client = Client::builder()
        .timeout(request.limit)
        // Where a redirect leads to *is* the answer.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("homelab.k3s/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls(request.ca_file.as_deref())?)
        .build()
        .context("preparing the request")?;
    let asked = client
        .get(request.url.clone())
        .header(ACCEPT, "application/json")
        .send();
    let response = asked.map_err(|error| explain(&error, request))?;
    let header = |name| text(response.headers(), &name);
    let mut reply = Reply {
        status: response.status().as_u16(),
        location: header(LOCATION),
        content_type: header(CONTENT_TYPE),
        body: Vec::new(),
    };
    let read = response.take(LARGEST_ANSWER).read_to_end(&mut reply.body);
    read.with_context(|| format!("the answer broke off after {} bytes", reply.body.len()))?;
    Ok(reply)
}

fn too_late(request: &Request) -> anyhow::Error {
    anyhow!("no answer within {} s", request.limit.as_secs())
}

fn text(headers: &HeaderMap, name: &reqwest::header::HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The innermost cause names the fault; what reqwest wraps around it repeats the URL.
fn explain(error: &reqwest::Error, request: &Request) -> anyhow::Error {
    if error.is_timeout() {
        return too_late(request);
    }
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.dedup();
    anyhow!(
        "{}",
        if causes.is_empty() {
            error.to_string()
        } else {
            causes.join(": ")
        }
    )
}

fn tls(ca_file: Option<&str>) -> Result<ClientConfig> {
    let roots = match ca_file {
        Some(path) => of_file(path)?,
        None => of_the_system(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config
        .context("preparing TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn of_file(path: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).with_context(|| format!("reading ca_file {path}"))?;
    for certificate in certificates {
        let certificate = certificate.with_context(|| format!("reading ca_file {path}"))?;
        roots
            .add(certificate)
            .with_context(|| format!("reading ca_file {path}"))?;
    }
    if roots.is_empty() {
        bail!("reading ca_file {path}: there is no certificate in it");
    }
    Ok(roots)
}

/// The machine's own authorities; a container or a bare host may have none, so some come with the binary.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
