mod credit;
mod live;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use parking_lot::Mutex;
use spv_correlation::CorrelationError;
use spv_executor::{Completed, Depth, ExecuteError, Executor};
use spv_netmon::Monitor;
use spv_recovery::{Classify, FailureKind};
use spv_scheduler::{Conditions, TokenBuckets};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::peer_report::{Outcome, PeerReport};
use super::peer_sources::PeerSources;
use super::recovering::Recovering;
use super::selecting::executor;
use super::transport::PoolTransport;
use crate::clock::now;
use crate::config::{ConfigError, Settings};
use crate::net::{
    Announcement, ConnectError, ConnectionConfig, ConnectionSetup, Connector, DisconnectReason, Pool,
    PoolConfig, PoolEvent, RequestError,
};
use crate::timer::sleep_until;
use crate::wire::{Answer, Request, RequestKind};

/// An address that failed this often in a row is no hope for a sync that has nobody else.
const HOPELESS_AFTER: u32 = 3;

/// Once the first peer has greeted, the others get this long at least before a sync may end without having heard them.
const MIN_GRACE: Duration = Duration::from_millis(20);

/// Messages with addresses that may wait to be read.
const GOSSIP_CAPACITY: usize = 16;

/// The peers of a sync: connections, slots, measurements, and what each of them did.
#[derive(Debug)]
pub(crate) struct Peers {
    _stop_on_drop: DropGuard,
    executor: Executor<PoolTransport>,
    pool: Arc<Pool>,
    recovery: Mutex<Recovering>,
    patience: Duration,
    /// Peers that have answered a ping. Others, if they have greeted, are asked for headers alone.
    proven: Mutex<BTreeSet<SocketAddr>>,
    /// When connecting began, and when the first peer had greeted.
    started: Instant,
    first_greeted: Mutex<Option<Instant>>,
    /// Since when nobody can be asked, and whether somebody ever could.
    deserted: Mutex<Deserted>,
    depth: Depth,
    reports: Mutex<BTreeMap<SocketAddr, PeerReport>>,
    sent: Mutex<BTreeMap<RequestKind, u64>>,
    changed: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Deserted {
    since: Option<Instant>,
    from_the_start: bool,
}

impl Deserted {
    fn update(&mut self, usable: usize) {
        if usable > 0 {
            *self = Self { since: None, from_the_start: false };
        } else {
            self.since.get_or_insert_with(Instant::now);
        }
    }
}

/// How a request ended.
pub(crate) type Executed =
    Result<Completed<SocketAddr, Answer>, ExecuteError<SocketAddr, Answer, RequestError>>;

impl Peers {
    /// Starts connecting to the peers of these sources, and has new blocks announced where that is wanted. The returned future follows
    /// the connections and has to be polled for as long as the peers are used.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub(crate) fn start(
        params: &ChainParams,
        PeerSources { fixed, discovery }: PeerSources,
        start_height: u32,
        settings: &Settings,
        connector: &Connector,
        mut rng: fastrand::Rng,
        announcements: Option<mpsc::Sender<Announcement>>,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + use<>), ConfigError> {
        let monitor = Monitor::new(settings.netmon.clone())?;
        let (gossip, discovery) = discovery
            .map(|discovery| {
                let (gossip, heard) = mpsc::channel(GOSSIP_CAPACITY);
                (gossip, (discovery, heard))
            })
            .unzip();
        let setup = ConnectionSetup {
            params: params.clone(),
            start_height,
            config: ConnectionConfig::of(settings),
            connector: connector.clone(),
            monitor,
            announcements,
            gossip,
        };
        let pool_config = PoolConfig {
            setup,
            reconnect_base: settings.reconnect_base,
            reconnect_cap: settings.reconnect_cap,
            seed: rng.u64(..),
            rates: Mutex::new(TokenBuckets::new(&settings.peer_rate)?),
            discovery,
        };
        let (pool, events) = Pool::start(&fixed, pool_config);
        let transport = PoolTransport::new(pool.clone());
        let executor = executor(settings.selector, transport, rng.u64(..), settings.executor.clone())?;
        let recovery = Recovering::new(settings.recovery.clone(), rng.u64(..))?;
        let reports = fixed.into_iter().map(|address| (address, PeerReport::default())).collect();
        let peers = Arc::new(Self {
            _stop_on_drop: pool.stop_on_drop(),
            executor,
            pool,
            recovery: Mutex::new(recovery),
            patience: settings.peer_patience,
            proven: Mutex::new(BTreeSet::new()),
            started: Instant::now(),
            first_greeted: Mutex::new(None),
            deserted: Mutex::new(Deserted { since: Some(Instant::now()), from_the_start: true }),
            depth: settings.depth,
            reports: Mutex::new(reports),
            sent: Mutex::new(BTreeMap::new()),
            changed: watch::Sender::new(0),
        });
        Ok((peers.clone(), peers.follow(events)))
    }

