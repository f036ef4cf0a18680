use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use dashcore::network::message_network::service_flags;
use parking_lot::Mutex;

use super::acceptable::is_acceptable;
use super::choice::Choice;
use super::metrics;
use super::net_group::NetGroup;
use super::record::Deed;
use super::seeds::{LookupFailed, look_up};
use super::table::PeerTable;
use crate::clock::{UnixClock, UnixTime};
use crate::config::DiscoveryConfig;
use crate::store::{BanReason, PeerRecord, Source};
use crate::store::{Store, StoreError};

/// Below this share of the table, nodes are asked for addresses.
const WANTED_SHARE: usize = 4;

/// Seeds are asked again after this long at the earliest.
const SEED_INTERVAL: Duration = Duration::from_secs(600);

/// A connection that is over sooner was of no use, and counts as a failure to connect.
const SHORTEST_USEFUL: Duration = Duration::from_secs(60);

/// A node whose chain ends more blocks below ours, an hour's worth, is far behind.
const FAR_BEHIND: u32 = 24;

/// What a node said of its height when it greeted is only held against it this long; the chain grows.
const HEIGHT_COUNTS_FOR: Duration = Duration::from_secs(60);

/// Which nodes a client talks to, where it looks for them itself: the [`PeerTable`] with a clock, a store and the
/// connections that there are.
#[derive(Debug)]
pub(crate) struct Discovery {
    config: DiscoveryConfig,
    params: ChainParams,
    clock: UnixClock,
    store: Arc<Store>,
    /// Always connected to by others, whatever is known of them.
    fixed: BTreeSet<SocketAddr>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: PeerTable,
    rng: fastrand::Rng,
    /// Addresses with a connection, or an attempt at one, and all fixed ones.
    held: BTreeSet<SocketAddr>,
    /// Nodes that have answered: when, and which height they claimed.
    up: BTreeMap<SocketAddr, (UnixTime, u32)>,
    /// Height of the best verified chain.
    height: u32,
    /// When the seeds were last asked, and whether they still are.
    seeds_at: Option<UnixTime>,
    asking_seeds: bool,
    /// Whether there is something to be written down, and whether that should not wait.
    changed: bool,
    urgent: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Connect here.
    Connect(SocketAddr),
    /// Nothing for that long, unless a connection ends or addresses come.
    Wait(Duration),
}

/// Addresses that a node sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Who.
    pub(crate) from: SocketAddr,
    /// What.
    pub(crate) candidates: Vec<Candidate>,
}

/// An address that a node sent. Nothing of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The address.
    pub(crate) address: SocketAddr,
    /// Service bits.
    pub(crate) services: u64,
    /// When it was seen, Unix time in seconds.
    pub(crate) time: u32,
}

