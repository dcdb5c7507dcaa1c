//! TLS on both ends. A server takes any client certificate and judges it afterwards, as k3s does: an expired one
//! is answered 401, not a broken handshake.

use crate::log;
use crate::pki::Pair;
use anyhow::{Context, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .context("reading a certificate")
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).context("reading a private key")
}

fn roots(pem: &str) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).context("trusting a CA certificate")?;
    }
    Ok(Arc::new(store))
}

/// The judge of client certificates.
#[derive(Clone, Debug)]
pub struct ClientJudge(Arc<dyn ClientCertVerifier>);

impl ClientJudge {
    pub fn new(ca: &str) -> Result<Self> {
        let builder = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider());
        Ok(Self(builder.build().context("reading the client CA")?))
    }

    /// Asked at each request: a certificate may expire while its connection lives.
    pub fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((leaf, rest)) = chain.split_first() else {
            return false;
        };
        match self.0.verify_client_cert(leaf, rest, UnixTime::now()) {
            Ok(_) => true,
            Err(error) => {
                log::component(
                    'E',
                    "authentication.go:73",
                    &format!(
                        "\"Unable to authenticate the request\" err=\"[x509: {}]\"",
                        words(&error)
                    ),
                );
                false
            }
        }
    }
}

fn words(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "certificate has expired or is not yet valid",
        _ => "certificate signed by unknown authority",
    }
}

/// A serving certificate on the disk, read again when its file has changed: a real server notices that too.
pub struct OnDisk {
    file: PathBuf,
    read: Box<dyn Fn() -> Result<Pair> + Send + Sync>,
    /// With the time of the file that it was read from.
    last: Mutex<(Option<SystemTime>, Arc<CertifiedKey>)>,
}

impl OnDisk {
    pub fn new(file: PathBuf, read: impl Fn() -> Result<Pair> + Send + Sync + 'static) -> Result<Arc<Self>> {
        let first = (changed(&file), certified(&read()?)?);
        Ok(Arc::new(Self {
            file,
            read: Box::new(read),
            last: Mutex::new(first),
        }))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let now = changed(&self.file);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != now
            && let Ok(key) = (self.read)().and_then(|pair| certified(&pair))
        {
            *last = (now, key);
        }
        Arc::clone(&last.1)
    }
}

impl fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())
    }
}

impl ResolvesServerCert for OnDisk {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

pub fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}

fn certified(pair: &Pair) -> Result<Arc<CertifiedKey>> {
    let key = CertifiedKey::from_der(certificates(&pair.chain)?, key(&pair.key)?, &provider())?;
    Ok(Arc::new(key))
}

pub fn server(serving: Arc<OnDisk>, judge: &ClientJudge) -> Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.with_client_cert_verifier(Arc::new(TakeAnyone(judge.clone())));
    let mut config = builder.with_cert_resolver(serving);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

pub fn client(ca: &str, identity: Option<(&str, &str)>) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots(ca)?);
    Ok(Arc::new(match identity {
        Some((chain, secret)) => builder.with_client_auth_cert(certificates(chain)?, key(secret)?)?,
        None => builder.with_no_client_auth(),
    }))
}

/// For the first look at a server whose CA is not known yet.
pub fn trusting_client() -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnyone));
    Ok(Arc::new(builder.with_no_client_auth()))
}

#[derive(Debug)]
struct TakeAnyone(ClientJudge);

impl ClientCertVerifier for TakeAnyone {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

#[derive(Debug)]
struct TrustAnyone;

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
