use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use spv_netmon::Monitor;
use spv_scheduler::TokenBuckets;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::absence::Absence;
use super::connection::{Connection, ConnectionSetup};
use super::disconnect_reason::DisconnectReason;
use super::handshake::{ConnectError, PeerInfo};
use super::metrics;
use crate::discovery::{Discovery, Heard, Next};
use crate::wire::RequestKind;

/// Events that may wait to be read.
const EVENT_CAPACITY: usize = 256;

/// How the pool keeps its connections.
#[derive(Debug)]
pub(crate) struct PoolConfig {
    /// For each connection.
    pub(crate) setup: ConnectionSetup,
    /// Largest wait before the first reconnection attempt, see [`Absence`].
    pub(crate) reconnect_base: Duration,
    /// Largest wait between two attempts.
    pub(crate) reconnect_cap: Duration,
    /// Seed of nonces and waits.
    pub(crate) seed: u64,
    /// How often each peer may be asked.
    pub(crate) rates: Mutex<TokenBuckets<SocketAddr>>,
    /// What finds nodes besides the fixed ones, and where it hears of them.
    pub(crate) discovery: Option<(Arc<Discovery>, mpsc::Receiver<Heard>)>,
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum PoolEvent {
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

/// Keeps a connection to each of a fixed set of addresses, reconnecting with backoff, and to as many others as
/// [`Discovery`] wants.
#[derive(Debug)]
pub(crate) struct Pool {
    config: PoolConfig,
    discovery: Option<Arc<Discovery>>,
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
        mut config: PoolConfig,
    ) -> (Arc<Self>, mpsc::Receiver<PoolEvent>) {
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let (discovery, heard) = config.discovery.take().unzip();
        let pool = Arc::new(Self {
            config,
            discovery: discovery.clone(),
            connections: DashMap::new(),
            bytes_of_closed: AtomicU64::new(0),
            next_id: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        for &address in addresses {
            pool.tracker.spawn(pool.clone().keep(address, events.clone()));
        }
        if let Some((discovery, heard)) = discovery.zip(heard) {
            pool.tracker.spawn(pool.clone().fill(discovery, heard, events));
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

    async fn keep(self: Arc<Self>, address: SocketAddr, events: mpsc::Sender<PoolEvent>) {
        let mut absence = Absence::new(self.config.reconnect_base, self.config.reconnect_cap);
        let mut rng = fastrand::Rng::with_seed(self.config.seed ^ u64::from(address.port()));
        let stopping = self.stopping.clone();
        let keep = async {
            loop {
                let held = match self.open(address).await {
                    Ok(connection) => self.hold(address, connection, &events).await,
                    Err(error) => Err(error),
                };
                match held {
                    Ok(reason) => {
                        absence.begins(Instant::now());
                        // Nothing is wrong with the node.
                        if reason == DisconnectReason::Renewed {
                            continue;
                        }
                    }
                    Err(error) => {
                        absence.goes_on();
                        self.failed(address, error, &events).await;
                    }
                }
                tokio::time::sleep(absence.wait(Instant::now(), &mut rng)).await;
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = keep => {}
        }
        self.let_go(&address);
    }

    /// Keeps as many connections to nodes that `discovery` chooses as it wants.
    async fn fill(
        self: Arc<Self>,
        discovery: Arc<Discovery>,
        mut heard: mpsc::Receiver<Heard>,
        events: mpsc::Sender<PoolEvent>,
    ) {
        let stopping = self.stopping.clone();
        let fill = async {
            let mut attempts = FuturesUnordered::new();
            let mut seeds = OptionFuture::default();
            // Beside the rest: connections do not wait for the disk.
            let mut saving = OptionFuture::default();
            let mut saving_is_over = true;
            let mut save_at = Instant::now() + discovery.save_interval();
            loop {
                let wait = loop {
                    match discovery.next() {
                        Next::Connect(address) => attempts.push(self.attempt(address, &discovery, &events)),
                        Next::Wait(wait) => break wait,
                    }
                };
                if discovery.takes_turn_of_seeds() {
                    seeds = Some(Box::pin(discovery.ask_seeds())).into();
                }
                if discovery.is_urgent() && saving_is_over {
                    save_at = Instant::now();
                }
                discovery.report();
                tokio::select! {
                    biased;
                    Some(()) = attempts.next() => {}
                    Some(heard) = heard.recv() => discovery.heard(heard),
                    Some(asked) = &mut seeds => {
                        seeds = None.into();
                        if let Err(error) = asked {
                            tracing::warn!(%error, "no DNS seed answers");
                        }
                    }
                    Some(()) = &mut saving => {
                        saving = None.into();
                        saving_is_over = true;
                    }
                    () = tokio::time::sleep_until(save_at), if saving_is_over => {
                        saving = Some(Box::pin(discovery.save())).into();
                        saving_is_over = false;
                        save_at = Instant::now() + discovery.save_interval();
                    }
                    () = tokio::time::sleep(wait) => {}
                }
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = fill => {}
        }
        // What has come by now is not to be lost.
        while let Ok(heard) = heard.try_recv() {
            discovery.heard(heard);
        }
        let found: Vec<SocketAddr> = self.connections.iter().map(|entry| *entry.key()).collect();
        found.iter().filter(|address| !discovery.is_fixed(address)).for_each(|address| self.let_go(address));
        discovery.save().await;
    }

    /// One connection to a node that was found, from its beginning to its end.
    async fn attempt(&self, address: SocketAddr, discovery: &Discovery, events: &mpsc::Sender<PoolEvent>) {
        events.send(PoolEvent::Trying { address }).await.ok();
        let held = match self.open(address).await {
            Ok(connection) => self.hold(address, connection, events).await,
            Err(error) => Err(error),
        };
        if let Err(error) = held {
            self.failed(address, error, events).await;
        }
        // On the record by now, so that the next choice knows of it.
        discovery.release(&address);
    }

    async fn failed(&self, address: SocketAddr, error: ConnectError, events: &mpsc::Sender<PoolEvent>) {
        tracing::debug!(peer = %address, %error, "connecting failed");
        metrics::connect_failed(&error);
        if let Some(discovery) = &self.discovery {
            discovery.failed(&address);
        }
        events.send(PoolEvent::Failed { address, error }).await.ok();
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
        let rtt = self.monitor().health(address).and_then(|health| health.srtt);
        if discovery.answered(address, rtt, connection.info().start_height) {
            if discovery.wants_addresses() {
                connection.ask_for_addresses();
            }
        } else {
            tracing::info!(peer = %address, "disconnecting: far behind");
            connection.close();
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
            Ok(()) => {
                if let Some(discovery) = &self.discovery {
                    discovery.ended(&address);
                }
                events.send(PoolEvent::Down { address, reason: reason.clone() }).await.ok();
                Ok(reason)
            }
            Err(DisconnectReason::Unproven) => Err(ConnectError::Silent {
                during: "the first ping",
                after: self.config.setup.config.handshake_timeout,
            }),
            Err(_) => Err(ConnectError::Closed),
        }
    }
}
