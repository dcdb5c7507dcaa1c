//! Whether the API server is reached from the machine that the kubeconfig is for, and if not, why.

use crate::credentials::Credentials;
use anyhow::{Context, Result, anyhow};
use host::Secret;
use reqwest::blocking::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde::Serialize;
use std::error::Error;
use std::io::ErrorKind;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::Duration;

/// Needs a credential, and answers before all else of the API is ready.
const PATH: &str = "/version";

/// The way to an API server. A port of this module alone, as the one to the channels is of `k3s_version`.
pub trait Api {
    /// One GET; the status of the answer, or what was in the way.
    fn ask(request: &Request) -> Result<u16, Obstacle>;
}

/// Whom to ask, and as whom: PEM.
pub struct Request {
    pub url: String,
    pub authority: Vec<u8>,
    pub chain: Vec<u8>,
    pub key: Secret,
    pub limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The name has no address here.
    Name,
    Refused,
    TimedOut,
    /// No way to that network.
    Unreachable,
    /// The server's certificate is not for this name.
    CertificateName,
    /// The server's certificate is of another authority.
    Authority,
    /// The server's certificate has expired, or something else is wrong with it.
    Certificate,
    /// The server does not accept ours.
    Credentials,
    /// It answers, but not as an API server in service does.
    Status,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub cause: Cause,
    pub detail: String,
}

/// Asks with what the kubeconfig holds. `None`: it answers.
pub(crate) fn ask<A: Api>(credentials: &Credentials, limit: Duration) -> Result<Option<Obstacle>> {
    let pem = |data: &str| k3s_certs::base64(data, "the kubeconfig");
    let key = pem(credentials.key_data.expose())?;
    let request = Request {
        url: format!("{}{PATH}", credentials.server.trim_end_matches('/')),
        authority: pem(&credentials.authority_data)?,
        chain: pem(&credentials.chain_data)?,
        key: Secret::new(String::from_utf8(key).map_err(|_| anyhow!("the key is not text"))?),
        limit,
    };
    Ok(match A::ask(&request) {
        Ok(200) => None,
        Ok(status @ (401 | 403)) => Some(Obstacle {
            cause: Cause::Credentials,
            detail: format!("it answers with status {status}"),
        }),
        Ok(status) => Some(Obstacle {
            cause: Cause::Status,
            detail: format!("it answers with status {status}"),
        }),
        Err(obstacle) => Some(obstacle),
    })
}

impl Obstacle {
    /// What to do about it, for a server at this host.
    pub(crate) fn advice(&self, host: &str) -> String {
        match self.cause {
            Cause::Name => format!(
                "let this machine know {host} (DNS or /etc/hosts), or give another address of the API server: -e k3s_kubeconfig_server=<host>"
            ),
            Cause::Refused => "see whether k3s runs on that controller, and whether the port is the right one".to_owned(),
            Cause::TimedOut | Cause::Unreachable => format!(
                "see to the route and the firewalls between this machine and {host}, or give another address of the API server: -e k3s_kubeconfig_server=<host>"
            ),
            Cause::CertificateName => format!(
                "add `tls-san: [{host}]` to /etc/rancher/k3s/config.yaml of each controller and restart k3s there, or give an address that the certificate is for: -e k3s_kubeconfig_server=<host>"
            ),
            Cause::Authority => format!("another cluster, or a proxy, answers at {host}: see where that name leads from this machine"),
            Cause::Certificate => "restart k3s on that controller: it renews its certificate then; see also the clock of this machine".to_owned(),
            Cause::Credentials => format!("see whether {host} is a server of this cluster"),
            Cause::Status => "see the log of k3s on that controller".to_owned(),
            Cause::Other => "try it by hand with kubectl".to_owned(),
        }
    }
}

pub struct Https;

impl Api for Https {
    fn ask(request: &Request) -> Result<u16, Obstacle> {
        let unfit = |error: anyhow::Error| Obstacle {
            cause: Cause::Other,
            detail: format!("{error:#}"),
        };
        let tls = tls(request).map_err(unfit)?;
        let client = Client::builder()
            .timeout(request.limit)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("homelab.k3s/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| unfit(error.into()))?;
        match client.get(&request.url).send() {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(obstacle(&error, request)),
        }
    }
}

fn tls(request: &Request) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&request.authority) {
        let certificate = certificate.map_err(|_| anyhow!("the authority's certificate cannot be read"))?;
        roots
            .add(certificate)
            .context("the authority's certificate cannot be used")?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&request.chain).collect();
    let chain = chain.map_err(|_| anyhow!("the client certificate cannot be read"))?;
    let key = PrivateKeyDer::from_pem_slice(request.key.expose().as_bytes());
    let key = key.map_err(|_| anyhow!("the client's key cannot be read"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("preparing TLS")?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .context("the client certificate cannot be used")
}

/// By types all along: what the layers print is for people.
fn obstacle(error: &reqwest::Error, request: &Request) -> Obstacle {
    if error.is_timeout() {
        let detail = format!("no answer within {} s", request.limit.as_secs());
        return Obstacle {
            cause: Cause::TimedOut,
            detail,
        };
    }
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = known(inner) {
            return found;
        }
        last = inner.to_string();
        source = inner.source();
    }
    let url = reqwest::Url::parse(&request.url).ok();
    let address = url.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let is_nameless = error.is_connect() && address.is_some_and(|address| address.to_socket_addrs().is_err());
    Obstacle {
        cause: if is_nameless { Cause::Name } else { Cause::Other },
        detail: last,
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<Obstacle> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    let io = error.downcast_ref::<std::io::Error>()?;
    // What an I/O error wraps is not its source: that is the source of what it wraps.
    if let Some(found) = io.get_ref().and_then(|inner| known(inner)) {
        return Some(found);
    }
    let cause = match io.kind() {
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::TimedOut => Cause::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Cause::Unreachable,
        _ => return None,
    };
    Some(Obstacle {
        cause,
        detail: io.to_string(),
    })
}

fn of_tls(error: &rustls::Error) -> Obstacle {
    let cause = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Cause::CertificateName
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Cause::Authority,
            _ => Cause::Certificate,
        },
        rustls::Error::AlertReceived(_) => Cause::Credentials,
        _ => Cause::Other,
    };
    Obstacle {
        cause,
        detail: error.to_string(),
    }
}
