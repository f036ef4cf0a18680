mod filling;
mod keeping;
mod naming;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use spv_netmon::Monitor;
use spv_scheduler::TokenBuckets;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connection::{Connection, ConnectionSetup};
use super::disconnect_reason::DisconnectReason;
use super::handshake::{ConnectError, PeerInfo};
use super::metrics;
use crate::clock;
use crate::config::PeerName;
use crate::discovery::{Discovery, Heard};
use crate::panicked::{Panicked, contained_future};
use crate::resolver::Resolver;
use crate::wire::RequestKind;

/// Events that may wait to be read.
const EVENT_CAPACITY: usize = 256;

/// How the pool keeps its connections.
#[derive(Debug)]
pub(crate) struct PoolConfig {
    /// For each connection.
    pub(crate) setup: ConnectionSetup,
    /// Largest wait before the first reconnection attempt, see [`Absence`](super::absence::Absence).
    pub(crate) reconnect_base: Duration,
    /// Largest wait between two attempts.
    pub(crate) reconnect_cap: Duration,
    /// Seed of nonces and waits.
    pub(crate) seed: u64,
    /// How often each peer may be asked.
    pub(crate) rates: Mutex<TokenBuckets<SocketAddr>>,
    /// What names are looked up with.
    pub(crate) resolver: Resolver,
    /// What finds nodes besides the fixed ones, and where it hears of them.
    pub(crate) discovery: Option<(Arc<Discovery>, mpsc::Receiver<Heard>)>,
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum PoolEvent {
    /// The name of a fixed node was looked up in vain.
    LookupFailed {
        /// The name.
        name: PeerName,
    },
    /// The name of a fixed node is known now, and its addresses are being connected to.
    Resolved {
        /// The name.
        name: PeerName,
        /// Those of its addresses that were not connected to before.
        addresses: Vec<SocketAddr>,
    },
    /// A node that was found is being connected to.
    Trying {
        /// Its address.
        address: SocketAddr,
    },
    /// A node has greeted, and may be asked for headers. Whether it does more than greet is not known yet.
    Up {
        /// Its address.
        address: SocketAddr,
        /// What it said of itself.
        info: PeerInfo,
    },
    /// A node that is up has answered a ping: it may be asked for anything.
    Proven {
        /// Its address.
        address: SocketAddr,
    },
    /// A node that was proven cannot be asked any more.
    Down {
        /// Its address.
        address: SocketAddr,
        /// Why.
        reason: DisconnectReason,
        /// When it is connected to again; `None` where discovery chooses whether it is.
        retry_at: Option<Instant>,
    },
    /// An attempt to connect failed, or a node that is up cannot be asked any more and never was proven.
    Failed {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: ConnectError,
        /// When the next attempt follows; `None` where discovery chooses whether one does.
        retry_at: Option<Instant>,
    },
    /// A task that keeps connections has panicked, and ended.
    Panicked(Panicked),
}

impl PoolEvent {
    /// Whom it is about; nobody where a name has no address yet, or several.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::LookupFailed { .. } | Self::Resolved { .. } | Self::Panicked(_) => None,
            Self::Trying { address }
            | Self::Up { address, .. }
            | Self::Proven { address }
            | Self::Down { address, .. }
            | Self::Failed { address, .. } => Some(*address),
        }
    }
}

