mod asking;
mod conduct;
mod holding;
mod live;
mod presence;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::ChainParams;
use parking_lot::Mutex;
use spv_executor::{Depth, Executor, PeerLoad};
use spv_netmon::Monitor;
use spv_scheduler::TokenBuckets;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

pub(crate) use asking::{Executed, failure_kind};

use super::book::PeerBook;
use super::peer_report::PeerReport;
use super::peer_sources::PeerSources;
use super::recovering::Recovering;
use super::selecting::executor;
use super::transport::PoolTransport;
use crate::clock::now;
use crate::config::{ConfigError, Settings};
use crate::discovery::Standing;
use crate::log::{Seldom, Span};
use crate::net::{
    Announcer, ConnectError, ConnectionConfig, ConnectionSetup, Connector, DisconnectReason, OnRefusal, Pool,
    PoolConfig, PoolEvent, Room,
};
use crate::panicked::Panicked;
use crate::wire::RequestKind;
use presence::{Change, Presence};

/// Messages with addresses that may wait to be read.
const GOSSIP_CAPACITY: usize = 16;

/// Refusals that may wait to be acted on; each is charged at once.
const REFUSAL_CAPACITY: usize = 256;

/// The peers of a sync: connections, slots, measurements, and the book that says which of them may be asked.
#[derive(Debug)]
pub(crate) struct Peers {
    _stop_on_drop: DropGuard,
    executor: Executor<PoolTransport>,
    pool: Arc<Pool>,
    book: Arc<PeerBook>,
    presence: Mutex<Presence>,
    depth: Depth,
    changed: watch::Sender<usize>,
    said: Seldom,
}

