mod hearing;
mod log;
mod throttling;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use parking_lot::Mutex;
use spv_recovery::{Answered, Blocked, Decision, History};

use super::heard_chain::{HeaderPace, HeardChain};
use super::peer_report::PeerReport;
use super::recovering::Recovering;
use super::throttle::Throttle;
use crate::chain::BlockId;
use crate::config::PeerName;
use crate::discovery::Standing;
use crate::wire::RequestKind;

/// What is known of each peer of a sync: one record each, all under one lock.
///
/// The executor asks it for eligible peers under its own lock, so nothing here may call the executor.
#[derive(Debug)]
pub(super) struct PeerBook {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<SocketAddr, Record>,
    /// Names of peers that are not known by address yet, with the lookups that failed.
    unresolved: BTreeMap<PeerName, u32>,
    recovery: Recovering,
    /// Requests sent, by kind.
    sent: BTreeMap<RequestKind, u64>,
}

/// What is known of one peer.
#[derive(Debug, Default)]
struct Record {
    link: Link,
    report: PeerReport,
    /// What it has shown to hold of the header chain; `None` before it has answered.
    heard: Option<HeardChain>,
    /// Height that it claimed when it greeted last; not verified.
    claimed: Option<u32>,
    /// Seconds that its clock was ahead of ours then, as it said.
    clock_ahead: i64,
    header_pace: HeaderPace,
    throttle: Throttle,
    /// Whether its latest headers are ahead of our clock.
    is_ahead: bool,
    /// Name of the standing that was logged last.
    logged: Option<&'static str>,
}

/// How far the connection to a peer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// There is none.
    Absent { retry_at: Option<Instant> },
    /// The peer has greeted.
    Greeted,
    /// The peer has answered a ping.
    Proven,
}

impl Default for Link {
    fn default() -> Self {
        Self::Absent { retry_at: None }
    }
}

/// Which peers a request for lists may go to, decided for the peers that are there when it is dispatched.
#[derive(Debug)]
pub(super) struct ListPeers {
    /// The newest block that the request names. Peers that are known to lack it would refuse.
    block: BlockId,
    /// Peers that are not asked.
    avoid: BTreeSet<SocketAddr>,
    /// Whether peers that rest may be asked, because there are no others.
    resting: bool,
}

impl PeerBook {
    /// Of these peers, and of those whose names have been looked up once in vain.
    pub(super) fn new(fixed: &[SocketAddr], unresolved: &[PeerName], recovery: Recovering) -> Self {
        let records = fixed.iter().map(|&address| (address, Record::default())).collect();
        let unresolved = unresolved.iter().map(|name| (name.clone(), 1)).collect();
        Self { state: Mutex::new(State { records, unresolved, recovery, sent: BTreeMap::new() }) }
    }

    /// Whether a peer may be asked, as far as this side of the executor knows; if not, why. An address that nothing is
    /// known of is absent.
    pub(super) fn standing(&self, peer: &SocketAddr, now: Instant) -> Standing {
        self.state.lock().standing(peer, now)
    }

    /// Which peers a request for lists up to `block` may go to that avoids some of them: none that is avoided, and none
    /// that rests, as long as somebody is left. Never one that is known to lack the block.
    pub(super) fn list_peers(&self, block: BlockId, avoid: &BTreeSet<SocketAddr>, now: Instant) -> ListPeers {
        let state = self.state.lock();
        let is_left = |choice: &ListPeers| state.has_server(choice, now);
        let avoiding = |resting| ListPeers { block, avoid: avoid.clone(), resting };
        let anybody = |resting| ListPeers { block, avoid: BTreeSet::new(), resting };
        [avoiding(false), avoiding(true), anybody(false)]
            .into_iter()
            .find(is_left)
            .unwrap_or_else(|| anybody(true))
    }

    /// Whether anybody may be asked for the list of this block, at rest or not, who need not be avoided.
    pub(super) fn has_server(&self, block: BlockId, avoid: &BTreeSet<SocketAddr>, now: Instant) -> bool {
        self.state.lock().has_server(&ListPeers { block, avoid: avoid.clone(), resting: true }, now)
    }

