mod learning;
mod masternodes;
mod set_aside;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use parking_lot::Mutex;

use super::choice::Choice;
use super::metrics;
use super::net_group::NetGroup;
use super::table::PeerTable;
use crate::clock::{UnixClock, UnixTime};
use crate::config::DiscoveryConfig;
use crate::panicked::Panicked;
use crate::resolver::Resolver;
use crate::store::{BanReason, PeerRecord, Source, Store};

pub(crate) use learning::{Candidate, Heard};

/// A connection that is over sooner was of no use, and counts as a failure to connect.
const SHORTEST_USEFUL: Duration = Duration::from_secs(60);

/// Which nodes a client talks to, where it looks for them itself: the [`PeerTable`] with a clock, a store and the
/// connections that there are.
#[derive(Debug)]
pub(crate) struct Discovery {
    config: DiscoveryConfig,
    params: ChainParams,
    clock: UnixClock,
    store: Arc<Store>,
    resolver: Resolver,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: PeerTable,
    rng: fastrand::Rng,
    /// Always connected to by others, whatever is known of them.
    fixed: BTreeSet<SocketAddr>,
    /// Addresses with a connection, or an attempt at one, and all fixed ones.
    held: BTreeSet<SocketAddr>,
    /// Nodes that have answered, and when.
    up: BTreeMap<SocketAddr, UnixTime>,
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

impl Discovery {
    /// Takes up what is `known`, which is what `store` remembers. `fixed` addresses are connected to by others. The configuration
    /// must be valid.
    pub(crate) fn open(
        params: &ChainParams,
        config: &DiscoveryConfig,
        fixed: &[SocketAddr],
        known: Vec<(SocketAddr, PeerRecord)>,
        store: Arc<Store>,
        resolver: Resolver,
        mut rng: fastrand::Rng,
    ) -> Arc<Self> {
        let clock = UnixClock::start();
        let mut table = PeerTable::new(config.clone());
        table.restore(known, clock.now());
        for &address in fixed {
            table.learn(address, Source::Configured, clock.now(), clock.now(), &mut rng);
        }
        let fixed: BTreeSet<SocketAddr> = fixed.iter().copied().collect();
        let state = State {
            table,
            rng,
            held: fixed.clone(),
            fixed,
            up: BTreeMap::new(),
            seeds_at: None,
            asking_seeds: false,
            changed: true,
            urgent: false,
        };
        let (config, params) = (config.clone(), params.clone());
        Arc::new(Self { config, params, clock, store, resolver, state: Mutex::new(state) })
    }

    /// Whether nobody is known who might be connected to.
    pub(crate) fn knows_nobody(&self) -> bool {
        self.state.lock().table.usable(self.clock.now()) == 0
    }

    /// Connections that there would be if all went well.
    pub(crate) fn expected(&self) -> usize {
        let state = self.state.lock();
        state.fixed.len().max(state.table.usable(self.clock.now()).min(self.config.target_peers))
    }

    /// Connections that are wanted.
    pub(crate) const fn target_peers(&self) -> usize {
        self.config.target_peers
    }

    /// Whether a connection may still come about soon: an attempt is under way, or an address could be tried now.
    pub(crate) fn has_more(&self) -> bool {
        let now = self.clock.now();
        let state = self.state.lock();
        let is_trying =
            state.held.iter().any(|held| !state.up.contains_key(held) && !state.fixed.contains(held));
        let has_place = state.held.len() < self.config.target_peers;
        // What is drawn here must not change what is chosen later.
        let choice = state.table.choose(&state.held, state.up.is_empty(), now, &mut state.rng.clone());
        state.asking_seeds || is_trying || has_place && matches!(choice, Choice::Connect(_))
    }

    /// Whether all that is known was tried in vain, again and again.
    pub(crate) fn is_hopeless(&self) -> bool {
        let state = self.state.lock();
        state.up.is_empty() && !state.asking_seeds && state.table.usable(self.clock.now()) == 0
    }

    /// Whether the configuration asks for a connection to this address.
    pub(crate) fn is_fixed(&self, address: &SocketAddr) -> bool {
        self.state.lock().fixed.contains(address)
    }

    /// From now on others connect to this address, as the configuration wants; `false`, and nothing changes, while there is
    /// a connection to it already, or an attempt at one.
    pub(crate) fn leave_to_others(&self, address: SocketAddr) -> bool {
        self.with(|state, now| {
            let is_free = state.held.insert(address);
            if is_free {
                state.table.learn(address, Source::Configured, now, now, &mut state.rng);
                state.fixed.insert(address);
            }
            is_free
        })
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

    /// The node has answered.
    pub(crate) fn answered(&self, address: &SocketAddr, rtt: Option<Duration>) {
        self.with(|state, now| {
            state.table.answered(address, rtt, now);
            state.up.insert(*address, now);
        });
    }

    /// The connection to a node that had answered has ended.
    pub(crate) fn ended(&self, address: &SocketAddr) {
        self.with(|state, now| {
            let lasted = state.up.remove(address).map_or(Duration::ZERO, |since| now - since);
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
        match saved.map_err(Panicked::from) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the known peers cannot be stored"),
            Err(panic) => tracing::error!(%panic, "storing the known peers panicked"),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State, UnixTime) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.changed = true;
        change(&mut state, now)
    }
}

#[cfg(test)]
mod tests;
