use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{PeerBook, Record, State};
use crate::chain::BlockId;
use crate::discovery::Standing;
use crate::fleet::heard_chain::{HeardChain, Holders};
use crate::fleet::peer_report::OtherChain;

/// Which part of the header chain each peer has.
impl PeerBook {
    /// How long to wait before this peer is asked for headers again; `None` when it may be asked now.
    pub(in crate::fleet) fn header_wait(&self, peer: &SocketAddr, now: Instant) -> Option<Duration> {
        self.state.lock().header_wait(peer, now)
    }

    /// What a peer has shown to hold of the header chain.
    pub(in crate::fleet) fn heard(&self, peer: &SocketAddr) -> Option<HeardChain> {
        self.state.lock().records.get(peer)?.heard.clone()
    }

    /// What each peer has shown to hold, peers that are gone included.
    pub(in crate::fleet) fn all_heard(&self) -> Vec<(SocketAddr, HeardChain)> {
        let state = self.state.lock();
        let heard = |(&peer, record): (&SocketAddr, &Record)| Some((peer, record.heard.clone()?));
        state.records.iter().filter_map(heard).collect()
    }

    /// Who can be asked for the list of this block.
    pub(in crate::fleet) fn holders(&self, block: &BlockId, now: Instant) -> Holders {
        self.state.lock().holders(block, now)
    }

    /// A peer has shown what it holds of the header chain; returns whether that is new of this peer. One that was asked and
    /// shows nothing new is asked more rarely.
    pub(in crate::fleet) fn on_heard(
        &self,
        peer: SocketAddr,
        heard: HeardChain,
        was_asked: bool,
        now: Instant,
    ) -> bool {
        let mut state = self.state.lock();
        let record = state.records.entry(peer).or_default();
        let is_news = record.heard.as_ref().is_none_or(|before| {
            before.chain.tip_hash() != heard.chain.tip_hash() || before.is_complete != heard.is_complete
        });
        if is_news {
            record.header_pace.on_news();
        } else if was_asked {
            record.header_pace.on_nothing_new(now);
        }
        record.heard = Some(heard);
        record.is_ahead = false;
        is_news
    }

    /// Forgets what peers have shown to hold of the header chain.
    pub(in crate::fleet) fn forget_heard(&self) {
        self.state.lock().records.values_mut().for_each(|record| record.heard = None);
    }

    /// Seconds that the clocks of peers are ahead of ours, the median of those that ever greeted; 0 without any.
    pub(in crate::fleet) fn clock_ahead(&self) -> i64 {
        let state = self.state.lock();
        let greeted = state.records.values().filter(|record| record.claimed.is_some());
        let mut offsets: Vec<i64> = greeted.map(|record| record.clock_ahead).collect();
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied().unwrap_or(0)
    }

    /// Compares what each peer that ever greeted has shown and claimed with the chain that was synced. Headers that are ahead
    /// of our clock stand against a peer only where another has told a tip that is not: else our clock may be to blame.
    pub(in crate::fleet) fn compare_chains(
        &self,
        other: impl Fn(Option<&HeardChain>, u32) -> Option<OtherChain>,
    ) {
        let mut state = self.state.lock();
        let has_told = |record: &Record| record.heard.as_ref().is_some_and(|heard| heard.is_complete);
        let is_tip_known = state.records.values().any(has_told);
        for record in state.records.values_mut() {
            let Some(claimed) = record.claimed else { continue };
            record.report.other_chain = if record.is_ahead {
                is_tip_known.then_some(OtherChain::Ahead)
            } else {
                other(record.heard.as_ref(), claimed)
            };
        }
    }

    /// A peer that was asked for headers has shown nothing.
    pub(in crate::fleet) fn on_no_headers(&self, peer: SocketAddr, now: Instant) {
        self.state.lock().records.entry(peer).or_default().header_pace.on_nothing_new(now);
    }

    /// A peer has sent headers that are ahead of our clock.
    pub(in crate::fleet) fn on_future_headers(&self, peer: SocketAddr) {
        self.state.lock().records.entry(peer).or_default().is_ahead = true;
    }

    /// Whether the latest headers of a peer are ahead of our clock.
    pub(in crate::fleet) fn is_ahead(&self, peer: &SocketAddr) -> bool {
        self.state.lock().records.get(peer).is_some_and(|record| record.is_ahead)
    }

    /// Whether the latest headers of any peer are.
    pub(in crate::fleet) fn any_ahead(&self) -> bool {
        self.state.lock().records.values().any(|record| record.is_ahead)
    }
}

impl State {
    pub(super) fn may_hold(&self, peer: &SocketAddr, block: &BlockId) -> bool {
        let heard = self.records.get(peer).and_then(|record| record.heard.as_ref());
        heard.is_none_or(|heard| heard.may_hold(block))
    }

    pub(super) fn holders(&self, block: &BlockId, now: Instant) -> Holders {
        let (holding, others): (Vec<_>, Vec<_>) =
            self.proven().into_iter().partition(|peer| self.may_hold(peer, block));
        let (spent, ready) =
            holding.into_iter().partition(|peer| self.standing(peer, now) == Standing::Spent);
        Holders { ready, spent, others }
    }

    pub(super) fn header_wait(&self, peer: &SocketAddr, now: Instant) -> Option<Duration> {
        self.records.get(peer)?.header_pace.wait(now)
    }
}
