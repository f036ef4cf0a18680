mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dashcore::ChainParams;
use dashcore::network::framing::{Command, Frame, FrameDecoder};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::GetHeadersMessage;
use parking_lot::Mutex;
use spv_integration::plan::Work;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use stream::{Connect, connector};
use stream::{MAX_PAYLOAD, next_frame, version};

/// What all rivals share: connections that are kept up, and answers that find their request by what they say. Who is
/// asked what, when and how long is left to the rival's policy.
#[derive(Debug)]
pub(crate) struct Client {
    magic: [u8; 4],
    peers: Vec<Peer>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Peer {
    /// Towards the connection; `None` while there is none.
    outgoing: watch::Sender<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    answer: oneshot::Sender<Bytes>,
}

/// What answers a request.
#[derive(Debug)]
enum Wanted {
    /// What does this work.
    Lists(Arc<Work>),
    /// The next message of this name: headers do not say which request they answer.
    Headers(Command),
}

/// Why a request brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no connection, or it ended.
    #[error("not connected")]
    Disconnected,
    /// The policy's time was up.
    #[error("timed out")]
    TimedOut,
}

impl Client {
    /// Connects to all nodes, and again whenever a connection ends.
    pub(crate) fn start(
        params: &ChainParams,
        connector: &Connect,
        addresses: &[SocketAddr],
        seed: u64,
    ) -> Arc<Self> {
        let peer = || Peer { outgoing: watch::Sender::new(None), waiting: Mutex::default() };
        let client = Arc::new(Self {
            magic: params.magic,
            peers: addresses.iter().map(|_| peer()).collect(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        for (index, &address) in addresses.iter().enumerate() {
            let (client_of_task, connect, params) = (client.clone(), connector.clone(), params.clone());
            let rng = fastrand::Rng::with_seed(seed.wrapping_add(index as u64));
            client.tasks.spawn(async move {
                let stop = client_of_task.stop.clone();
                let keep = client_of_task.keep(index, address, &connect, &params, rng);
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = keep => {}
                }
            });
        }
        client
    }

    /// How many nodes there are; they are numbered from 0.
    pub(crate) fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Whether a node is connected.
    pub(crate) fn is_connected(&self, peer: usize) -> bool {
        self.peers[peer].outgoing.borrow().is_some()
    }

    /// Waits until a node is connected, or is not.
    pub(crate) async fn until_connected(&self, peer: usize, connected: bool) {
        let mut outgoing = self.peers[peer].outgoing.subscribe();
        // Cannot fail: the sender is a field of `self`.
        outgoing.wait_for(|outgoing| outgoing.is_some() == connected).await.ok();
    }

    /// The next connected node from `from` on, in turn; waits where there is none.
    pub(crate) async fn next_connected(&self, from: usize) -> usize {
        loop {
            let turn = (0..self.peers()).map(|step| (from + step) % self.peers());
            if let Some(peer) = turn.into_iter().find(|&peer| self.is_connected(peer)) {
                return peer;
            }
            let any = (0..self.peers()).map(|peer| Box::pin(self.until_connected(peer, true)));
            futures::future::select_all(any).await;
        }
    }

    /// Asks a node and waits for an answer that says it is one to this request.
    ///
    /// # Errors
    /// When the connection ends.
    ///
    /// # Cancel safety
    /// Dropped, the answer is thrown away when it comes.
    pub(crate) async fn ask(&self, peer: usize, work: &Arc<Work>) -> Result<Bytes, AskError> {
        let received = self.send(peer, work)?;
        received.await.map_err(|_| AskError::Disconnected)
    }

    /// The same with a limit.
    ///
    /// # Errors
    /// When the connection ends or time is up.
    pub(crate) async fn ask_within(
        &self,
        peer: usize,
        work: &Arc<Work>,
        limit: Duration,
    ) -> Result<Bytes, AskError> {
        match tokio::time::timeout(limit, self.ask(peer, work)).await {
            Ok(result) => result,
            Err(_) => Err(AskError::TimedOut),
        }
    }

    /// Asks a node; the answer comes through the receiver however late.
    ///
    /// # Errors
    /// Without a connection.
    pub(crate) fn send(&self, peer: usize, work: &Arc<Work>) -> Result<oneshot::Receiver<Bytes>, AskError> {
        self.send_for(peer, &work.message(), Wanted::Lists(work.clone()))
    }

    /// Asks a node for headers, compressed or not, and waits for the next message with such.
    ///
    /// # Errors
    /// When the connection ends or time is up.
    pub(crate) async fn ask_headers_within(
        &self,
        peer: usize,
        request: GetHeadersMessage,
        is_compressed: bool,
        limit: Duration,
    ) -> Result<Bytes, AskError> {
        let (message, answer) = match is_compressed {
            true => (NetworkMessage::GetHeaders2(request), command::HEADERS2),
            false => (NetworkMessage::GetHeaders(request), command::HEADERS),
        };
        let received = self.send_for(peer, &message, Wanted::Headers(answer))?;
        match tokio::time::timeout(limit, received).await {
            Ok(received) => received.map_err(|_| AskError::Disconnected),
            Err(_) => Err(AskError::TimedOut),
        }
    }

    fn send_for(
        &self,
        peer: usize,
        message: &NetworkMessage,
        wanted: Wanted,
    ) -> Result<oneshot::Receiver<Bytes>, AskError> {
        let peer = &self.peers[peer];
        let (answer, received) = oneshot::channel();
        let outgoing = peer.outgoing.borrow().clone().ok_or(AskError::Disconnected)?;
        peer.waiting.lock().push(Waiting { wanted, answer });
        let mut frame = Vec::new();
        message.encode_framed(self.magic, &mut frame);
        outgoing.send(frame).map_err(|_| AskError::Disconnected)?;
        Ok(received)
    }

    /// Ends all connections and waits until every task has ended.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn keep(
        &self,
        index: usize,
        address: SocketAddr,
        connect: &Connect,
        params: &ChainParams,
        mut rng: fastrand::Rng,
    ) {
        // As the default settings of our client have it, so that nobody comes back sooner than others.
        let mut wait = RECONNECT_BASE;
        loop {
            let connected = self.converse(index, address, connect, params, &mut rng).await;
            if connected {
                wait = RECONNECT_BASE;
            }
            tokio::time::sleep(wait.mul_f64(rng.f64())).await;
            wait = (wait * 2).min(RECONNECT_CAP);
        }
    }

    /// Holds one connection to its end; whether there was one.
    async fn converse(
        &self,
        index: usize,
        address: SocketAddr,
        connect: &Connect,
        params: &ChainParams,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let Ok(mut stream) = connect(address, index).await else { return false };
        let mut hello = Vec::new();
        NetworkMessage::Version(version(address, rng.u64(1..))).encode_framed(params.magic, &mut hello);
        if stream.write_all(&hello).await.is_err() {
            return false;
        }
        let decoder = FrameDecoder::new(params.magic, MAX_PAYLOAD);
        let (mut read, mut write) = tokio::io::split(stream);
        let (outgoing, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        let peer = &self.peers[index];
        let mut greeted = false;
        let writing = async {
            while let Some(frame) = to_write.recv().await {
                if write.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        let reading = async {
            let mut buffer = BytesMut::new();
            while let Ok(frame) = next_frame(&mut read, &decoder, &mut buffer).await {
                let reply = match frame.command {
                    command::VERSION => Some(NetworkMessage::Verack),
                    command::VERACK => {
                        greeted = true;
                        peer.outgoing.send_replace(Some(outgoing.clone()));
                        None
                    }
                    command::PING => match NetworkMessage::decode(frame.command, &frame.payload) {
                        Ok(Some(NetworkMessage::Ping(nonce))) => Some(NetworkMessage::Pong(nonce)),
                        _ => None,
                    },
                    _ => {
                        peer.take(&frame);
                        None
                    }
                };
                if let Some(reply) = reply {
                    let mut frame = Vec::new();
                    reply.encode_framed(params.magic, &mut frame);
                    // The writing half ends with this one.
                    outgoing.send(frame).ok();
                }
            }
        };
        tokio::select! {
            biased;
            () = reading => {}
            () = writing => {}
        }
        peer.outgoing.send_replace(None);
        peer.waiting.lock().clear();
        greeted
    }
}

impl Peer {
    /// Gives an answer to the first that it fits.
    fn take(&self, frame: &Frame) {
        let is_answer = matches!(
            frame.command,
            command::QRINFO | command::MNLISTDIFF | command::HEADERS | command::HEADERS2
        );
        if !is_answer {
            return;
        }
        let mut waiting = self.waiting.lock();
        // Who has stopped waiting leaves its answer to whoever asked the same again.
        waiting.retain(|waiting| !waiting.answer.is_closed());
        if let Some(found) = waiting.iter().position(|waiting| waiting.wanted.is_answered_by(frame)) {
            // Cannot fail: the receiver was there a moment ago.
            waiting.remove(found).answer.send(frame.payload.clone()).ok();
        }
    }
}

impl Wanted {
    fn is_answered_by(&self, frame: &Frame) -> bool {
        match self {
            Self::Lists(work) => work.is_answered_by(frame),
            Self::Headers(name) => frame.command == *name,
        }
    }
}

const RECONNECT_BASE: Duration = Duration::from_millis(500);
const RECONNECT_CAP: Duration = Duration::from_secs(30);
