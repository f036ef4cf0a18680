use std::net::SocketAddr;
use std::time::Instant;

use super::State;

impl State {
    /// Logs the standing of a peer where it is another than the one logged last.
    pub(super) fn log(&mut self, peer: SocketAddr, now: Instant) {
        let standing = self.standing(&peer, now);
        let Some(record) = self.records.get_mut(&peer) else { return };
        if record.logged.replace(standing.as_str()) != Some(standing.as_str()) {
            tracing::debug!(%peer, state = standing.as_str(), "{standing}");
        }
    }
}
