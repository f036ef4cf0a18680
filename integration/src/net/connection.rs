mod begun;
mod handling;
mod incoming;
mod outgoing;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dashcore::ChainParams;
use dashcore::network::framing::FrameDecoder;
use dashcore::network::message::{NetworkMessage, command};
use parking_lot::Mutex;
use spv_correlation::{CorrelationError, Correlator, RegisterError, RequestId, Ticket};
use spv_netmon::Monitor;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::allowance::Allowance;
use super::announcement::Announcer;
use super::connector::Connector;
use super::disconnect_reason::DisconnectReason;
use super::gossip::Gossip;
use super::handshake::{ConnectError, Greeting, PeerInfo, greet};
use super::liveness::Liveness;
use super::lock_inbox::LockInbox;
use super::metrics;
use super::on_refusal::OnRefusal;
use super::probing::Probing;
use super::request_error::RequestError;
use super::room::Room;
use super::wanted_locks::WantedLocks;
use crate::clock;
use crate::config::Settings;
use crate::discovery::Heard;
use crate::panicked::contained_future;
use crate::wire::{Answer, Request, RequestKind};

/// Requests that may wait for the writing task; the executor's cap per peer keeps it far below.
const OUTGOING_CAPACITY: usize = 16;

/// Pongs, and requests for ChainLocks, that may wait for the writing task. A node that pings more often than it reads gets
/// none.
const REPLY_CAPACITY: usize = 16;

/// Before both sides have greeted, no message is larger.
const MAX_GREETING: usize = 4_096;

/// A connection that is to be renewed waits no longer for what is in flight, ...
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// ... and looks as often whether it has ended.
const DRAIN_RECHECK: Duration = Duration::from_millis(10);

/// What connections need to know.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionConfig {
    /// Limit for TCP connect, handshake and first pong together.
    pub(crate) handshake_timeout: Duration,
    /// Time between two pings on an idle connection.
    pub(crate) ping_interval: Duration,
    /// A node that does not answer a ping, read or go on with a message for this long is given up.
    pub(crate) ping_timeout: Duration,
    /// Largest message accepted, in bytes.
    pub(crate) max_payload: usize,
    /// Bounds of the correlation table.
    pub(crate) correlation: spv_correlation::Config,
}

/// What all connections of a pool share.
#[derive(Debug)]
pub(crate) struct ConnectionSetup {
    pub(crate) params: ChainParams,
    /// Height that is claimed in the handshake.
    pub(crate) start_height: u32,
    pub(crate) config: ConnectionConfig,
    pub(crate) connector: Connector,
    pub(crate) monitor: Monitor<SocketAddr, RequestKind>,
    /// Told of every refusal.
    pub(crate) on_refusal: OnRefusal,
    /// Where announcements of new blocks go; `None` when nobody wants them.
    pub(crate) announcer: Option<Announcer>,
    /// Where addresses of other nodes go; `None` when nobody wants them.
    pub(crate) gossip: Option<mpsc::Sender<Heard>>,
    /// Memory for large messages.
    pub(crate) room: Room,
}

/// A connection to one node: a cheap handle. Dropping the last one closes it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    _close_on_drop: Arc<tokio_util::sync::DropGuard>,
}

#[derive(Debug)]
struct Shared {
    id: u64,
    address: SocketAddr,
    handshake_time: Duration,
    info: PeerInfo,
    /// Whether headers are asked for in compressed form: the node offers that, and none came so far that could not be decoded.
    asks_compressed: AtomicBool,
    magic: [u8; 4],
    config: ConnectionConfig,
    correlator: Correlator<Request>,
    monitor: Monitor<SocketAddr, RequestKind>,
    on_refusal: OnRefusal,
    /// Kinds of the requests whose fence has not come back yet, in the order of the stream.
    fenced: Mutex<VecDeque<(RequestId, RequestKind)>>,
    announcer: Option<Announcer>,
    gossip: Gossip,
    rng: Mutex<fastrand::Rng>,
    outgoing: mpsc::Sender<Outgoing>,
    replies: mpsc::Sender<NetworkMessage>,
    wanted_locks: Mutex<WantedLocks>,
    wanted_instant_locks: Mutex<WantedLocks>,
    closing: CancellationToken,
    renewing: CancellationToken,
    closed: CancellationToken,
    reason: Mutex<Option<DisconnectReason>>,
    idle_ping: Mutex<Option<IdlePing>>,
    probing: Mutex<Probing>,
    /// Whether a fence of ours ever came back.
    proven: watch::Sender<bool>,
    liveness: Mutex<Liveness>,
    allowance: Mutex<Allowance>,
    /// When the last part came of a message that has not come whole.
    receiving_at: Mutex<Option<Instant>>,
    bytes_received: AtomicU64,
}

/// A ping that is no fence.
#[derive(Debug, Clone, Copy)]
struct IdlePing {
    nonce: u64,
    sent: Instant,
    /// Whether there was no request before it, so that its pong measures the round trip alone.
    alone: bool,
}

