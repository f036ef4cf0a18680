use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashcore::ephemerealdata::instant_lock::InstantLock;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::chain::ActiveChain;
use crate::config::{NetworkConfig, PeerConfig};
use crate::error::NetworkError;
use crate::network::{nodes, validate};
use crate::node::{Door, Node};
use crate::stats::PeerStats;
use crate::world::World;

/// Bytes that may be under way in each direction of a stream.
const STREAM_CAPACITY: usize = 1024 * 1024;
/// The same where the peer never reads: little enough for one request to fill it.
const UNREAD_STREAM_CAPACITY: usize = 64;

/// The same peers as a [`Network`](crate::Network)'s, reached without sockets, so that tokio's paused time drives all of
/// it: a simulation that takes no longer than its computations and, on a current-thread runtime, always goes the same way.
#[derive(Debug)]
pub struct InMemoryNetwork {
    peers: BTreeMap<SocketAddr, Peer>,
    order: Vec<SocketAddr>,
    tasks: TaskTracker,
    stop: DropGuard,
}

#[derive(Debug)]
struct Peer {
    node: Arc<Node>,
    door: Door,
    /// Ends all connections; `None` while the peer is down.
    up: Mutex<Option<CancellationToken>>,
}

/// When a data request arrived at which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Since the network was started.
    pub at: Duration,
    /// The peer.
    pub peer: SocketAddr,
    /// Name of the message.
    pub request: &'static str,
}

impl InMemoryNetwork {
    /// Starts to serve at made-up addresses; `config.listen` is not used.
    ///
    /// # Errors
    /// When the configuration cannot work.
    ///
    /// # Panics
    /// Outside a tokio runtime with time.
    pub fn start(world: &Arc<World>, config: NetworkConfig) -> Result<Self, NetworkError> {
        let count = u16::try_from(config.peers.len())
            .map_err(|_| NetworkError::TooFewPorts { first: 1, peers: config.peers.len() })?;
        let localhost = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self::start_at(world, config, (1..=count).map(localhost).collect())
    }

    /// The same at addresses of the caller's choice, for clients that care about where their peers are: one for each
    /// peer of the configuration, in its order.
    ///
    /// # Errors
    /// When the configuration cannot work.
    ///
    /// # Panics
    /// Outside a tokio runtime with time, and unless there are as many different addresses as peers.
    pub fn start_at(
        world: &Arc<World>,
        config: NetworkConfig,
        order: Vec<SocketAddr>,
    ) -> Result<Self, NetworkError> {
        validate(world, &config)?;
        assert_eq!(order.len(), config.peers.len(), "each peer needs an address");
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let peers: BTreeMap<SocketAddr, Peer> = order
            .iter()
            .copied()
            .zip(nodes(world, &order, config.peers, true))
            .map(|(address, node)| {
                let door = Arc::clone(&node).spawn(&stop, &tasks);
                (address, Peer { node, door, up: Mutex::new(Some(stop.child_token())) })
            })
            .collect();
        assert_eq!(order.len(), peers.len(), "peers need different addresses");
        Ok(Self { peers, order, tasks, stop: stop.drop_guard() })
    }

    /// Where the peers are, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.order.clone()
    }

    /// Connects to a peer, which takes one round trip.
    ///
    /// # Errors
    /// `ConnectionRefused` where no peer is or it is down.
    ///
    /// # Cancel safety
    /// Cancelled, no connection is made.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<DuplexStream> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let peer = self.peers.get(&address).ok_or_else(refused)?;
        tokio::time::sleep(peer.config().rtt).await;
        let up = peer.up.lock().clone().ok_or_else(refused)?;
        let (ours, theirs) = tokio::io::duplex(peer.stream_capacity());
        peer.door.admit(theirs, address, up.child_token());
        Ok(ours)
    }

    /// Cuts all connections of a peer and refuses new ones until it is brought up again.
    pub fn take_down(&self, address: SocketAddr) {
        if let Some(connections) = self.peers.get(&address).and_then(|peer| peer.up.lock().take()) {
            connections.cancel();
        }
    }

    /// Lets a peer take connections again.
    pub fn bring_up(&self, address: SocketAddr) {
        if let Some(peer) = self.peers.get(&address) {
            peer.up.lock().get_or_insert_with(CancellationToken::new);
        }
    }

    /// Gives a peer another chain, of the same network, which it announces to whoever is connected: more blocks, or
    /// another branch.
    pub fn activate(&self, address: SocketAddr, chain: ActiveChain) {
        if let Some(peer) = self.peers.get(&address) {
            peer.door.activate(chain);
        }
    }

    /// Gives a peer an InstantSend lock, which it announces to those who relay transactions.
    pub fn lock_instantly(&self, address: SocketAddr, lock: &InstantLock) {
        if let Some(peer) = self.peers.get(&address) {
            peer.door.lock_instantly(lock.clone());
        }
    }

    /// Whether a peer takes connections.
    pub fn is_up(&self, address: SocketAddr) -> bool {
        self.peers.get(&address).is_some_and(|peer| peer.up.lock().is_some())
    }

    /// What the peers counted, in the order of the configuration.
    pub fn stats(&self) -> Vec<PeerStats> {
        self.order.iter().map(|address| *self.peers[address].node.stats.lock()).collect()
    }

    /// Every data request with its time of arrival since `start`, in order of time and peer.
    pub fn arrivals(&self, start: Instant) -> Vec<Arrival> {
        let mut arrivals: Vec<Arrival> = Vec::new();
        for (&peer, Peer { node, .. }) in &self.peers {
            let recorded = node.arrivals.as_ref().map(|arrivals| arrivals.lock().clone());
            arrivals.extend(recorded.into_iter().flatten().map(|(at, request)| Arrival {
                at: at.saturating_duration_since(start),
                peer,
                request,
            }));
        }
        arrivals.sort_by_key(|arrival| (arrival.at, arrival.peer));
        arrivals
    }

    /// Closes all connections and waits until every task has ended.
    ///
    /// # Cancel safety
    /// Cancelled, the tasks still end, but nobody waits for them.
    pub async fn shutdown(self) -> Vec<PeerStats> {
        let stats = self.stats();
        for &address in &self.order {
            self.take_down(address);
        }
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        stats
    }
}

impl Peer {
    fn config(&self) -> &PeerConfig {
        &self.node.config
    }

    fn stream_capacity(&self) -> usize {
        if self.config().faults.never_read { UNREAD_STREAM_CAPACITY } else { STREAM_CAPACITY }
    }
}