/// Keeps a connection to each of the fixed addresses and names, reconnecting and looking up with backoff, and to as many others as
/// [`Discovery`] wants.
#[derive(Debug)]
pub(crate) struct Pool {
    config: PoolConfig,
    discovery: Option<Arc<Discovery>>,
    connections: DashMap<SocketAddr, Connection>,
    /// The fixed addresses, those of names that became known included.
    kept: Mutex<BTreeSet<SocketAddr>>,
    bytes_of_closed: AtomicU64,
    next_id: AtomicU64,
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Pool {
    /// Starts connecting to `addresses`, and to those of `unresolved` names once they are known. Must be called within a
    /// tokio runtime.
    pub(crate) fn start(
        addresses: &[SocketAddr],
        unresolved: Vec<PeerName>,
        mut config: PoolConfig,
    ) -> (Arc<Self>, mpsc::Receiver<PoolEvent>) {
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let (discovery, heard) = config.discovery.take().unzip();
        let pool = Arc::new(Self {
            config,
            discovery: discovery.clone(),
            connections: DashMap::new(),
            kept: Mutex::new(addresses.iter().copied().collect()),
            bytes_of_closed: AtomicU64::new(0),
            next_id: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        for &address in addresses {
            pool.spawn(pool.clone().keep(address, events.clone()), &events);
        }
        for name in unresolved {
            pool.spawn(pool.clone().resolve(name, events.clone()), &events);
        }
        if let Some((discovery, heard)) = discovery.zip(heard) {
            pool.spawn(pool.clone().fill(discovery, heard, events.clone()), &events);
        }
        (pool, receiver)
    }

    /// Starts a task of the pool, and tells where it panics.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static, events: &mpsc::Sender<PoolEvent>) {
        let events = events.clone();
        self.tracker.spawn(async move {
            if let Err(panic) = contained_future(task).await {
                events.send(PoolEvent::Panicked(panic)).await.ok();
            }
        });
    }

    /// The live connection to a node.
    pub(crate) fn connection(&self, address: &SocketAddr) -> Option<Connection> {
        self.connections.get(address).map(|entry| entry.value().clone())
    }

    /// Waits until a node may be asked once more.
    ///
    /// # Cancel safety
    /// Cancel safe: the right to ask is taken in the step that returns.
    pub(crate) async fn turn(&self, address: &SocketAddr) {
        loop {
            let taken = self.config.rates.lock().try_take(address, clock::now());
            match taken {
                Ok(()) => return,
                Err(at) => tokio::time::sleep_until(at.into()).await,
            }
        }
    }

    /// What finds nodes, where that is wanted.
    pub(crate) fn discovery(&self) -> Option<&Discovery> {
        self.discovery.as_deref()
    }

    /// Measurements of the nodes.
    pub(crate) fn monitor(&self) -> &Monitor<SocketAddr, RequestKind> {
        &self.config.setup.monitor
    }

    /// Bytes received over all connections, past ones included.
    pub(crate) fn bytes_received(&self) -> u64 {
        let live: u64 = self.connections.iter().map(|entry| entry.value().bytes_received()).sum();
        live + self.bytes_of_closed.load(Ordering::Relaxed)
    }

    /// Whether all connections are being ended.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Closes all connections when the guard is dropped.
    pub(crate) fn stop_on_drop(&self) -> DropGuard {
        self.stopping.clone().drop_guard()
    }

    /// Closes all connections and waits until every task has ended.
    ///
    /// # Cancel safety
    /// Stopping goes on when the future is dropped.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// One connection to a node, from its beginning to its end. Tells why it ended; an error where that was before the
    /// node was proven.
    async fn connect(
        &self,
        address: SocketAddr,
        events: &mpsc::Sender<PoolEvent>,
    ) -> Result<DisconnectReason, ConnectError> {
        let connection = self.open(address).await?;
        self.hold(address, connection, events).await
    }

    /// Puts on record and tells that a connection has ended, or never came about.
    async fn ended(
        &self,
        address: SocketAddr,
        end: Result<DisconnectReason, ConnectError>,
        retry_at: Option<Instant>,
        events: &mpsc::Sender<PoolEvent>,
    ) {
        let is_abuse = match &end {
            Ok(reason) => reason.is_abuse(),
            Err(error) => matches!(error, ConnectError::Abuse(_)),
        };
        let event = match end {
            Ok(reason) => {
                if let Some(discovery) = &self.discovery {
                    discovery.ended(&address);
                }
                PoolEvent::Down { address, reason, retry_at }
            }
            Err(error) => {
                tracing::debug!(peer = %address, %error, "connecting failed");
                metrics::connect_failed(&error);
                if let Some(discovery) = &self.discovery {
                    discovery.failed(&address);
                }
                PoolEvent::Failed { address, error, retry_at }
            }
        };
        if let Some(discovery) = self.discovery.as_ref().filter(|_| is_abuse) {
            discovery.lied(&address);
        }
        events.send(event).await.ok();
    }

    /// The pool holds the last handle of a connection, whose task ends when it is closed.
    fn let_go(&self, address: &SocketAddr) {
        if let Some((_, connection)) = self.connections.remove(address) {
            self.bytes_of_closed.fetch_add(connection.bytes_received(), Ordering::Relaxed);
            connection.close();
        }
    }

    /// Notes that a node has answered, and asks it for others where they are wanted.
    fn introduce(&self, address: &SocketAddr, connection: &Connection) {
        let Some(discovery) = &self.discovery else { return };
        discovery.answered(address, self.monitor().health(address).and_then(|health| health.srtt));
        if discovery.wants_addresses() {
            connection.ask_for_addresses();
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let rng = fastrand::Rng::with_seed(self.config.seed.wrapping_add(id));
        Connection::open(address, id, rng, &self.config.setup, &self.tracker).await
    }

    /// Offers a connection until it ends, and tells why it did; an error where it ends before the node was proven.
    async fn hold(
        &self,
        address: SocketAddr,
        connection: Connection,
        events: &mpsc::Sender<PoolEvent>,
    ) -> Result<DisconnectReason, ConnectError> {
        let info = connection.info().clone();
        self.connections.insert(address, connection.clone());
        metrics::connected(self.connections.len());
        // Nobody listens any more while the pool is being stopped.
        events.send(PoolEvent::Up { address, info }).await.ok();
        let proven = connection.proven().await;
        if proven.is_ok() {
            self.introduce(&address, &connection);
            events.send(PoolEvent::Proven { address }).await.ok();
        }
        let reason = connection.closed().await;
        self.connections.remove_if(&address, |_, current| current.id() == connection.id());
        self.bytes_of_closed.fetch_add(connection.bytes_received(), Ordering::Relaxed);
        metrics::connected(self.connections.len());
        match proven {
            Ok(()) => Ok(reason),
            Err(DisconnectReason::Unproven) => Err(ConnectError::Silent {
                during: "the first ping",
                after: self.config.setup.config.handshake_timeout,
            }),
            Err(reason) if reason.is_abuse() => Err(ConnectError::Abuse(reason)),
            Err(_) => Err(ConnectError::Closed),
        }
    }
}

#[cfg(test)]
mod tests;
