use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use spv_integration::Config;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use super::connections::{Connections, Origin, Place};
use super::events::Events;
use super::router::router;
use super::state::App;
use crate::answers::Data;
use crate::ask::SOCKET;
use crate::live::Live;
use crate::telemetry;

/// The longest that a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a request may take from its head to the end of its answer, which is then on its way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that a client may leave what is sent to it unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Most fields in the head of a request.
const MAX_FIELDS: usize = 64;

/// Wait after a connection could not be accepted, which mostly means that the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time between two tidyings of what metrics keep in memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// What who finds no place is told.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 102\r\n\r\n\
    {\"error\":\"overloaded\",\"message\":\"too many connections are being answered; try again\",\"transient\":true}";

/// How a connection came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Via {
    /// The socket in the data directory.
    Socket,
    Tcp {
        /// Where the client connected to.
        local: SocketAddr,
    },
}

/// Marks an answer that goes on for as long as somebody reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams;

/// Where the service answers: at an address, if one is configured, and at a socket in the data directory.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: Option<TcpListener>,
    metrics: Option<PrometheusHandle>,
}

impl Endpoint {
    /// Listens where `config` says, and collects metrics from here on. Must run before anything is measured.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let Some(address) = config.listen_address() else {
            return Ok(Self { listener: None, metrics: None });
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen at {address}; choose another with --metrics-listen"))?;
        let address = listener.local_addr()?;
        tracing::info!(url = %format!("http://{address}/"), "serving the page, the API, metrics and health");
        Ok(Self { listener: Some(listener), metrics: Some(telemetry::collect_metrics()?) })
    }

    /// Answers until it is dropped, which also ends the connections.
    pub(crate) async fn serve(self, data: Data, live: Arc<Live>, events: Arc<Events>) -> Infallible {
        let settings = data.client.config().api.clone();
        let connections = Connections::new(settings.max_connections, settings.max_connections_per_client);
        let socket = Socket::beside(data.client.store().path());
        let metrics = self.metrics.clone();
        let router = router(App::new(data, live, self.metrics, events, settings));
        let mut conversations = JoinSet::new();
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            let accepted = tokio::select! {
                accepted = accept(self.listener.as_ref()) => accepted,
                accepted = accept_local(socket.as_ref()) => accepted,
                Some(_) = conversations.join_next() => continue,
                _ = upkeep.tick() => {
                    if let Some(metrics) = &metrics {
                        metrics.run_upkeep();
                    }
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => {
                    if let Some(place) = connections.enter(accepted.origin()) {
                        conversations.spawn(accepted.converse(router.clone(), place));
                    } else {
                        accepted.refuse();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The socket in the data directory; removed when dropped.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// `None` where there can be none, which costs nothing but that the command line cannot ask.
    fn beside(database: &Path) -> Option<Self> {
        if !database.is_file() {
            return None;
        }
        let path = database.with_file_name(SOCKET);
        // Who has the database open is alone, so one that is there was left behind.
        std::fs::remove_file(&path).ok();
        match UnixListener::bind(&path) {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "the command line cannot ask this process");
                None
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Socket(UnixStream),
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<Accepted> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, remote)| Accepted::Tcp(stream, remote)),
        None => std::future::pending().await,
    }
}

async fn accept_local(socket: Option<&Socket>) -> io::Result<Accepted> {
    match socket {
        Some(socket) => socket.listener.accept().await.map(|(stream, _)| Accepted::Socket(stream)),
        None => std::future::pending().await,
    }
}

impl Accepted {
    fn origin(&self) -> Origin {
        match self {
            Self::Tcp(_, remote) => Origin::Address(remote.ip().to_canonical()),
            Self::Socket(_) => Origin::Socket,
        }
    }

    /// Says so, if that can be done at once.
    fn refuse(self) {
        match self {
            Self::Tcp(stream, _) => stream.try_write(NO_PLACE).ok(),
            Self::Socket(stream) => stream.try_write(NO_PLACE).ok(),
        };
    }

    async fn converse(self, router: Router, place: Place) {
        match self {
            Self::Tcp(stream, _) => {
                let Ok(local) = stream.local_addr() else { return };
                stream.set_nodelay(true).ok();
                converse(stream, Via::Tcp { local }, router, place).await;
            }
            Self::Socket(stream) => converse(stream, Via::Socket, router, place).await,
        }
    }
}

async fn converse<S>(stream: S, via: Via, router: Router, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (turn, turns) = watch::channel(Turn::Waiting);
    let shared = Arc::new(Conversation { place, turn });
    let answer = service_fn(|mut request: Request<Incoming>| {
        let answering = Answering::begin(shared.clone());
        request.extensions_mut().insert(via);
        let response = router.clone().call(request);
        async move { response.await.map(|response| answering.with(response)) }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
    tokio::select! {
        done = connection => if let Err(error) = done {
            tracing::debug!(%error, ?via, "an HTTP connection failed");
        },
        () = overdue(turns) => tracing::debug!(?via, "an HTTP connection took too long"),
        () = shared.place.ended.cancelled() => tracing::debug!(?via, "an HTTP connection made way for another"),
    }
}

#[derive(Debug)]
struct Conversation {
    place: Place,
    turn: watch::Sender<Turn>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// The client's; hyper counts the time.
    Waiting,
    /// Ours, until then.
    Answering { until: Instant },
    /// Ours, for as long as the client reads.
    Open,
}

/// Returns when an answer is not through in time.
async fn overdue(mut turns: watch::Receiver<Turn>) {
    loop {
        let turn = *turns.borrow_and_update();
        let late = async {
            match turn {
                Turn::Waiting | Turn::Open => std::future::pending().await,
                Turn::Answering { until } => tokio::time::sleep_until(until).await,
            }
        };
        tokio::select! {
            () = late => return,
            changed = turns.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// From a request's head to the last byte of its answer.
struct Answering {
    conversation: Arc<Conversation>,
}

impl Answering {
    fn begin(conversation: Arc<Conversation>) -> Self {
        conversation.place.is_busy();
        conversation.turn.send_replace(Turn::Answering { until: Instant::now() + ANSWER_TIMEOUT });
        Self { conversation }
    }

    fn with(self, response: Response<Body>) -> Response<Answer> {
        if response.extensions().get::<Streams>().is_some() {
            self.conversation.turn.send_replace(Turn::Open);
        }
        response.map(|body| Answer { body, _answering: self })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.conversation.place.waits();
        self.conversation.turn.send_replace(Turn::Waiting);
    }
}

/// A body, and what ends with it.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_told_in_a_whole_answer() {
        let text = std::str::from_utf8(NO_PLACE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{} {text}", body.len());
        let problem: crate::answers::Problem = serde_json::from_str(body).unwrap();
        assert_eq!((problem.status(), problem.transient), (503, true));
    }
}