    /// Whether a peer is one of these now.
    pub(super) fn serves_lists(&self, peer: &SocketAddr, choice: &ListPeers, now: Instant) -> bool {
        self.state.lock().serves(peer, choice, now)
    }

    /// Whether a peer has slots for lists, at rest or not.
    pub(super) fn has_list_slots(&self, peer: &SocketAddr, now: Instant) -> bool {
        let standing = self.standing(peer, now);
        matches!(standing, Standing::Ready | Standing::Resting { .. } | Standing::Probing)
    }

    /// Whether a peer may be asked for headers: also one that has shown no more than a greeting, unless there are others.
    pub(super) fn serves_headers(&self, peer: &SocketAddr, now: Instant) -> bool {
        let state = self.state.lock();
        match state.standing(peer, now) {
            _ if state.header_wait(peer, now).is_some() => false,
            Standing::Ready | Standing::Resting { .. } | Standing::Probing => true,
            Standing::Unproven => !state.records.values().any(|record| record.link == Link::Proven),
            Standing::Absent { .. } | Standing::Spent | Standing::Banned { .. } => false,
        }
    }

    /// Whether an address is being connected to for the first time.
    pub(super) fn is_connecting(&self) -> bool {
        self.state.lock().records.values().any(|record| {
            record.link == Link::Absent { retry_at: None }
                && !record.report.connected
                && record.report.connect_failures == 0
        })
    }

    /// Peers that have answered a ping, in order of address.
    pub(super) fn proven(&self) -> Vec<SocketAddr> {
        self.state.lock().proven()
    }

    /// Peers that have greeted, in order of address, those that have answered a ping included.
    pub(super) fn greeted(&self) -> Vec<SocketAddr> {
        let state = self.state.lock();
        let here = |record: &Record| !matches!(record.link, Link::Absent { .. });
        state.records.iter().filter(|(_, record)| here(record)).map(|(&peer, _)| peer).collect()
    }

    /// Whether there are peers, but none that may be made to refuse once more.
    pub(super) fn all_spent(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let proven = state.proven();
        !proven.is_empty() && proven.iter().all(|peer| state.standing(peer, now) == Standing::Spent)
    }

    /// Whether every address failed to be reached this often in a row.
    pub(super) fn all_unreachable(&self, failures: u32) -> bool {
        self.state.lock().records.values().all(|record| record.report.connect_failures >= failures)
    }

    /// Whether every name that is not known by address failed to be looked up this often.
    pub(super) fn all_unresolvable(&self, failures: u32) -> bool {
        self.state.lock().unresolved.values().all(|&failed| failed >= failures)
    }

    /// A peer's name was looked up in vain once more.
    pub(super) fn on_lookup_failed(&self, name: &PeerName) {
        if let Some(failed) = self.state.lock().unresolved.get_mut(name) {
            *failed = failed.saturating_add(1);
        }
    }

    /// A peer's name is known to mean these addresses, which are being connected to.
    pub(super) fn on_resolved(&self, name: &PeerName, addresses: &[SocketAddr]) {
        let mut state = self.state.lock();
        state.unresolved.remove(name);
        for &address in addresses {
            state.records.entry(address).or_default();
        }
    }

    /// Addresses on record.
    pub(super) fn len(&self) -> usize {
        self.state.lock().records.len()
    }

    /// A node that was found is being connected to.
    pub(super) fn on_attempt(&self, peer: SocketAddr) {
        self.state.lock().records.entry(peer).or_default();
    }

    /// The node has greeted on a new connection.
    pub(super) fn on_greeting(&self, peer: SocketAddr, claimed: u32, clock_ahead: i64, now: Instant) {
        self.change(peer, now, |record, recovery| {
            record.link = Link::Greeted;
            (record.claimed, record.clock_ahead) = (Some(claimed), clock_ahead);
            recovery.on_reconnect(&peer);
        });
    }