    /// Peers that can be asked for anything now, in order of address.
    pub(crate) fn connected(&self) -> Vec<SocketAddr> {
        let proven = self.proven.lock();
        self.greeted().into_iter().filter(|peer| proven.contains(peer)).collect()
    }

    /// Peers that can be asked for headers now, in order of address: those too that have shown no more than a greeting.
    pub(crate) fn greeted(&self) -> Vec<SocketAddr> {
        self.executor.peers().into_iter().map(|load| load.peer).collect()
    }

    /// Peers that have shown no more than a greeting, where there are others.
    pub(crate) fn unproven(&self) -> BTreeSet<SocketAddr> {
        if self.connected().is_empty() { BTreeSet::new() } else { self.all_unproven() }
    }

    /// All addresses that cannot be asked for anything, those too that may greet any moment.
    fn all_unproven(&self) -> BTreeSet<SocketAddr> {
        let proven = self.proven.lock();
        self.reports.lock().keys().filter(|peer| !proven.contains(peer)).copied().collect()
    }

    /// Whether there is no use in waiting for a peer: nobody could be asked for as long as patience lasts, or nobody
    /// ever could and every address has failed again and again.
    pub(crate) fn hopeless(&self) -> bool {
        let deserted = *self.deserted.lock();
        let Some(since) = deserted.since else { return false };
        let never_useful = |report: &PeerReport| report.connect_failures >= HOPELESS_AFTER;
        let nobody_left = || match self.pool.discovery() {
            Some(discovery) => discovery.is_hopeless(),
            None => self.reports.lock().values().all(never_useful),
        };
        since.elapsed() >= self.patience || deserted.from_the_start && nobody_left()
    }

