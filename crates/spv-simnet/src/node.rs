//! One simulated node: a listener, a reader and a writer per connection, and a single message handler for all.

mod clock;
mod connection;
mod delivery;
mod event;
mod flooder;
mod handler;
mod inboxes;
mod load;
mod locks;
mod outbox;
mod rate;
mod reply;
mod service;
mod session;
mod uplink;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use parking_lot::{Mutex, RwLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chain::{ActiveChain, AnnouncedLocks, MinedBranch, ShownHeaders};
use crate::config::PeerConfig;
use crate::stats::PeerStats;
use connection::Connection;
use handler::Handler;

/// What all tasks of one node share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) chain: RwLock<ActiveChain>,
    /// The chain whose headers the node shows, where that is not the real one.
    pub(crate) junk: Option<MinedBranch>,
    pub(crate) locks: Mutex<AnnouncedLocks<ChainLock>>,
    pub(crate) instant_locks: Mutex<AnnouncedLocks<InstantLock>>,
    pub(crate) config: PeerConfig,
    /// Where the other nodes of the network listen.
    pub(crate) neighbours: Vec<SocketAddr>,
    pub(crate) stats: Mutex<PeerStats>,
    /// Data requests as they arrived. Kept in simulations only, whose end is near.
    pub(crate) arrivals: Option<Mutex<Vec<(Instant, &'static str)>>>,
}

/// Where a running node takes connections.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    node: Arc<Node>,
    events: mpsc::UnboundedSender<event::Event>,
    next_id: Arc<AtomicU64>,
    tasks: TaskTracker,
}

impl Node {
    /// Handles messages until `stop` is cancelled.
    pub(crate) fn spawn(self: Arc<Self>, stop: &CancellationToken, tasks: &TaskTracker) -> Door {
        let (events, received) = mpsc::unbounded_channel();
        tasks.spawn(Handler::new(Arc::clone(&self)).run(received, stop.clone()));
        Door { node: self, events, next_id: Arc::new(AtomicU64::new(0)), tasks: tasks.clone() }
    }

    /// The chain as the node has it now.
    pub(crate) fn chain(&self) -> ActiveChain {
        self.chain.read().clone()
    }

    /// What the node shows of a chain's headers.
    fn shown_headers<'a>(&'a self, chain: &'a ActiveChain) -> ShownHeaders<'a> {
        ShownHeaders { chain, junk: self.junk.as_ref(), withheld_above: self.config.faults.withhold }
    }

    /// Half of the round trip, which each direction takes.
    fn one_way(&self) -> std::time::Duration {
        self.config.rtt / 2
    }

    fn magic(&self) -> [u8; 4] {
        self.chain.read().world().params().magic
    }
}

impl Door {
    /// Gives the node another chain, of which it takes as much as its faults let it, and announces that on all its
    /// connections.
    pub(crate) fn activate(&self, chain: ActiveChain) {
        let chain = chain.shortened_by(self.node.config.faults.behind);
        let before = std::mem::replace(&mut *self.node.chain.write(), chain);
        // The handler is gone only when the whole network stops.
        let _ = self.events.send(event::Event::NewTip { before });
    }

    /// Gives the node an InstantSend lock, which it announces on its connections.
    pub(crate) fn lock_instantly(&self, lock: InstantLock) {
        // The handler is gone only when the whole network stops.
        let _ = self.events.send(event::Event::NewLock { lock });
    }

    /// Takes connections from a listener until `stop` is cancelled.
    pub(crate) fn listen(self, listener: TcpListener, stop: CancellationToken) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                match accepted {
                    Ok((stream, address)) => {
                        // Delays are simulated; the system's own would come on top.
                        if let Err(error) = stream.set_nodelay(true) {
                            tracing::debug!(%error, "small messages may be delayed");
                        }
                        self.admit(stream, address, stop.child_token());
                    }
                    // Lack of a resource, or a connection that was gone again at once: the next one may do.
                    Err(error) => tracing::debug!(%error, "connection not accepted"),
                }
            }
        });
    }

    /// Serves a stream until `stop` is cancelled, unless the node is full; then the stream is dropped.
    pub(crate) fn admit<S>(&self, stream: S, address: SocketAddr, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        if self.node.stats.lock().open_connections >= MAX_CONNECTIONS {
            return;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (node, events) = (Arc::clone(&self.node), self.events.clone());
        Connection { id, address, node, events }.spawn(stream, stop, &self.tasks);
    }
}

/// Inbound connections that a node takes (Dash Core `DEFAULT_MAX_PEER_CONNECTIONS`, net.h).
const MAX_CONNECTIONS: u64 = 125;
