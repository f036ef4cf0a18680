use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use dashcore::ChainParams;
use dashcore::network::framing::{Frame, FrameDecoder};
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::Inventory;
use parking_lot::Mutex;
use spv_correlation::{CorrelationError, Correlator, Delivery, RegisterError, Ticket, Verdict};
use spv_netmon::Monitor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::announcement::{Announcement, News};
use super::connector::{Connector, Stream};
use super::disconnect_reason::DisconnectReason;
use super::gossip::Gossip;
use super::handshake::{ConnectError, Greeting, PeerInfo, greet};
use super::probing::Probing;
use super::request::{Answer, Request, RequestKind};
use super::transport::RequestError;
use crate::clock;
use crate::discovery::Heard;
use crate::metrics;
use crate::timer::sleep_until;

/// Requests that may wait for the writing task; the executor's cap per peer keeps it far below.
const OUTGOING_CAPACITY: usize = 16;

/// Bytes asked of the socket at a time.
const READ_CHUNK: usize = 64 * 1024;

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
    /// Without any byte for this long after a ping, the connection is given up.
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
    /// Where announcements of new blocks go; `None` when nobody wants them.
    pub(crate) announcements: Option<mpsc::Sender<Announcement>>,
    /// Where addresses of other nodes go; `None` when nobody wants them.
    pub(crate) gossip: Option<mpsc::Sender<Heard>>,
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
    info: PeerInfo,
    magic: [u8; 4],
    config: ConnectionConfig,
    correlator: Correlator<Request>,
    monitor: Monitor<SocketAddr, RequestKind>,
    announcements: Option<mpsc::Sender<Announcement>>,
    gossip: Gossip,
    rng: Mutex<fastrand::Rng>,
    outgoing: mpsc::Sender<Outgoing>,
    closing: CancellationToken,
    renewing: CancellationToken,
    /// Whether nothing more may be asked.
    spent: AtomicBool,
    closed: CancellationToken,
    reason: Mutex<Option<DisconnectReason>>,
    idle_ping: Mutex<Option<IdlePing>>,
    probing: Mutex<Probing>,
    /// Whether a fence of ours ever came back.
    proven: watch::Sender<bool>,
    last_received: Mutex<Instant>,
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
    Pong(u64),
    GetAddr,
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
        let ConnectionSetup { params, start_height, config, connector, monitor, announcements, gossip } =
            setup;
        let deadline = Instant::now() + config.handshake_timeout;
        let silent = |during| ConnectError::Silent { during, after: config.handshake_timeout };
        let decoder = FrameDecoder::new(params.magic, config.max_payload);
        let greeting = Greeting {
            params,
            unix_time: clock::unix_time(),
            nonce: rng.u64(1..),
            start_height: *start_height,
            wants_addresses: gossip.is_some(),
        };
        let greeted = async {
            let stream = connector.connect(address).await?;
            greet(stream, address, &greeting, decoder).await
        };
        let greeted = tokio::time::timeout_at(deadline, greeted).await.map_err(|_| silent("handshake"))??;

        let (outgoing, requests) = mpsc::channel(OUTGOING_CAPACITY);
        let correlator = Correlator::new(&config.correlation, rng.u64(..))
            .expect("the correlation bounds were validated with the rest of the configuration");
        let shared = Arc::new(Shared {
            id,
            address,
            info: greeted.info,
            magic: params.magic,
            config: config.clone(),
            correlator,
            monitor: monitor.clone(),
            announcements: announcements.clone(),
            gossip: Gossip::new(address, gossip.clone()),
            rng: Mutex::new(rng),
            outgoing,
            closing: CancellationToken::new(),
            renewing: CancellationToken::new(),
            spent: AtomicBool::new(false),
            closed: CancellationToken::new(),
            reason: Mutex::new(None),
            idle_ping: Mutex::new(None),
            probing: Mutex::new(Probing::new(Instant::now())),
            proven: watch::Sender::new(false),
            last_received: Mutex::new(Instant::now()),
            bytes_received: AtomicU64::new(0),
        });
        let (read, write) = tokio::io::split(greeted.stream);
        tracker.spawn(shared.clone().run(read, greeted.buffer, decoder, write, requests, deadline));
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

    /// Bytes received so far.
    pub(crate) fn bytes_received(&self) -> u64 {
        self.shared.bytes_received.load(Ordering::Relaxed)
    }

    /// Asks and waits for the answer, the refusal or the end of the connection. There is no timeout here but the
    /// correlation table's expiry.
    ///
    /// # Errors
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons the request; its answer, if it comes, is still attributed to it.
    pub(crate) async fn request(&self, request: Request) -> Result<Answer, RequestError> {
        if self.shared.spent.load(Ordering::Relaxed) {
            return Err(RequestError::CreditSpent);
        }
        let kind = request.kind();
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
        let answer = answer?;
        let bytes = answer.response.payload.len() as u64;
        let now = Instant::now().into_std();
        self.shared.monitor.on_answer(&self.shared.address, kind, bytes, answer.elapsed, now);
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

    /// Sends no further request: the node has refused as many as it may be made to on this connection.
    pub(crate) fn spend(&self) {
        self.shared.spent.store(true, Ordering::Relaxed);
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
        read: ReadHalf<Box<dyn Stream>>,
        buffer: BytesMut,
        decoder: FrameDecoder,
        write: WriteHalf<Box<dyn Stream>>,
        requests: mpsc::Receiver<Outgoing>,
        deadline: Instant,
    ) {
        // Polled in order, here and below, so that a simulation always goes the same way.
        let reason = tokio::select! {
            biased;
            () = self.closing.cancelled() => DisconnectReason::Local,
            reason = self.read(read, buffer, decoder) => reason,
            reason = self.write(write, requests) => reason,
            () = self.unproven_at(deadline) => DisconnectReason::Unproven,
            () = self.drained() => DisconnectReason::Renewed,
        };
        tracing::debug!(peer = %self.address, %reason, "disconnected");
        self.reason.lock().get_or_insert(reason);
        self.correlator.close();
        self.closed.cancel();
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

    async fn read(
        &self,
        mut stream: ReadHalf<Box<dyn Stream>>,
        mut buffer: BytesMut,
        decoder: FrameDecoder,
    ) -> DisconnectReason {
        loop {
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Some(frame)) => self.handle(frame).await,
                    Ok(None) => break,
                    Err(error) => return error.into(),
                }
            }
            buffer.reserve(READ_CHUNK);
            match stream.read_buf(&mut buffer).await {
                Ok(0) => return DisconnectReason::Remote,
                Ok(count) => {
                    self.bytes_received.fetch_add(count as u64, Ordering::Relaxed);
                    metrics::bytes_received(count);
                    *self.last_received.lock() = Instant::now();
                }
                Err(error) => return DisconnectReason::Io(error.kind()),
            }
        }
    }

    async fn handle(&self, frame: Frame) {
        if let Some(kind) = RequestKind::answered_by(frame.command) {
            let answer = Answer { kind, payload: frame.payload, checksum_valid: frame.checksum_valid };
            if let Delivery::Undelivered { verdict, response } = self.correlator.on_response(answer) {
                if verdict == Verdict::Unsolicited
                    && kind == RequestKind::GetHeaders
                    && response.checksum_valid
                {
                    self.announce(News::Headers(response.payload));
                    return;
                }
                metrics::undelivered(response.payload.len());
                tracing::debug!(peer = %self.address, ?verdict, "answer not delivered");
            }
            return;
        }
        // As Dash Core does with messages it cannot trust or understand: no answer, no penalty.
        if !frame.checksum_valid {
            return;
        }
        match NetworkMessage::decode(frame.command, &frame.payload) {
            // The channel is closed only when the connection is ending.
            Ok(Some(NetworkMessage::Ping(nonce))) => {
                self.outgoing.send(Outgoing::Pong(nonce)).await.ok();
            }
            Ok(Some(NetworkMessage::Pong(nonce))) => self.on_pong(nonce),
            Ok(Some(NetworkMessage::Inv(inventory))) => {
                let newest = inventory.iter().rev().find_map(|entry| match entry {
                    Inventory::Block(hash) => Some(*hash),
                    Inventory::Unknown { .. } => None,
                });
                newest.into_iter().for_each(|hash| self.announce(News::Block(hash)));
            }
            Ok(Some(NetworkMessage::Addr(entries))) => self.gossip.on_addr(&entries),
            Ok(Some(NetworkMessage::AddrV2(entries))) => self.gossip.on_addrv2(&entries),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(peer = %self.address, command = %frame.command, %error, "undecodable");
            }
        }
    }

    /// Tells of new blocks, unless nobody listens or those who do are far behind.
    fn announce(&self, news: News) {
        if let Some(announcements) = &self.announcements {
            announcements.try_send(Announcement { peer: self.address, news }).ok();
        }
    }

    fn on_pong(&self, nonce: u64) {
        let mut idle_ping = self.idle_ping.lock();
        if let Some(ping) = idle_ping.filter(|ping| ping.nonce == nonce) {
            *idle_ping = None;
            if ping.alone {
                let now = Instant::now();
                self.monitor.on_rtt(&self.address, now - ping.sent, now.into_std());
            }
            self.proven.send_if_modified(|proven| !std::mem::replace(proven, true));
            return;
        }
        drop(idle_ping);
        let verdict = self.correlator.on_fence(nonce);
        tracing::trace!(peer = %self.address, ?verdict, "fence");
    }

    async fn write(
        &self,
        mut stream: WriteHalf<Box<dyn Stream>>,
        mut requests: mpsc::Receiver<Outgoing>,
    ) -> DisconnectReason {
        let mut ping = tokio::time::interval(self.config.ping_interval);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut out = Vec::new();
        if self.announcements.is_some() {
            // Goes out with the first ping.
            NetworkMessage::SendHeaders.encode_framed(self.magic, &mut out);
        }
        // Before any request, so that its pong measures the way alone.
        ping.tick().await;
        self.encode_idle_ping(&mut out);
        loop {
            if let Err(error) = stream.write_all(&out).await {
                return DisconnectReason::Io(error.kind());
            }
            out.clear();
            let expiry = self.correlator.next_expiry();
            let probe = self.probing.lock().due(self.correlator.waiting_since());
            tokio::select! {
                biased;
                outgoing = requests.recv() => match outgoing {
                    Some(outgoing) => self.encode(outgoing, &mut out),
                    None => return DisconnectReason::Local,
                },
                _ = ping.tick() => {
                    if self.is_silent() {
                        return DisconnectReason::Silent;
                    }
                    self.encode_idle_ping(&mut out);
                }
                () = sleep_until(expiry) => {
                    self.correlator.expire();
                }
                () = sleep_until(probe) => {
                    self.probing.lock().sent(Instant::now());
                    if let Some(nonce) = self.correlator.probe() {
                        NetworkMessage::Ping(nonce).encode_framed(self.magic, &mut out);
                    }
                }
            }
        }
    }

    /// Registers a request before its bytes are written, in the order of the stream: only then does the position of
    /// an answer name its request.
    fn encode(&self, outgoing: Outgoing, out: &mut Vec<u8>) {
        match outgoing {
            Outgoing::Pong(nonce) => NetworkMessage::Pong(nonce).encode_framed(self.magic, out),
            Outgoing::GetAddr => NetworkMessage::GetAddr.encode_framed(self.magic, out),
            Outgoing::Request(request, registered) => {
                let message = request.to_message();
                let kind = request.kind();
                match self.correlator.register(request) {
                    Ok((ticket, fence)) => {
                        metrics::request_sent(kind);
                        message.encode_framed(self.magic, out);
                        if self.config.correlation.fences {
                            NetworkMessage::Ping(fence).encode_framed(self.magic, out);
                        }
                        // A caller that has gone drops its ticket, which abandons the request.
                        registered.send(Ok(ticket)).ok();
                    }
                    Err(error) => {
                        registered.send(Err(error)).ok();
                    }
                }
            }
        }
    }

    /// Pings only while nothing is in flight, so that the pong measures the way alone; requests bring their own pings,
    /// unless fences are off.
    fn encode_idle_ping(&self, out: &mut Vec<u8>) {
        let mut idle_ping = self.idle_ping.lock();
        let alone = self.correlator.in_flight() == 0;
        if idle_ping.is_none() && (alone || !self.config.correlation.fences) {
            let nonce = self.rng.lock().u64(..);
            *idle_ping = Some(IdlePing { nonce, sent: Instant::now(), alone });
            NetworkMessage::Ping(nonce).encode_framed(self.magic, out);
        }
    }

    fn is_silent(&self) -> bool {
        let unanswered = self.idle_ping.lock().map_or(Duration::ZERO, |ping| ping.sent.elapsed());
        unanswered >= self.config.ping_timeout
            && self.last_received.lock().elapsed() >= self.config.ping_timeout
    }
}
