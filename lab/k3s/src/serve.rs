//! The listener on 6443: supervisor and API behind one certificate.

use crate::api::Api;
use crate::api::http::{self, Body, Request};
use crate::api::status::Refusal;
use crate::cluster::Cluster;
use crate::phase::Phase;
use crate::supervisor::Supervisor;
use crate::tls::ClientJudge;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A client that says nothing must not keep a door open for ever.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub struct Front {
    /// Of port 6443.
    pub tls: Arc<ServerConfig>,
    /// Of the API server's own port.
    pub inner_tls: Arc<ServerConfig>,
    pub judge: ClientJudge,
    pub supervisor: Supervisor,
    pub phase: Phase,
    pub address: String,
    /// There as soon as the datastore is.
    pub cluster: OnceLock<Cluster>,
}

impl Front {
    pub async fn run(self: Arc<Self>, listener: TcpListener, tls: Arc<ServerConfig>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(Arc::clone(&self).connection(stream, Arc::clone(&tls)));
                }
                // Out of file descriptors, most likely: some will be free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, tls: Arc<ServerConfig>) {
        // Without it a small answer waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let accepting = TlsAcceptor::from(tls).accept(stream);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, accepting).await else {
            return;
        };
        let chain = stream.get_ref().1.peer_certificates();
        let chain: Arc<[CertificateDer<'static>]> = chain
            .unwrap_or_default()
            .iter()
            .map(|c| c.clone().into_owned())
            .collect();
        let service = service_fn(|request| {
            let (front, chain) = (Arc::clone(&self), Arc::clone(&chain));
            async move {
                let known = front.judge.accepts(&chain);
                Ok::<_, Infallible>(front.answer(known, request).await)
            }
        });
        // A client that goes away in the middle is an everyday thing.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, known: bool, request: hyper::Request<Incoming>) -> Response<Body> {
        let headers = request.headers().clone();
        let request = match Request::read(request).await {
            Ok(request) => request,
            Err(refusal) => return http::refused(&refusal),
        };
        let cluster = self.cluster.get();
        let serving = cluster.filter(|_| self.phase.serves());
        if let Some(answer) = self.supervisor.answer(serving, &request, &headers).await {
            return answer;
        }
        match cluster {
            Some(cluster) => {
                let api = Api {
                    cluster: cluster.clone(),
                    phase: self.phase,
                    address: self.address.clone(),
                };
                api.answer(known, request).await
            }
            None if !known => http::refused(&Refusal::unauthorized()),
            None => {
                let mut answer = http::refused(&Refusal::unavailable());
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                answer
            }
        }
    }
}