impl Discovery {
    /// Takes up what `store` remembers. `fixed` addresses are connected to by others. The configuration must be valid.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn open(
        params: &ChainParams,
        config: &DiscoveryConfig,
        fixed: &[SocketAddr],
        store: Arc<Store>,
        mut rng: fastrand::Rng,
    ) -> Result<Arc<Self>, StoreError> {
        let clock = UnixClock::start();
        let mut table = PeerTable::new(config.clone());
        table.restore(store.peers()?, clock.now());
        for &address in fixed {
            table.learn(address, Source::Configured, clock.now(), clock.now(), &mut rng);
        }
        let fixed: BTreeSet<SocketAddr> = fixed.iter().copied().collect();
        let state = State {
            table,
            rng,
            held: fixed.clone(),
            up: BTreeMap::new(),
            height: store.tip()?.map_or(0, |(height, _)| height),
            seeds_at: None,
            asking_seeds: false,
            changed: true,
            urgent: false,
        };
        let (config, params) = (config.clone(), params.clone());
        Ok(Arc::new(Self { config, params, clock, store, fixed, state: Mutex::new(state) }))
    }

    /// Whether nobody is known who might be connected to.
    pub(crate) fn knows_nobody(&self) -> bool {
        self.state.lock().table.usable(self.clock.now()) == 0
    }

    /// Connections that there would be if all went well.
    pub(crate) fn expected(&self) -> usize {
        let usable = self.state.lock().table.usable(self.clock.now());
        self.fixed.len().max(usable.min(self.config.target_peers))
    }

    /// Whether all that is known was tried in vain, again and again.
    pub(crate) fn is_hopeless(&self) -> bool {
        let state = self.state.lock();
        state.up.is_empty() && !state.asking_seeds && state.table.usable(self.clock.now()) == 0
    }

    /// Whether the configuration asks for a connection to this address.
    pub(crate) fn is_fixed(&self, address: &SocketAddr) -> bool {
        self.fixed.contains(address)
    }

    /// Takes the next address to be connected to, if one is wanted.
    pub(crate) fn next(&self) -> Next {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let State { table, rng, held, up, .. } = &mut *state;
        let idle = self.config.lonely_retry_cap;
        if held.len() >= self.config.target_peers {
            return Next::Wait(idle);
        }
        match table.choose(held, up.is_empty(), now, rng) {
            Choice::Connect(address) => {
                held.insert(address);
                table.tried(&address, now);
                state.changed = true;
                Next::Connect(address)
            }
            // What changes meanwhile is seen after a while at the latest.
            Choice::At(time) => Next::Wait(time.saturating_sub(now).min(idle)),
            Choice::Nobody => Next::Wait(idle),
        }
    }

    /// The attempt at an address failed, or the connection ended before the node had answered anything.
    pub(crate) fn failed(&self, address: &SocketAddr) {
        self.with(|state, now| {
            state.table.unreachable(address, now);
            state.up.remove(address);
        });
    }

    /// The node has answered, `claimed` being the height that it said it has; whether to keep the connection.
    pub(crate) fn answered(&self, address: &SocketAddr, rtt: Option<Duration>, claimed: u32) -> bool {
        self.with(|state, now| {
            state.table.answered(address, rtt, now);
            state.up.insert(*address, (now, claimed));
            !self.is_left_behind(state, address, now)
        })
    }

    /// The connection to a node that had answered has ended.
    pub(crate) fn ended(&self, address: &SocketAddr) {
        self.with(|state, now| {
            let lasted = state.up.remove(address).map_or(Duration::ZERO, |(since, _)| now - since);
            if lasted < SHORTEST_USEFUL {
                state.table.unreachable(address, now);
            } else {
                state.table.tried(address, now);
            }
        });
    }

    /// Nothing more is going on at an address that [`next`](Self::next) gave out.
    pub(crate) fn release(&self, address: &SocketAddr) {
        if !self.is_fixed(address) {
            self.state.lock().held.remove(address);
        }
    }

    /// For how much longer and why an address is avoided. Configured ones never are.
    pub(crate) fn ban(&self, address: &SocketAddr) -> Option<(Duration, BanReason)> {
        if self.is_fixed(address) {
            return None;
        }
        let now = self.clock.now();
        let ban = self.state.lock().table.records().get(address)?.ban_at(now)?;
        Some((ban.until - now, ban.reason))
    }

    /// Puts on record what a node did.
    pub(crate) fn record(&self, address: &SocketAddr, deed: Deed) {
        self.with(|state, _| state.table.record(address, deed));
    }

    /// The node sent something wrong. It is avoided for a while, unless it is configured.
    pub(crate) fn lied(&self, address: &SocketAddr) {
        self.with(|state, now| {
            state.table.ban(address, BanReason::Lied, now + self.config.ban);
            state.urgent = true;
        });
    }

    /// The node refuses whatever it is asked for. Whether to give up the connection: where there is somebody to take its
    /// place.
    pub(crate) fn refuses(&self, address: &SocketAddr) -> bool {
        self.with(|state, now| self.set_aside(state, address, BanReason::Refuses, now))
    }

    /// A chain of this height was verified; gives the nodes that are too far behind to be kept.
    pub(crate) fn verified(&self, height: u32) -> Vec<SocketAddr> {
        self.with(|state, now| {
            state.height = state.height.max(height);
            let up: Vec<SocketAddr> = state.up.keys().copied().collect();
            up.into_iter().filter(|address| self.is_left_behind(state, address, now)).collect()
        })
    }

    fn is_left_behind(&self, state: &mut State, address: &SocketAddr, now: UnixTime) -> bool {
        let Some(&(since, claimed)) = state.up.get(address) else { return false };
        now - since <= HEIGHT_COUNTS_FOR
            && claimed.saturating_add(FAR_BEHIND) < state.height
            && self.set_aside(state, address, BanReason::Behind, now)
    }

    fn set_aside(&self, state: &mut State, address: &SocketAddr, reason: BanReason, now: UnixTime) -> bool {
        if self.is_fixed(address) {
            return false;
        }
        let State { table, rng, held, up, .. } = state;
        let has_substitute = matches!(table.choose(held, false, now, rng), Choice::Connect(_));
        let is_replaceable =
            has_substitute || up.keys().filter(|&other| other != address).count() >= MIN_PEERS;
        if is_replaceable {
            state.table.ban(address, reason, now + self.config.set_aside);
        }
        is_replaceable
    }

    /// Remembers addresses that a node sent.
    pub(crate) fn heard(&self, heard: Heard) {
        let source = Source::told_by(&heard.from);
        self.with(|state, now| {
            let State { table, rng, .. } = state;
            let serving = heard.candidates.into_iter().filter(|candidate| {
                // Nodes without the whole chain cannot prove lists of long ago.
                candidate.services & service_flags::NETWORK != 0
                    && is_acceptable(&candidate.address, &self.params)
            });
            let mut learnt = 0;
            for candidate in serving {
                let seen = Duration::from_secs(candidate.time.into());
                learnt += usize::from(table.learn(candidate.address, source, seen, now, rng));
            }
            tracing::debug!(peer = %heard.from, addresses = learnt, "learnt");
        });
    }

    /// Whether nodes should be asked for addresses.
    pub(crate) fn wants_addresses(&self) -> bool {
        self.state.lock().table.usable(self.clock.now()) < self.config.capacity / WANTED_SHARE
    }

    /// Whether the seeds should be asked: so few are known that a place might stay empty. Answers yes once per interval.
    pub(crate) fn takes_turn_of_seeds(&self) -> bool {
        if self.params.dns_seeds.is_empty() {
            return false;
        }
        let now = self.clock.now();
        let mut state = self.state.lock();
        let is_due = state.seeds_at.is_none_or(|at| now >= at + SEED_INTERVAL);
        let is_needed = state.table.usable(now) < 2 * self.config.target_peers;
        if is_due && is_needed {
            state.seeds_at = Some(now);
            state.asking_seeds = true;
        }
        is_due && is_needed
    }

    /// Asks the DNS seeds and remembers what they answer.
    ///
    /// # Errors
    /// When none answers.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ask_seeds(&self) -> Result<(), LookupFailed> {
        let named = |seed: &&str| format!("{seed}:{}", self.params.default_port);
        let seeds = self.params.dns_seeds.iter().map(named).collect();
        let found = look_up(seeds, self.config.seed_timeout).await;
        self.state.lock().asking_seeds = false;
        let found = found?;
        self.with(|state, now| {
            let State { table, rng, .. } = state;
            for address in found.into_iter().filter(|address| is_acceptable(address, &self.params)) {
                table.learn(address, Source::Seed, now, now, rng);
            }
        });
        Ok(())
    }

    /// Tells the metrics how many are known, and into how many networks there are connections.
    pub(crate) fn report(&self) {
        let state = self.state.lock();
        let groups: BTreeSet<NetGroup> = state.up.keys().map(NetGroup::of).collect();
        metrics::known_peers(&state.table.counts(self.clock.now()), groups.len());
    }

    /// How often what was learnt should be written down.
    pub(crate) const fn save_interval(&self) -> Duration {
        self.config.save_interval
    }

    /// Whether something was learnt that should be written down at once.
    pub(crate) fn is_urgent(&self) -> bool {
        self.state.lock().urgent
    }

    /// Writes down what was learnt. Failing that, nothing is lost but memories.
    ///
    /// # Cancel safety
    /// Cancelled, it is written nevertheless.
    pub(crate) async fn save(&self) {
        let rows: Vec<(SocketAddr, PeerRecord)> = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.changed) {
                return;
            }
            state.urgent = false;
            state.table.records().iter().map(|(address, record)| (*address, record.clone())).collect()
        };
        let store = self.store.clone();
        let saved = tokio::task::spawn_blocking(move || store.save_peers(&rows)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "peers are not remembered");
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State, UnixTime) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.changed = true;
        change(&mut state, now)
    }
}

/// With as many others, one that is of no use is given up although nobody is known to take its place.
const MIN_PEERS: usize = 3;

#[cfg(test)]
mod tests;
