//! The connection, and the three shapes of a call.

use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::tokio_stream::{self, StreamExt as _};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::Error;

/// All objects of a cluster in one answer; tonic's own limit of 4 MiB is below etcd's.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// A watch may be silent for hours: this finds out whether the other side still lives. etcd hangs up on
/// clients that ask more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_LIMIT: Duration = Duration::from_secs(5);

/// What is needed to be let in, each in PEM.
#[derive(Clone)]
pub struct Tls {
    pub ca: Vec<u8>,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl Tls {
    /// What a k3s server has below its data folder `server`. `client.crt` is good on every member: they all have it
    /// signed by one CA.
    pub fn of_k3s(server: &Path) -> std::io::Result<Self> {
        let read = |name: &str| {
            let path = server.join("tls/etcd").join(name);
            std::fs::read(&path)
                .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        Ok(Self {
            ca: read("server-ca.crt")?,
            certificate: read("client.crt")?,
            key: read("client.key")?,
        })
    }
}

/// Runs work with etcd to its end, for callers without a tokio runtime of their own.
pub fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// One etcd member. Connects when first used and again whenever the connection broke.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    limit: Duration,
}

impl Client {
    /// `endpoint` as in `https://127.0.0.1:2379`; no call takes longer than `limit`. To be called inside a
    /// tokio runtime, on which the connection then lives.
    pub fn new(endpoint: &str, tls: &Tls, limit: Duration) -> Result<Self, Error> {
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&tls.ca))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        let channel = Endpoint::from_shared(endpoint.to_owned())?
            .tls_config(config)?
            .connect_timeout(limit)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_LIMIT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self { channel, limit })
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        grpc.ready()
            .await
            .map_err(|error| Status::from_error(error.into()))?;
        Ok(grpc)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::TimedOut(self.limit)),
        }
    }

    /// One request, one answer.
    pub(crate) async fn call<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Error>
    where
        Q: Message + Default + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.within(async {
            let mut grpc = self.ready().await?;
            let path = PathAndQuery::from_static(path);
            let answer = grpc
                .unary(Request::new(request), path, ProstCodec::<Q, A>::default())
                .await?;
            Ok(answer.into_inner())
        })
        .await
    }

    /// One request, many answers; the limit is on the first sign of life.
    pub(crate) async fn stream<Q, A>(&self, path: &'static str, request: Q) -> Result<Streaming<A>, Error>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.within(async {
            let mut grpc = self.ready().await?;
            let path = PathAndQuery::from_static(path);
            let codec = ProstCodec::<Q, A>::default();
            Ok(grpc
                .server_streaming(Request::new(request), path, codec)
                .await?
                .into_inner())
        })
        .await
    }

    /// One request whose sending side stays open, many answers.
    pub(crate) async fn converse<Q, A>(&self, path: &'static str, request: Q) -> Result<Streaming<A>, Error>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.within(async {
            let mut grpc = self.ready().await?;
            let path = PathAndQuery::from_static(path);
            let requests = tokio_stream::iter([request]).chain(tokio_stream::pending());
            let codec = ProstCodec::<Q, A>::default();
            Ok(grpc
                .streaming(Request::new(requests), path, codec)
                .await?
                .into_inner())
        })
        .await
    }

    /// The next answer of a stream, within the limit.
    pub(crate) async fn next<A>(&self, stream: &mut Streaming<A>) -> Result<Option<A>, Error> {
        self.within(stream.message()).await
    }
}

/// The end of a stream that has none.
pub(crate) fn hung_up() -> Error {
    Error::Etcd {
        code: Code::Unavailable,
        message: "etcd closed the stream".to_owned(),
    }
}