    /// The node has answered its first ping.
    pub(super) fn on_proven(&self, peer: SocketAddr, now: Instant) {
        self.change(peer, now, |record, recovery| {
            record.link = Link::Proven;
            record.report.connected = true;
            record.report.connect_failures = 0;
            record.report.left_at = None;
            recovery.on_proven(&peer, now);
        });
    }

    /// The connection to a node that was proven has ended.
    pub(super) fn on_left(
        &self,
        peer: SocketAddr,
        trouble: Option<String>,
        retry_at: Option<Instant>,
        now: Instant,
    ) {
        self.change(peer, now, |record, _| {
            record.link = Link::Absent { retry_at };
            record.report.left_at = Some(now);
            if trouble.is_some() {
                record.report.trouble = trouble;
            }
        });
    }

    /// No connection came about, or it ended before the node was proven.
    pub(super) fn on_unreachable(
        &self,
        peer: SocketAddr,
        trouble: String,
        retry_at: Option<Instant>,
        now: Instant,
    ) {
        self.change(peer, now, |record, _| {
            record.link = Link::Absent { retry_at };
            record.report.connect_failures += 1;
            record.report.trouble = Some(trouble);
        });
    }

    /// A request goes to the peer. If it has rested, this is the one that shows whether it does better.
    pub(super) fn on_sent(&self, peer: &SocketAddr, now: Instant) {
        self.state.lock().recovery.on_sent(peer, now);
    }

    /// A request to the peer has ended, whatever came of it: if it was the one that shows whether the peer does better,
    /// another may follow.
    pub(super) fn on_ended(&self, peer: &SocketAddr, now: Instant) {
        let mut state = self.state.lock();
        if matches!(state.recovery.why_blocked(peer, now), Some(Blocked::Probing { .. })) {
            state.recovery.on_abandoned(peer);
        }
    }

    /// The peer refused a request for lists. Called once for each refusal, whether somebody still waits for the answer or
    /// not: a peer that has refused too many on one connection is asked nothing more.
    pub(super) fn on_refusal(&self, peer: SocketAddr, now: Instant) {
        self.change(peer, now, |_, recovery| recovery.on_refusal(&peer));
    }

    /// Valid headers that add work came from the peer.
    pub(super) fn on_useful_headers(&self, peer: SocketAddr, now: Instant) {
        self.change(peer, now, |record, recovery| {
            record.header_pace.on_news();
            recovery.on_success(&peer, now);
        });
    }

    /// An answer came that is still to be verified.
    pub(super) fn on_answer(&self, peer: SocketAddr, now: Instant) -> Answered {
        self.change(peer, now, |_, recovery| recovery.on_answer(&peer, now))
    }

    /// An answer that had come was proven; returns the peers whose answers it shows to have been wrong.
    pub(super) fn on_verified(
        &self,
        history: &History<SocketAddr>,
        peer: SocketAddr,
        digest: &[u8; 32],
        now: Instant,
    ) -> Vec<SocketAddr> {
        let mut state = self.state.lock();
        let available = state.proven();
        let liars = state.recovery.on_verified(history, &peer, digest, &available, now);
        state.log(peer, now);
        liars
    }

    /// What becomes of work whose latest failure is in its history; with `answered` where an answer had come that proved
    /// wrong. Whoever is known to lack `block`, the newest that the work names, or has no room, cannot do it.
    pub(super) fn on_failure(
        &self,
        history: &History<SocketAddr>,
        block: &BlockId,
        no_room: &BTreeSet<SocketAddr>,
        answered: Option<Answered>,
        now: Instant,
    ) -> Decision<SocketAddr> {
        let mut state = self.state.lock();
        let mut available = state.holders(block, now).ready;
        available.retain(|peer| !no_room.contains(peer));
        let decision = match answered {
            Some(answered) => state.recovery.on_wrong_answer(answered, history, &available, now),
            None => state.recovery.on_failure(history, &available, now),
        };
        if let Some(peer) = history.tries().next_back().and_then(|attempt| attempt.peer) {
            state.log(peer, now);
        }
        decision
    }

