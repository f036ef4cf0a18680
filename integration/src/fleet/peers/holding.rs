use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Peers;
use super::conduct::FAR_BEHIND;
use crate::address::count_networks;
use crate::chain::{BlockId, HeaderChain};
use crate::clock::now;
use crate::fleet::OtherChain;
use crate::fleet::heard_chain::{HeardChain, Holders};

/// With discovery, tips are heard from as many networks, where there are so many.
const MIN_NETWORKS: usize = 3;

/// Shortest time that a peer gets to tell its tip.
const MIN_PATIENCE: Duration = Duration::from_millis(500);

/// A peer gets as many times what its connection and handshake took, which are two round trips, to tell its tip.
const PATIENCE_FACTOR: u32 = 2;

/// Which part of the header chain each peer has.
impl Peers {
    /// A peer has shown that it holds `chain`; `is_complete` when it had no more. Whether that is new of this peer.
    pub(crate) fn heard(
        &self,
        peer: SocketAddr,
        chain: Arc<HeaderChain>,
        is_complete: bool,
        was_asked: bool,
    ) -> bool {
        let is_news = self.book.on_heard(peer, HeardChain { chain, is_complete }, was_asked, now());
        if is_news {
            // Requests may wait that it can take now, or cannot any more.
            self.executor.recheck();
        }
        is_news
    }

    /// A peer that was asked for headers has shown nothing.
    pub(crate) fn heard_nothing(&self, peer: SocketAddr) {
        self.book.on_no_headers(peer, now());
    }

    /// A peer has sent headers that are ahead of our clock.
    pub(crate) fn heard_future(&self, peer: SocketAddr) {
        self.book.on_future_headers(peer);
    }

    /// Whether the latest headers of a peer are ahead of our clock.
    pub(crate) fn is_ahead(&self, peer: &SocketAddr) -> bool {
        self.book.is_ahead(peer)
    }

    /// Whether the latest headers of any peer are.
    pub(crate) fn any_ahead(&self) -> bool {
        self.book.any_ahead()
    }

    /// Forgets what peers have shown to hold.
    pub(crate) fn forget_heard(&self) {
        self.book.forget_heard();
    }

    /// What a peer has shown to hold.
    pub(crate) fn heard_of(&self, peer: &SocketAddr) -> Option<HeardChain> {
        self.book.heard(peer)
    }

    /// What each peer has shown to hold, peers that are gone included.
    pub(crate) fn all_heard(&self) -> Vec<(SocketAddr, HeardChain)> {
        self.book.all_heard()
    }

    /// Who can be asked for the list of this block.
    pub(crate) fn holders(&self, block: &BlockId) -> Holders {
        self.book.holders(block, now())
    }

    /// Seconds that most peers' clocks are ahead of ours, as they say.
    pub(crate) fn clock_ahead(&self) -> i64 {
        self.book.clock_ahead()
    }

    /// Puts on the record of each peer in which way its chain is not this one, which was synced.
    pub(crate) fn compare_chains(&self, synced: &HeaderChain) {
        self.book.compare_chains(|heard, claimed| other_chain(synced, heard, claimed));
    }

    /// How long to wait before a peer is asked for headers again that brought nothing new; `None` when it may be asked.
    pub(crate) fn header_wait(&self, peer: &SocketAddr) -> Option<Duration> {
        self.book.header_wait(peer, now())
    }

    /// How long a peer is waited for that is asked for its tip: some times what its handshake took, at most `longest`.
    pub(crate) fn patience_with(&self, peer: &SocketAddr, longest: Duration) -> Duration {
        let handshake = self.pool.connection(peer).map(|connection| connection.handshake_time());
        handshake.map_or(longest, |time| (time * PATIENCE_FACTOR).max(MIN_PATIENCE)).min(longest)
    }

    /// When the last part of a message came from a peer that has not sent all of it yet.
    pub(crate) fn receiving_at(&self, peer: &SocketAddr) -> Option<Instant> {
        self.pool.connection(peer)?.receiving_at()
    }

    /// Whether peers may come soon that could not be asked for a list yet.
    pub(crate) fn may_meet_others(&self) -> bool {
        let proven = self.book.proven();
        self.book.greeted().len() > proven.len() || self.is_gathering(&proven, true)
    }

    /// Whether more peers can be expected to tell their tip than those in `told`: one is being connected to that has had no
    /// chance yet, as long as that is waited for, or discovery has not yet brought as many, in as many networks, as make it
    /// hard to be deceived by one operator, and knows where to look further.
    pub(crate) fn is_gathering(&self, told: &[SocketAddr], waits_for_connections: bool) -> bool {
        let is_connecting = waits_for_connections && self.book.is_connecting();
        let Some(discovery) = self.pool.discovery() else { return is_connecting };
        let are_enough = 2 * told.len() >= discovery.target_peers() && count_networks(told) >= MIN_NETWORKS;
        !are_enough && (is_connecting || discovery.has_more())
    }
}

/// In which way the chain that a peer has shown, and the height that it claims, differ from what was synced.
fn other_chain(synced: &HeaderChain, heard: Option<&HeardChain>, claimed: u32) -> Option<OtherChain> {
    let tip = synced.tip_height();
    let Some(heard) = heard.filter(|heard| heard.is_complete) else {
        return (claimed > synced.start_height()).then_some(OtherChain::Withheld { claimed, shown: None });
    };
    let height = heard.chain.tip_height();
    let fork = heard.chain.last_common(synced)?;
    if fork < height.min(tip) && heard.chain.work() <= synced.work() {
        return Some(OtherChain::Branch { fork, height, hash: heard.chain.tip_hash() });
    }
    if claimed > height.max(tip) {
        return Some(OtherChain::Withheld { claimed, shown: Some(height) });
    }
    let is_behind = height + FAR_BEHIND < tip;
    if is_behind && claimed > height {
        Some(OtherChain::Withheld { claimed, shown: Some(height) })
    } else if is_behind && height <= synced.start_height() {
        Some(OtherChain::Syncing { claimed })
    } else if is_behind {
        Some(OtherChain::Behind { height, tip })
    } else {
        None
    }
}
