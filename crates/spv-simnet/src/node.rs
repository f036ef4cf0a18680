//! One simulated node: a listener, a reader and a writer per connection, and a single message handler for all.

mod connection;
mod handler;
mod inboxes;
mod outbox;
mod service;
mod session;
mod uplink;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chain::ActiveChain;
use crate::config::PeerConfig;
use crate::stats::PeerStats;
use connection::Connection;
use handler::Handler;

/// What all tasks of one node share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) chain: ActiveChain,
    pub(crate) config: PeerConfig,
    /// Where the other nodes of the network listen.
    pub(crate) neighbours: Vec<SocketAddr>,
    pub(crate) stats: Mutex<PeerStats>,
}

impl Node {
    /// Serves until `stop` is cancelled.
    pub(crate) fn spawn(
        self: Arc<Self>,
        listener: TcpListener,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let (events, received) = mpsc::unbounded_channel();
        tasks.spawn(Handler::new(Arc::clone(&self)).run(received, stop.clone()));
        tasks.spawn(accept(self, listener, events, stop.clone(), tasks.clone()));
    }

    /// Half of the round trip, which each direction takes.
    fn one_way(&self) -> std::time::Duration {
        self.config.rtt / 2
    }

    fn magic(&self) -> [u8; 4] {
        self.chain.world().params().magic
    }
}

async fn accept(
    node: Arc<Node>,
    listener: TcpListener,
    events: mpsc::UnboundedSender<connection::Event>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    for id in 0.. {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok(_) if node.stats.lock().open_connections >= MAX_CONNECTIONS => {}
            Ok((stream, address)) => {
                let connection = Connection { id, address, node: Arc::clone(&node), events: events.clone() };
                connection.spawn(stream, stop.child_token(), &tasks);
            }
            // Lack of a resource, or a connection that was gone again at once: the next one may do.
            Err(error) => tracing::debug!(%error, "connection not accepted"),
        }
    }
}

/// Inbound connections that a node takes (Dash Core `DEFAULT_MAX_PEER_CONNECTIONS`, net.h).
const MAX_CONNECTIONS: u64 = 125;