    /// Peers that have answered a ping and do not rest, in order of address.
    pub(super) fn ready(&self, now: Instant) -> Vec<SocketAddr> {
        let state = self.state.lock();
        let proven = state.proven().into_iter();
        proven.filter(|peer| state.standing(peer, now) == Standing::Ready).collect()
    }

    /// Uses the recovery policy, with the peers that could be asked.
    pub(super) fn with_recovery<T>(&self, use_it: impl FnOnce(&mut Recovering, &[SocketAddr]) -> T) -> T {
        let mut state = self.state.lock();
        let available = state.proven();
        use_it(&mut state.recovery, &available)
    }

    /// Changes what a peer is reported to have done.
    pub(super) fn with_report<T>(&self, peer: SocketAddr, change: impl FnOnce(&mut PeerReport) -> T) -> T {
        change(&mut self.state.lock().records.entry(peer).or_default().report)
    }

    /// What every peer did.
    pub(super) fn reports(&self) -> BTreeMap<SocketAddr, PeerReport> {
        let state = self.state.lock();
        state.records.iter().map(|(&peer, record)| (peer, record.report.clone())).collect()
    }

    /// Drops records of absent peers for which `keep` is false.
    pub(super) fn forget(&self, mut keep: impl FnMut(&SocketAddr, &PeerReport) -> bool) {
        self.state
            .lock()
            .records
            .retain(|peer, record| !matches!(record.link, Link::Absent { .. }) || keep(peer, &record.report));
    }

    /// Counts a request that was sent.
    pub(super) fn count_sent(&self, peer: SocketAddr, kind: RequestKind) {
        let mut state = self.state.lock();
        *state.sent.entry(kind).or_default() += 1;
        state.records.entry(peer).or_default().report.requests += 1;
    }

    /// Requests sent, by kind.
    pub(super) fn sent(&self, kind: RequestKind) -> u64 {
        self.state.lock().sent.get(&kind).copied().unwrap_or(0)
    }

    fn change<T>(
        &self,
        peer: SocketAddr,
        now: Instant,
        change: impl FnOnce(&mut Record, &mut Recovering) -> T,
    ) -> T {
        let mut state = self.state.lock();
        let State { records, recovery, .. } = &mut *state;
        let result = change(records.entry(peer).or_default(), recovery);
        state.log(peer, now);
        result
    }
}

impl State {
    fn standing(&self, peer: &SocketAddr, now: Instant) -> Standing {
        let Some(record) = self.records.get(peer) else { return Standing::Absent { wait: None } };
        match record.link {
            Link::Absent { retry_at } => {
                Standing::Absent { wait: retry_at.map(|at| at.saturating_duration_since(now)) }
            }
            Link::Greeted => Standing::Unproven,
            Link::Proven => match self.recovery.why_blocked(peer, now) {
                Some(Blocked::Exhausted) => Standing::Spent,
                Some(Blocked::Open { until }) => {
                    Standing::Resting { wait: until.saturating_duration_since(now) }
                }
                Some(Blocked::Probing { .. }) => Standing::Probing,
                None => Standing::Ready,
            },
        }
    }

    fn has_server(&self, choice: &ListPeers, now: Instant) -> bool {
        self.records.keys().any(|peer| self.serves(peer, choice, now))
    }

    fn serves(&self, peer: &SocketAddr, choice: &ListPeers, now: Instant) -> bool {
        let ListPeers { block, avoid, resting } = choice;
        !avoid.contains(peer)
            && self.may_hold(peer, block)
            && match self.standing(peer, now) {
                Standing::Ready => true,
                Standing::Resting { .. } | Standing::Probing => *resting,
                Standing::Unproven | Standing::Absent { .. } | Standing::Spent | Standing::Banned { .. } => {
                    false
                }
            }
    }

    fn proven(&self) -> Vec<SocketAddr> {
        let proven = self.records.iter().filter(|(_, record)| record.link == Link::Proven);
        proven.map(|(&peer, _)| peer).collect()
    }
}

#[cfg(test)]
mod tests;
