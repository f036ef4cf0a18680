use std::net::SocketAddr;
use std::time::Instant;

use super::PeerBook;

/// How fast each peer may be asked for single lists.
impl PeerBook {
    /// A single list came from a peer.
    pub(in crate::fleet) fn on_list(&self, peer: SocketAddr, now: Instant) {
        self.state.lock().records.entry(peer).or_default().throttle.on_answer(now);
    }

    /// A peer kept silent about a single list, with its fence.
    pub(in crate::fleet) fn on_list_silence(&self, peer: SocketAddr, now: Instant) {
        self.state.lock().records.entry(peer).or_default().throttle.on_silence(now);
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