impl Peers {
    /// Starts connecting to the peers of these sources, and has new blocks announced where that is wanted. The returned
    /// future follows the connections and has to be polled for as long as the peers are used. It ends only when a task that
    /// keeps connections panics, after which they are not kept any more.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub(crate) fn start(
        params: &ChainParams,
        PeerSources { fixed, unresolved, resolver, discovery }: PeerSources,
        start_height: u32,
        settings: &Settings,
        connector: &Connector,
        mut rng: fastrand::Rng,
        announcer: Option<Announcer>,
    ) -> Result<(Arc<Self>, impl Future<Output = Panicked> + use<>), ConfigError> {
        let monitor = Monitor::new(settings.netmon.clone())?;
        let (gossip, discovery) = discovery
            .map(|discovery| {
                let (gossip, heard) = mpsc::channel(GOSSIP_CAPACITY);
                (gossip, (discovery, heard))
            })
            .unzip();
        let pool_seed = rng.u64(..);
        let executor_seed = rng.u64(..);
        let recovery = Recovering::new(settings.recovery.clone(), rng.u64(..))?;
        let book = Arc::new(PeerBook::new(&fixed, &unresolved, recovery));
        let (refusals, refused) = mpsc::channel(REFUSAL_CAPACITY);
        let charged = book.clone();
        let on_refusal = move |peer| {
            charged.on_refusal(peer, now());
            // Where there is no place, so many have refused that their turn comes all the same.
            refusals.try_send(peer).ok();
        };
        let setup = ConnectionSetup {
            params: params.clone(),
            start_height,
            config: ConnectionConfig::of(settings),
            connector: connector.clone(),
            monitor,
            on_refusal: OnRefusal(Arc::new(on_refusal)),
            announcer,
            gossip,
            room: Room::default(),
        };
        let pool_config = PoolConfig {
            setup,
            reconnect_base: settings.reconnect_base,
            reconnect_cap: settings.reconnect_cap,
            seed: pool_seed,
            rates: Mutex::new(TokenBuckets::new(&settings.peer_rate)?),
            resolver,
            discovery,
        };
        let (pool, events) = Pool::start(&fixed, unresolved, pool_config);
        let transport = PoolTransport::new(pool.clone(), book.clone());
        let executor =
            executor(settings.selector, transport, book.clone(), executor_seed, settings.executor.clone())?;
        let peers = Arc::new(Self {
            _stop_on_drop: pool.stop_on_drop(),
            executor,
            pool,
            book,
            presence: Mutex::new(Presence::new(settings.peer_patience)),
            depth: settings.depth,
            changed: watch::Sender::new(0),
            said: Seldom::default(),
        });
        Ok((peers.clone(), peers.follow(events, refused)))
    }

    /// Whether a peer may be asked for anything; if not, why, and for how much longer. The one answer to that question:
    /// requests go to the peers that the book calls ready, and what the executor and discovery add is shown here.
    ///
    /// `load` is what the executor says of the peer, if it knows it.
    fn standing_with(&self, peer: &SocketAddr, load: Option<&PeerLoad<SocketAddr>>) -> Standing {
        let now = now();
        match self.book.standing(peer, now) {
            Standing::Ready => {
                let rests_until = load.and_then(|load| load.rests_until).filter(|until| *until > now);
                rests_until.map_or(Standing::Ready, |until| Standing::Resting { wait: until - now })
            }
            absent @ Standing::Absent { .. } => {
                let ban = self.pool.discovery().and_then(|discovery| discovery.ban(peer));
                ban.map_or(absent, |(wait, reason)| Standing::Banned { wait, reason })
            }
            standing => standing,
        }
    }

    /// Peers that have greeted, in order of address.
    pub(crate) fn greeted(&self) -> Vec<SocketAddr> {
        self.book.greeted()
    }

    /// Notified whenever a peer comes, is proven or goes, or an attempt to connect fails. The number of those that have
    /// greeted.
    pub(crate) fn changes(&self) -> watch::Receiver<usize> {
        self.changed.subscribe()
    }

    /// Greatest height that a connected peer claimed for its chain; not verified.
    pub(crate) fn claimed_height(&self) -> u32 {
        self.claimed_by(&self.greeted())
    }

    /// The same of these peers alone.
    pub(crate) fn claimed_by<'a>(&self, peers: impl IntoIterator<Item = &'a SocketAddr>) -> u32 {
        let connections = peers.into_iter().filter_map(|peer| self.pool.connection(peer));
        connections.map(|connection| connection.info().start_height).max().unwrap_or(0)
    }

    /// Closes the connection to a peer; it is connected anew after a while.
    pub(crate) fn disconnect(&self, peer: SocketAddr) {
        if let Some(connection) = self.pool.connection(&peer) {
            connection.close();
        }
    }

    /// Requests sent, by kind.
    pub(crate) fn sent(&self, kind: RequestKind) -> u64 {
        self.book.sent(kind)
    }

    /// Bytes received over all connections.
    pub(crate) fn bytes_received(&self) -> u64 {
        self.pool.bytes_received()
    }

    /// What every peer did.
    pub(crate) fn reports(&self) -> BTreeMap<SocketAddr, PeerReport> {
        self.note_loads();
        let mut reports = self.book.reports();
        for (address, report) in &mut reports {
            report.rtt = self.pool.monitor().health(address).and_then(|health| health.srtt);
        }
        reports
    }

    /// Ends all requests and connections and waits until they have ended.
    ///
    /// # Cancel safety
    /// Stopping goes on when the future is dropped.
    pub(crate) async fn stop(&self) {
        self.note_loads();
        self.executor.close().await;
        self.pool.stop().await;
    }

    async fn follow(
        self: Arc<Self>,
        mut events: mpsc::Receiver<PoolEvent>,
        mut refused: mpsc::Receiver<SocketAddr>,
    ) -> Panicked {
        loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => {
                    if let Err(panic) = self.take_up(event) {
                        return panic;
                    }
                }
                Some(peer) = refused.recv() => self.renew_if_spent(peer),
                // The pool has been stopped.
                else => return std::future::pending().await,
            }
        }
    }

    /// An error where the pool cannot go on.
    fn take_up(&self, event: PoolEvent) -> Result<(), Panicked> {
        let about = event.address();
        match event {
            PoolEvent::Panicked(panic) => return Err(panic),
            PoolEvent::LookupFailed { name } => self.book.on_lookup_failed(&name),
            PoolEvent::Resolved { name, addresses } => self.book.on_resolved(&name, &addresses),
            PoolEvent::Trying { address } => self.book.on_attempt(address),
            PoolEvent::Up { address, info } => {
                tracing::debug!(peer = %address, version = info.version, agent = info.user_agent, "connected");
                self.book.on_greeting(address, info.start_height, info.clock_ahead, now());
                self.executor.add_peer(address, Depth::ONE);
            }
            PoolEvent::Proven { address } => {
                self.book.on_proven(address, now());
                let health = self.pool.monitor().health(&address);
                if let Some(rtt) = health.and_then(|health| health.srtt) {
                    self.executor.set_rtt(&address, rtt);
                }
                self.executor.set_depth(&address, self.depth);
            }
            PoolEvent::Down { address, reason, retry_at } => {
                let is_trouble = !matches!(reason, DisconnectReason::Local | DisconnectReason::Renewed);
                if reason.is_abuse() {
                    self.tell_of_ban(address, &reason);
                }
                self.note_loads();
                self.book.on_left(
                    address,
                    is_trouble.then(|| reason.to_string()),
                    retry_at.map(Into::into),
                    now(),
                );
                self.executor.remove_peer(&address);
            }
            PoolEvent::Failed { address, error, retry_at } => {
                if let ConnectError::Abuse(reason) = &error {
                    self.tell_of_ban(address, reason);
                }
                self.note_loads();
                self.book.on_unreachable(address, error.to_string(), retry_at.map(Into::into), now());
                self.executor.remove_peer(&address);
                self.forget_passers_by();
            }
        }
        let (greeted, proven) = (self.book.greeted().len(), self.book.proven().len());
        let change = self.presence.lock().update(greeted, proven, Instant::now());
        if let Some((change, peer)) = change.zip(about) {
            self.tell(change, peer);
        }
        self.changed.send_replace(greeted);
        Ok(())
    }

    /// Logs what became of there being peers, by what happened to this one.
    fn tell(&self, change: Change, peer: SocketAddr) {
        match change {
            Change::First(after) => {
                let height = self.claimed_by([&peer]);
                tracing::info!(%peer, claims_height = height, after = %Span(after), "first peer");
            }
            // Connections that this side ends one after the other are no news.
            Change::Deserted if self.pool.is_stopping() => {}
            Change::Deserted => {
                let why = self.book.with_report(peer, |report| report.trouble.clone());
                let why = why.as_deref().unwrap_or("closed by this side");
                tracing::warn!(%peer, %why, "no usable peer: the last one disconnected");
            }
            Change::Back(after) => {
                tracing::info!(%peer, after = %Span(after), "a peer can be asked again");
            }
        }
    }

    /// The executor forgets a peer's peak when it goes, so it is noted before.
    fn note_loads(&self) {
        for load in self.executor.peers() {
            self.book.with_report(load.peer, |report| {
                report.max_in_flight = report.max_in_flight.max(load.max_in_flight);
            });
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
