use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Peers;
use crate::clock::now;

/// Whom to ask nothing: by choice, or because it has refused so much that it would soon have enough of us.
impl Peers {
    /// What to exclude for work that avoids these peers: them and those cut off at the moment, as far as that leaves
    /// somebody. Never asked are peers whose credit with us is spent, and those not proven yet.
    pub(crate) fn exclude_for(&self, avoid: &BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
        let connected = self.connected();
        let unproven = self.all_unproven();
        let recovery = self.recovery.lock();
        let exhausted = connected.iter().copied().filter(|peer| recovery.exhausted(peer));
        let never: BTreeSet<SocketAddr> = exhausted.chain(unproven).collect();
        let blocked = recovery.blocked(now());
        drop(recovery);
        let mut exclude = never;
        for unwanted in [avoid.iter().copied().collect(), blocked] {
            let wider: BTreeSet<SocketAddr> = exclude.iter().copied().chain(unwanted).collect();
            if connected.iter().any(|peer| !wider.contains(peer)) {
                exclude = wider;
            }
        }
        exclude
    }

    /// Whether there are peers, but none that may be asked without getting us discouraged.
    pub(crate) fn credit_spent(&self) -> bool {
        let connected = self.connected();
        let recovery = self.recovery.lock();
        !connected.is_empty() && connected.iter().all(|peer| recovery.exhausted(peer))
    }

    /// Asks nothing more of a peer whose credit with us is spent. If it has served something, it is connected anew: on a new
    /// connection both sides count from zero. Who only refuses is not asked again.
    pub(crate) fn settle_credit(&self, peer: SocketAddr) {
        if !self.recovery.lock().exhausted(&peer) {
            return;
        }
        let Some(connection) = self.pool.connection(&peer) else { return };
        // Also for what waits for a slot already.
        connection.spend();
        if self.reports.lock().get(&peer).is_some_and(|report| report.accepted > 0) {
            tracing::info!(%peer, "connecting anew: it has refused as often as it may on one connection");
            // What it has in flight may still be answered; what waits goes to others.
            self.note_loads();
            self.executor.remove_peer(&peer);
            connection.renew();
        }
    }
}
