use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::message_network::MIN_PROTOCOL_VERSION;
use parking_lot::{Mutex, RwLock};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::chain::{ActiveChain, MinedBranch};
use crate::config::{NetworkConfig, PeerConfig};
use crate::error::NetworkError;
use crate::faults::{Faults, FloodKind};
use crate::node::{Door, Node};
use crate::stats::PeerStats;
use crate::world::World;

/// Running peers. Dropping it stops them.
#[derive(Debug)]
pub struct Network {
    nodes: Vec<Arc<Node>>,
    doors: Vec<Door>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Network {
    /// Opens the listeners and starts to serve.
    ///
    /// # Errors
    /// When the configuration cannot work or a port cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O.
    ///
    /// # Cancel safety
    /// Cancelled, nothing keeps running.
    pub async fn start(world: Arc<World>, config: NetworkConfig) -> Result<Self, NetworkError> {
        validate(&world, &config)?;
        let listeners = listen(config.listen, &config.peers).await?;
        let addresses: Vec<SocketAddr> = listeners.iter().map(|(address, _)| *address).collect();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let nodes = nodes(&world, &addresses, config.peers, false);
        let mut doors = Vec::with_capacity(nodes.len());
        for (node, (_, listener)) in nodes.iter().zip(listeners) {
            let door = Arc::clone(node).spawn(&stop, &tasks);
            door.clone().listen(listener, stop.clone());
            doors.push(door);
        }
        Ok(Self { nodes, doors, tasks, stop: stop.drop_guard() })
    }

    /// Where the peers listen, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.stats().iter().map(|stats| stats.address).collect()
    }

    /// Gives all peers another chain of the same network, which they announce to whoever is connected: more blocks, or
    /// another branch.
    pub fn activate(&self, chain: &ActiveChain) {
        self.doors.iter().for_each(|door| door.activate(chain.clone()));
    }

    /// Gives all peers an InstantSend lock, which they announce to those who relay transactions.
    pub fn lock_instantly(&self, lock: &InstantLock) {
        self.doors.iter().for_each(|door| door.lock_instantly(lock.clone()));
    }

    /// What the peers counted, in the order of the configuration.
    pub fn stats(&self) -> Vec<PeerStats> {
        self.nodes.iter().map(|node| *node.stats.lock()).collect()
    }

    /// Closes all connections, waits until every task has ended, and returns the last counts.
    ///
    /// # Cancel safety
    /// Cancelled, the tasks still end, but nobody waits for them.
    pub async fn shutdown(self) -> Vec<PeerStats> {
        let Self { nodes, doors, tasks, stop } = self;
        drop(stop);
        drop(doors);
        tasks.close();
        tasks.wait().await;
        nodes.iter().map(|node| *node.stats.lock()).collect()
    }
}

/// One node per address, each knowing of the others.
pub(crate) fn nodes(
    world: &Arc<World>,
    addresses: &[SocketAddr],
    peers: Vec<PeerConfig>,
    record_arrivals: bool,
) -> Vec<Arc<Node>> {
    let node = |(&address, config): (&SocketAddr, PeerConfig)| {
        let tip = config.tip.unwrap_or_else(|| world.tip());
        let chain = ActiveChain::new(Arc::clone(world), tip).shortened_by(config.faults.behind);
        let junk = config.faults.junk_chain.map(|junk| {
            let trunk = ActiveChain::new(Arc::clone(world), junk.fork.unwrap_or_else(|| chain.tip()));
            MinedBranch::mine(trunk, junk.blocks, config.seed)
        });
        Arc::new(Node {
            locks: Mutex::default(),
            instant_locks: Mutex::default(),
            junk,
            chain: RwLock::new(chain),
            config,
            neighbours: addresses.iter().copied().filter(|other| *other != address).collect(),
            stats: Mutex::new(PeerStats::new(address)),
            arrivals: record_arrivals.then(Mutex::default),
        })
    };
    addresses.iter().zip(peers).map(node).collect()
}

