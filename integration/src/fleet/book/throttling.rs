use std::net::SocketAddr;
use std::time::Instant;

use dashcore::BlockHash;

use super::{PeerBook, Record, State};

/// How fast each peer may be asked for single lists.
impl PeerBook {
    /// A single list came from a peer.
    pub(in crate::fleet) fn on_list(&self, peer: SocketAddr, now: Instant) {
        self.state.lock().records.entry(peer).or_default().throttle.on_answer(now);
    }

    /// A peer kept silent about the list of a block, with its fence. Of a branch that others have not shown, that is no sign of a
    /// limit: nobody may have its lists.
    pub(in crate::fleet) fn on_list_silence(&self, peer: SocketAddr, block: &BlockHash, now: Instant) {
        let mut state = self.state.lock();
        if !state.is_contested(&peer, block) {
            state.records.entry(peer).or_default().throttle.on_silence(now);
        }
    }

    /// Whether a peer has answered any request for a single list, whatever its answer is worth.
    pub(in crate::fleet) fn answers_lists(&self, peer: &SocketAddr) -> bool {
        self.state.lock().records.get(peer).is_some_and(|record| record.throttle.has_answered())
    }

    /// Takes the turn to ask a peer once more.
    ///
    /// # Errors
    /// When the next turn is.
    pub(in crate::fleet) fn take_turn(&self, peer: &SocketAddr, now: Instant) -> Result<(), Instant> {
        let mut state = self.state.lock();
        state.records.get_mut(peer).map_or(Ok(()), |record| record.throttle.take_turn(now))
    }
}

impl State {
    /// Whether another peer has shown a chain that leaves this peer's at this block or below.
    fn is_contested(&self, peer: &SocketAddr, block: &BlockHash) -> bool {
        let heard = |record: &Record| record.heard.as_ref().map(|heard| heard.chain.clone());
        let Some(chain) = self.records.get(peer).and_then(heard) else { return false };
        let Some(height) = chain.height_of(block) else { return false };
        self.records.values().filter_map(heard).any(|other| chain.diverges_by(&other, height))
    }
}