enum Outgoing {
    Request(Request, oneshot::Sender<Result<Ticket<Answer>, RegisterError>>),
    GetAddr,
}

impl ConnectionConfig {
    /// What the settings say of connections.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            handshake_timeout: settings.handshake_timeout,
            ping_interval: settings.ping_interval,
            ping_timeout: settings.ping_timeout,
            max_payload: settings.max_payload,
            correlation: settings.correlation.clone(),
        }
    }
}

impl Connection {
    /// Connects and greets. The first ping leaves with the answer to the handshake, but nobody waits for it here: see
    /// [`proven`](Self::proven). Without its pong the connection ends at the limit for the handshake. Tasks run on
    /// `tracker`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub(crate) async fn open(
        address: SocketAddr,
        id: u64,
        mut rng: fastrand::Rng,
        setup: &ConnectionSetup,
        tracker: &TaskTracker,
    ) -> Result<Self, ConnectError> {
        let ConnectionSetup {
            params,
            start_height,
            config,
            connector,
            monitor,
            on_refusal,
            announcer,
            gossip,
            room,
        } = setup;
        let instant_locks = announcer.as_ref().and_then(Announcer::instant_locks);
        let wants_instant_locks = instant_locks.is_some();
        let began = Instant::now();
        let deadline = began + config.handshake_timeout;
        let silent = |during| ConnectError::Silent { during, after: config.handshake_timeout };
        let decoder = FrameDecoder::new(params.magic, MAX_GREETING);
        let greeting = Greeting {
            params,
            unix_time: clock::unix_seconds(),
            nonce: rng.u64(1..),
            start_height: *start_height,
            wants_addresses: gossip.is_some(),
            wants_instant_locks,
        };
        let greeted = contained_future(async {
            let stream = connector.connect(address).await?;
            greet(stream, address, &greeting, decoder).await
        });
        let greeted = tokio::time::timeout_at(deadline, greeted).await.map_err(|_| silent("handshake"))?;
        let greeted = greeted.unwrap_or_else(|panic| {
            tracing::error!(peer = %address, %panic, "a handshake panicked");
            Err(io::Error::other("the handshake panicked").into())
        })?;

        let (outgoing, requests) = mpsc::channel(OUTGOING_CAPACITY);
        let (replies, to_send) = mpsc::channel(REPLY_CAPACITY);
        let correlator = Correlator::new(&config.correlation, rng.u64(..))
            .expect("the correlation bounds were validated with all settings");
        let shared = Arc::new(Shared {
            id,
            address,
            handshake_time: began.elapsed(),
            asks_compressed: AtomicBool::new(greeted.info.offers_headers2()),
            info: greeted.info,
            magic: params.magic,
            config: config.clone(),
            correlator,
            monitor: monitor.clone(),
            on_refusal: on_refusal.clone(),
            fenced: Mutex::new(VecDeque::new()),
            announcer: announcer.clone(),
            gossip: Gossip::new(address, gossip.clone()),
            rng: Mutex::new(rng),
            outgoing,
            replies,
            wanted_locks: Mutex::new(WantedLocks::chain_locks()),
            wanted_instant_locks: Mutex::new(WantedLocks::instant_locks()),
            closing: CancellationToken::new(),
            renewing: CancellationToken::new(),
            closed: CancellationToken::new(),
            reason: Mutex::new(None),
            idle_ping: Mutex::new(None),
            probing: Mutex::new(Probing::new(Instant::now())),
            proven: watch::Sender::new(false),
            liveness: Mutex::new(Liveness::new(config.ping_timeout, Instant::now())),
            allowance: Mutex::new(Allowance::new(wants_instant_locks, Instant::now())),
            receiving_at: Mutex::default(),
            bytes_received: AtomicU64::new(0),
        });
        if let Some(inbox) = instant_locks {
            inbox.opened(address);
        }
        let (read, write) = tokio::io::split(greeted.stream);
        let reading = shared.clone().read(read, greeted.buffer, room.clone());
        let writing = shared.clone().write(write, requests, to_send);
        tracker.spawn(shared.clone().run(reading, writing, deadline));
        Ok(Self { _close_on_drop: Arc::new(shared.closing.clone().drop_guard()), shared })
    }

    /// Number of this connection, unique in its pool; a node that comes back has a new one.
    pub(crate) fn id(&self) -> u64 {
        self.shared.id
    }

    /// What the node said of itself.
    pub(crate) fn info(&self) -> &PeerInfo {
        &self.shared.info
    }

    /// How long connecting and greeting took.
    pub(crate) fn handshake_time(&self) -> Duration {
        self.shared.handshake_time
    }

    /// When the last part of a message came that has not come whole; `None` where nothing is half there.
    pub(crate) fn receiving_at(&self) -> Option<Instant> {
        *self.shared.receiving_at.lock()
    }

    /// Bytes received so far.
    pub(crate) fn bytes_received(&self) -> u64 {
        self.shared.bytes_received.load(Ordering::Relaxed)
    }

    /// Asks and waits for the answer, the refusal or the end of the connection. There is no timeout here but the
    /// correlation table's expiry. Headers come in compressed form where the node offers that.
    ///
    /// # Errors
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons the request; its answer, if it comes, is still attributed to it.
    pub(crate) async fn request(&self, request: Request) -> Result<Answer, RequestError> {
        let kind = request.kind();
        let request = if self.shared.asks_compressed() { request.compressed() } else { request };
        let is_compressed = request.answer_name() == command::HEADERS2;
        let (registered, ticket) = oneshot::channel();
        self.shared
            .outgoing
            .send(Outgoing::Request(request, registered))
            .await
            .map_err(|_| RequestError::Disconnected)?;
        let ticket = ticket.await.map_err(|_| RequestError::Disconnected)??;
        let answer = ticket.await;
        if let Ok(spv_correlation::Answer { elapsed, .. })
        | Err(CorrelationError::Refused { after: elapsed }) = &answer
        {
            self.shared.probing.lock().took(*elapsed);
        }
        if is_compressed && answer == Err(CorrelationError::Mismatched) && !self.shared.asks_compressed() {
            return Err(RequestError::Undecodable);
        }
        let answer = answer?;
        let bytes = answer.response.payload.len() as u64;
        self.shared.monitor.on_answer(&self.shared.address, kind, bytes, answer.elapsed, clock::now());
        Ok(answer.response)
    }

    /// Asks for addresses of other nodes, which come whenever the node likes. To be called once: a node answers once.
    pub(crate) fn ask_for_addresses(&self) {
        self.shared.gossip.ask();
        // Where there is no place, so much is going on that there are peers enough.
        self.shared.outgoing.try_send(Outgoing::GetAddr).ok();
    }

    /// Resolves when the first pong has come back, before which the node has only shown that it can greet; or the reason
    /// why none will.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn proven(&self) -> Result<(), DisconnectReason> {
        let mut proven = self.shared.proven.subscribe();
        tokio::select! {
            biased;
            // Cannot fail: the sender is a field of what `self` holds.
            _ = proven.wait_for(|proven| *proven) => Ok(()),
            reason = self.closed() => Err(reason),
        }
    }

    /// Resolves when the connection has ended.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn closed(&self) -> DisconnectReason {
        self.shared.closed.cancelled().await;
        self.shared.reason.lock().clone().unwrap_or(DisconnectReason::Local)
    }

    /// Closes the connection; requests in flight end with [`RequestError::Disconnected`].
    pub(crate) fn close(&self) {
        self.shared.closing.cancel();
    }

    /// Closes the connection once nothing is in flight, or soon; for peers that are asked nothing more on this connection,
    /// and are to be connected anew at once.
    pub(crate) fn renew(&self) {
        self.shared.renewing.cancel();
    }
}