pub(crate) fn validate(world: &World, config: &NetworkConfig) -> Result<(), NetworkError> {
    if config.peers.is_empty() {
        return Err(NetworkError::NoPeers);
    }
    for (index, peer) in config.peers.iter().enumerate() {
        if let Some(tip) = peer.tip.filter(|&tip| tip > world.tip()) {
            return Err(NetworkError::TipAboveWorld { peer: index, tip, world_tip: world.tip() });
        }
        if peer.protocol_version < MIN_PROTOCOL_VERSION {
            let (version, oldest) = (peer.protocol_version, MIN_PROTOCOL_VERSION);
            return Err(NetworkError::ProtocolVersion { peer: index, version, oldest });
        }
        validate_mining(index, peer, world)?;
        let Faults { delay_by, late_by, duplicate_after, .. } = peer.faults;
        for (field, time) in [
            ("rtt", peer.rtt),
            ("service_time", peer.service_time),
            ("service_jitter", peer.service_jitter),
            ("faults.delay", delay_by),
            ("faults.late", late_by),
            ("faults.duplicate", duplicate_after),
        ] {
            if time > LONGEST {
                return Err(NetworkError::TooLong { peer: index, field, time, longest: LONGEST });
            }
        }
    }
    Ok(())
}

/// Every other hash is a block.
const EASIEST: u32 = 0x207f_ffff;

fn validate_mining(index: usize, peer: &PeerConfig, world: &World) -> Result<(), NetworkError> {
    let Faults { junk_chain, flood, behind, .. } = peer.faults;
    let fault = match flood {
        _ if junk_chain.is_some() => "junk-chain",
        Some(flood) if flood.kind == FloodKind::ForkHeaders => "flood=fork-headers",
        _ => return Ok(()),
    };
    // They are mined at the least difficulty that the network allows.
    if world.params().pow_limit != EASIEST {
        return Err(NetworkError::TooHard { peer: index, fault });
    }
    let tip = peer.tip.unwrap_or_else(|| world.tip()).saturating_sub(behind);
    match junk_chain.and_then(|junk| junk.fork).filter(|&fork| fork > tip) {
        Some(fork) => Err(NetworkError::ForkAboveTip { peer: index, fork, tip }),
        None => Ok(()),
    }
}

/// Longer than any client waits.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Listeners on consecutive ports, or on any free ones when the first is 0.
async fn listen(
    first: SocketAddr,
    peers: &[PeerConfig],
) -> Result<Vec<(SocketAddr, TcpListener)>, NetworkError> {
    let count = peers.len();
    let mut listeners = Vec::with_capacity(count);
    for (offset, peer) in peers.iter().enumerate() {
        let offset = if first.port() == 0 { Some(0) } else { u16::try_from(offset).ok() };
        let port = offset
            .and_then(|offset| first.port().checked_add(offset))
            .ok_or_else(|| NetworkError::TooFewPorts { first: first.port(), peers: count })?;
        let address = SocketAddr::new(first.ip(), port);
        let opened = bind(address, &peer.faults).await;
        let opened = opened.and_then(|listener| Ok((listener.local_addr()?, listener)));
        listeners.push(opened.map_err(|source| NetworkError::Listen { address, source })?);
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr, faults: &Faults) -> io::Result<TcpListener> {
    if !faults.never_read {
        return TcpListener::bind(address).await;
    }
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As tokio's own way to bind does, so that the port can be had again at once.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(UNREAD_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the system may hold of input that is never read; it may round this up.
const UNREAD_BUFFER: u32 = 1_024;
/// Connections that may wait to be accepted, as many as tokio lets wait.
const BACKLOG: u32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::GeneratedSpec;

    #[test]
    fn nobody_mines_where_every_block_costs_work() {
        let spec =
            GeneratedSpec { masternodes: 12, cycles: 1, signatures: false, ..GeneratedSpec::default() };
        let world = World::generate(&spec).with_pow_limit(0x1e0f_ffff);
        for (faults, mines) in
            [("junk-chain=5", true), ("flood=fork-headers:1", true), ("flood=known-headers:1", false)]
        {
            let peers = vec![PeerConfig { faults: faults.parse().unwrap(), ..PeerConfig::default() }];
            let valid = validate(&world, &NetworkConfig { peers, ..NetworkConfig::default() });
            let refused = matches!(valid, Err(NetworkError::TooHard { peer: 0, .. }));
            assert_eq!(refused, mines, "{faults}");
        }
    }
}