    /// Resolves when patience ends; never while somebody can be asked.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn out_of_patience(&self) {
        let since = self.deserted.lock().since;
        sleep_until(since.map(|since| since + self.patience)).await;
    }

    /// Waits until a peer has greeted; returns whether there is one.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ready(&self) -> bool {
        let mut changed = self.changed.subscribe();
        while *changed.borrow_and_update() == 0 {
            if self.hopeless() {
                return false;
            }
            tokio::select! {
                biased;
                // Cannot fail: the sender is a field of `self`.
                _ = changed.changed() => {}
                () = self.out_of_patience() => {}
            }
        }
        true
    }

    /// Resolves when every address has greeted, or has had a little more time for it than the first one took.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn gathered(&self) {
        let mut changed = self.changed.subscribe();
        // Cannot fail: the sender is a field of `self`.
        changed.wait_for(|_| self.first_greeted.lock().is_some()).await.ok();
        let first = self.first_greeted.lock().unwrap_or(self.started);
        let grace = ((first - self.started) / 4).max(MIN_GRACE);
        let everybody = match self.pool.discovery() {
            Some(discovery) => discovery.expected(),
            None => self.reports.lock().len(),
        };
        // Elapses when some peer does not come in time. Whoever comes later joins in what is left.
        tokio::time::timeout_at(first + grace, changed.wait_for(|&greeted| greeted >= everybody)).await.ok();
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

    /// Notified whenever a request ends and so a slot may be free, also one that nobody waits for any more.
    pub(crate) fn slots(&self) -> watch::Receiver<spv_executor::Progress> {
        self.executor.progress()
    }

    /// How many more requests for lists could start now.
    pub(crate) fn capacity(&self) -> usize {
        let proven = self.proven.lock().clone();
        let recovery = self.recovery.lock();
        let loads = self.executor.peers();
        let unusable =
            loads.iter().filter(|load| !proven.contains(&load.peer) || recovery.exhausted(&load.peer));
        let withheld: usize =
            unusable.map(|load| load.adapted_depth.get().saturating_sub(load.in_flight)).sum();
        self.executor.capacity().saturating_sub(withheld)
    }

    /// Tells how many requests for lists are held back for later: for the last few of many, slow peers are not worth
    /// asking.
    pub(crate) fn announce(&self, requests: usize) {
        self.executor.announce(requests);
    }

    /// Sends a request to some peer that is neither excluded nor blocked, and waits for the answer.
    pub(crate) async fn execute(&self, request: Request, exclude: BTreeSet<SocketAddr>) -> Executed {
        let kind = request.kind();
        let executed = self.executor.execute(request, exclude).await;
        self.count(kind, executed)
    }

    /// The same for one of many requests that are applied in `order`: the lowest holds up the others, so it may be
    /// sent to a second peer when the first one is slow.
    pub(crate) async fn execute_in_order(
        &self,
        request: Request,
        exclude: BTreeSet<SocketAddr>,
        order: u64,
    ) -> Executed {
        let kind = request.kind();
        let executed = self.executor.execute_in_order(request, exclude, order).await;
        self.count(kind, executed)
    }

    /// What is wrong with the network now, as far as the size of batches depends on it.
    pub(crate) fn conditions(&self) -> Conditions {
        let measured = self.pool.monitor().conditions(now());
        Conditions {
            high_latency: measured.high_latency,
            low_bandwidth: measured.low_bandwidth,
            unstable: measured.unstable,
        }
    }

    /// Copies that were sent to a second peer.
    pub(crate) fn hedged(&self) -> u64 {
        self.executor.progress().borrow().hedged
    }

    fn count(&self, kind: RequestKind, executed: Executed) -> Executed {
        let peer = match &executed {
            Ok(completed) => Some(completed.peer),
            Err(ExecuteError::Transport { source: RequestError::CreditSpent, .. }) => return executed,
            Err(error) => error.peer().copied(),
        };
        if let Some(peer) = peer {
            *self.sent.lock().entry(kind).or_default() += 1;
            self.with_report(peer, |report| report.requests += 1);
        }
        if let Err(error) = &executed
            && let (Some(peer), Some(kind)) = (peer, failure_kind(error))
        {
            self.record(peer, Outcome::Failed(kind));
            if let ExecuteError::Transport {
                source: RequestError::Correlation(CorrelationError::Refused { after }),
                ..
            } = error
            {
                self.with_report(peer, |report| {
                    report.slowest_refusal = report.slowest_refusal.max(Some(*after));
                });
            }
        }
        executed
    }

    /// Puts an outcome on the record of a peer. That a list was accepted reaches the recovery policy with the history of
    /// its work, by [`Recovering::on_verified`].
    pub(crate) fn record(&self, peer: SocketAddr, outcome: Outcome) {
        self.with_report(peer, |report| report.record(outcome));
        if outcome == Outcome::AcceptedHeaders {
            self.recovery.lock().on_success(&peer, now());
        }
        self.remember(peer, outcome);
    }

    /// The recovery policy.
    pub(crate) fn recovery(&self) -> parking_lot::MutexGuard<'_, Recovering> {
        self.recovery.lock()
    }

    /// Closes the connection to a peer; it is connected anew after a while.
    pub(crate) fn disconnect(&self, peer: SocketAddr) {
        if let Some(connection) = self.pool.connection(&peer) {
            connection.close();
        }
    }

    /// Requests sent, by kind.
    pub(crate) fn sent(&self, kind: RequestKind) -> u64 {
        self.sent.lock().get(&kind).copied().unwrap_or(0)
    }

    /// Bytes received over all connections.
    pub(crate) fn bytes_received(&self) -> u64 {
        self.pool.bytes_received()
    }

    /// What every peer did.
    pub(crate) fn reports(&self) -> BTreeMap<SocketAddr, PeerReport> {
        self.note_loads();
        let mut reports = self.reports.lock().clone();
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

    async fn follow(self: Arc<Self>, mut events: mpsc::Receiver<PoolEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                // It may greet any moment, see `all_unproven`.
                PoolEvent::Trying { address } => self.with_report(address, |_| {}),
                PoolEvent::Up { address, info } => {
                    tracing::debug!(peer = %address, version = info.version, agent = info.user_agent, "connected");
                    self.recovery.lock().on_reconnect(&address);
                    self.first_greeted.lock().get_or_insert_with(Instant::now);
                    self.executor.add_peer(address, Depth::ONE);
                }
                PoolEvent::Proven { address } => {
                    self.with_report(address, |report| {
                        report.connected = true;
                        report.connect_failures = 0;
                    });
                    self.proven.lock().insert(address);
                    let health = self.pool.monitor().health(&address);
                    if let Some(rtt) = health.and_then(|health| health.srtt) {
                        self.executor.set_rtt(&address, rtt);
                    }
                    self.executor.set_depth(&address, self.depth);
                }
                PoolEvent::Down { address, reason, retry_at } => {
                    tracing::debug!(peer = %address, %reason, ?retry_at, "disconnected");
                    self.proven.lock().remove(&address);
                    self.note_loads();
                    self.executor.remove_peer(&address);
                    self.trouble(address, &reason);
                }
                PoolEvent::Failed { address, error, retry_at } => {
                    tracing::debug!(peer = %address, %error, ?retry_at, "not connected");
                    self.note_loads();
                    self.executor.remove_peer(&address);
                    self.failed_to_connect(address, &error);
                    self.forget_passers_by();
                }
            }
            self.deserted.lock().update(self.connected().len());
            self.changed.send_replace(self.greeted().len());
        }
    }

    fn failed_to_connect(&self, address: SocketAddr, error: &ConnectError) {
        self.with_report(address, |report| {
            report.connect_failures += 1;
            report.trouble = Some(error.to_string());
        });
    }

    fn trouble(&self, address: SocketAddr, reason: &DisconnectReason) {
        if !matches!(reason, DisconnectReason::Local | DisconnectReason::Renewed) {
            self.with_report(address, |report| report.trouble = Some(reason.to_string()));
        }
    }

    /// The executor forgets a peer's peak when it goes, so it is noted before.
    fn note_loads(&self) {
        for load in self.executor.peers() {
            self.with_report(load.peer, |report| {
                report.max_in_flight = report.max_in_flight.max(load.max_in_flight);
            });
        }
    }

    fn with_report(&self, peer: SocketAddr, change: impl FnOnce(&mut PeerReport)) {
        change(self.reports.lock().entry(peer).or_default());
    }
}

/// What kind of failure an error is; `None` when it is not about a peer or a request at all.
pub(crate) fn failure_kind(error: &ExecuteError<SocketAddr, Answer, RequestError>) -> Option<FailureKind> {
    match error {
        ExecuteError::NoEligiblePeer => Some(FailureKind::NoPeer),
        ExecuteError::SoftTimeout { .. } | ExecuteError::HardTimeout { .. } => Some(FailureKind::Timeout),
        ExecuteError::Transport { source, .. } => Some(source.failure_kind()),
        ExecuteError::Closed => None,
        _ => Some(FailureKind::Internal),
    }
}
