use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use super::connections::Place;

/// The longest that a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a request may take from its head to the end of its answer, which is then on its way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time that a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Most fields in the head of a request.
const MAX_FIELDS: usize = 64;

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

/// Marks an answer that goes on for as long as the client reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams;

/// Answers the requests of one connection until it ends.
pub(super) async fn converse<S>(stream: S, via: Via, router: Router, place: Place)
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

/// What the parts of a connection share.
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
        context: &mut Context<'_>,
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
