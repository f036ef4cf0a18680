use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use spv_netmon::Monitor;
use spv_recovery::Backoff;
use spv_scheduler::TokenBuckets;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, ConnectionSetup, DisconnectReason};
use super::handshake::{ConnectError, PeerInfo};
use super::request::RequestKind;
use crate::metrics;

/// Events that may wait to be read.
const EVENT_CAPACITY: usize = 256;

/// How the pool keeps its connections.
#[derive(Debug)]
pub(crate) struct PoolConfig {
    /// For each connection.
    pub(crate) setup: ConnectionSetup,
    /// Largest wait before the first reconnection attempt; doubles with each failure.
    pub(crate) reconnect_base: Duration,
    /// Largest wait between two attempts.
    pub(crate) reconnect_cap: Duration,
    /// Seed of nonces and waits.
    pub(crate) seed: u64,
    /// How often each peer may be asked.
    pub(crate) rates: Mutex<TokenBuckets<SocketAddr>>,
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum PoolEvent {
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
    },
    /// An attempt to connect failed, or a node that is up cannot be asked any more and never was proven; another attempt
    /// follows.
    Failed {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: ConnectError,
    },
}

/// Keeps a connection to each of a fixed set of addresses, reconnecting with backoff.
#[derive(Debug)]
pub(crate) struct Pool {
    config: PoolConfig,
    connections: DashMap<SocketAddr, Connection>,
    bytes_of_closed: AtomicU64,
    next_id: AtomicU64,
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Pool {
    /// Starts connecting to `addresses`. Must be called within a tokio runtime.
    pub(crate) fn start(
        addresses: &[SocketAddr],
        config: PoolConfig,
    ) -> (Arc<Self>, mpsc::Receiver<PoolEvent>) {
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let pool = Arc::new(Self {
            config,
            connections: DashMap::new(),
            bytes_of_closed: AtomicU64::new(0),
            next_id: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        for &address in addresses {
            pool.tracker.spawn(pool.clone().keep(address, events.clone()));
        }
        (pool, receiver)
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
            let taken = self.config.rates.lock().try_take(address, Instant::now().into_std());
            match taken {
                Ok(()) => return,
                Err(at) => tokio::time::sleep_until(at.into()).await,
            }
        }
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

    /// Closes all connections and waits until every task has ended.
    ///
    /// # Cancel safety
    /// Stopping goes on when the future is dropped.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    async fn keep(self: Arc<Self>, address: SocketAddr, events: mpsc::Sender<PoolEvent>) {
        let backoff = Backoff::new(self.config.reconnect_base, self.config.reconnect_cap);
        let mut rng = fastrand::Rng::with_seed(self.config.seed ^ u64::from(address.port()));
        let mut failures = 0;
        let stopping = self.stopping.clone();
        let keep = async {
            loop {
                let held = match self.open(address).await {
                    Ok(connection) => self.hold(address, connection, &events).await,
                    Err(error) => Err(error),
                };
                match held {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        tracing::debug!(peer = %address, %error, "connecting failed");
                        metrics::connect_failed(&error);
                        failures += 1;
                        events.send(PoolEvent::Failed { address, error }).await.ok();
                    }
                }
                tokio::time::sleep(backoff.delay(failures, &mut rng)).await;
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = keep => {}
        }
        // The pool holds the last handle; the connection's task ends when it is closed.
        if let Some((_, connection)) = self.connections.remove(&address) {
            self.bytes_of_closed.fetch_add(connection.bytes_received(), Ordering::Relaxed);
            connection.close();
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let rng = fastrand::Rng::with_seed(self.config.seed.wrapping_add(id));
        Connection::open(address, id, rng, &self.config.setup, &self.tracker).await
    }

    /// Offers a connection until it ends; an error where it ends before the node was proven.
    async fn hold(
        &self,
        address: SocketAddr,
        connection: Connection,
        events: &mpsc::Sender<PoolEvent>,
    ) -> Result<(), ConnectError> {
        let info = connection.info().clone();
        self.connections.insert(address, connection.clone());
        metrics::connected(self.connections.len());
        // Nobody listens any more while the pool is being stopped.
        events.send(PoolEvent::Up { address, info }).await.ok();
        let proven = connection.proven().await;
        if proven.is_ok() {
            events.send(PoolEvent::Proven { address }).await.ok();
        }
        let reason = connection.closed().await;
        self.connections.remove_if(&address, |_, current| current.id() == connection.id());
        self.bytes_of_closed.fetch_add(connection.bytes_received(), Ordering::Relaxed);
        metrics::connected(self.connections.len());
        match proven {
            Ok(()) => {
                events.send(PoolEvent::Down { address, reason }).await.ok();
                Ok(())
            }
            Err(DisconnectReason::Unproven) => Err(ConnectError::Silent {
                during: "the first ping",
                after: self.config.setup.config.handshake_timeout,
            }),
            Err(_) => Err(ConnectError::Closed),
        }
    }
}