impl Shared {
    async fn run(
        self: Arc<Self>,
        reading: impl Future<Output = DisconnectReason>,
        writing: impl Future<Output = DisconnectReason>,
        deadline: Instant,
    ) {
        // Polled in order, here and below, so that a simulation always goes the same way.
        let ended = contained_future(async {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => DisconnectReason::Local,
                reason = reading => reason,
                reason = writing => reason,
                () = self.unproven_at(deadline) => DisconnectReason::Unproven,
                () = self.drained() => DisconnectReason::Renewed,
            }
        });
        let reason = ended.await.unwrap_or_else(|panic| {
            tracing::error!(peer = %self.address, %panic, "a connection panicked");
            DisconnectReason::Panicked
        });
        tracing::debug!(peer = %self.address, %reason, "disconnected");
        metrics::disconnected(&reason);
        self.reason.lock().get_or_insert(reason);
        self.correlator.close();
        if let Some(inbox) = self.instant_locks() {
            inbox.closed(self.address);
        }
        self.closed.cancel();
    }

    /// Where InstantSend locks go, if they are asked for.
    fn instant_locks(&self) -> Option<&LockInbox> {
        self.announcer.as_ref().and_then(Announcer::instant_locks)
    }

    fn asks_compressed(&self) -> bool {
        self.asks_compressed.load(Ordering::Relaxed)
    }

    /// Resolves at `deadline`, unless a pong comes before.
    async fn unproven_at(&self, deadline: Instant) {
        let mut proven = self.proven.subscribe();
        if tokio::time::timeout_at(deadline, proven.wait_for(|proven| *proven)).await.is_ok() {
            std::future::pending().await
        }
    }

    /// Resolves when the connection is to be renewed and nothing is in flight, or has been for long.
    async fn drained(&self) {
        self.renewing.cancelled().await;
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while self.correlator.in_flight() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_RECHECK).await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
