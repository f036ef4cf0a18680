use std::net::SocketAddr;

use spv_recovery::FailureKind;

use super::Peers;
use crate::clock::now;
use crate::discovery::{Conduct, Standing};
use crate::fleet::peer_report::Outcome;
use crate::wire::RequestKind;

/// A node that has refused as often, and served nothing, is of no use. It is asked less and less, so there is no waiting
/// for more.
const REFUSES_ALL_AFTER: u64 = 2;

/// Records that are kept of nodes that come and go.
const MAX_REPORTS: usize = 128;

/// What a peer does decides whether it is turned to again, in this sync and in later ones.
impl Peers {
    /// Puts an outcome on the record of a peer. How work fares that failed reaches the recovery policy by
    /// [`on_failure`](Self::on_failure) and [`on_verified`](Self::on_verified).
    pub(crate) fn record(&self, peer: SocketAddr, outcome: Outcome) {
        self.book.with_report(peer, |report| report.record(outcome));
        let (monitor, now) = (self.pool.monitor(), now());
        match outcome {
            Outcome::Accepted(kind) => {
                monitor.on_accepted(&peer, &kind, now);
                if kind == RequestKind::GetHeaders {
                    self.book.on_useful_headers(peer, now);
                }
                // One that has refused everything may have become of use only now.
                self.renew_if_spent(peer);
            }
            Outcome::Invalid(kind) | Outcome::Disproved(kind) => monitor.on_failure(&peer, &kind, now),
            Outcome::Refuted | Outcome::Failed(_) => {}
        }
        self.remember(peer, outcome);
    }

    /// Connects anew to a peer that has refused as many requests as it may on one connection, if it has served something:
    /// on a new connection both sides count from zero. One that only refuses is not asked again.
    pub(super) fn renew_if_spent(&self, peer: SocketAddr) {
        if self.book.standing(&peer, now()) != Standing::Spent {
            return;
        }
        // Requests that wait for it go to others.
        self.executor.recheck();
        let Some(connection) = self.pool.connection(&peer) else { return };
        if self.book.with_report(peer, |report| report.accepted > 0) {
            tracing::info!(%peer, "connecting anew: it has refused as often as it may on one connection");
            // What it has in flight may still be answered.
            self.note_loads();
            self.book.on_left(peer, None, None, now());
            self.executor.remove_peer(&peer);
            connection.renew();
        }
    }

    /// Puts an outcome on the record that outlasts this sync.
    fn remember(&self, peer: SocketAddr, outcome: Outcome) {
        let Some(discovery) = self.pool.discovery() else { return };
        let conduct = match outcome {
            Outcome::Accepted(_) => Conduct::Served,
            Outcome::Failed(FailureKind::Refused) => Conduct::Refused,
            Outcome::Failed(FailureKind::Timeout | FailureKind::Invalid) | Outcome::Invalid(_) => {
                Conduct::Failed
            }
            Outcome::Refuted | Outcome::Disproved(_) => Conduct::Lied,
            // Not about what the node does.
            Outcome::Failed(_) => return,
        };
        discovery.record(&peer, conduct);
        let refuses_all = conduct == Conduct::Refused
            && self
                .book
                .with_report(peer, |report| report.accepted == 0 && report.refused >= REFUSES_ALL_AFTER);
        if refuses_all && discovery.refuses(&peer) {
            tracing::info!(%peer, "disconnecting: refuses everything");
            self.disconnect(peer);
        }
    }

    /// A chain of this height was verified. Ends connections to nodes that are far behind it, where others can be had.
    pub(crate) fn verified_height(&self, height: u32) {
        let behind = self.pool.discovery().map(|discovery| discovery.verified(height)).unwrap_or_default();
        for peer in behind {
            tracing::info!(%peer, "disconnecting: far behind");
            self.disconnect(peer);
        }
    }

    /// Closes the connection to a peer that sent something wrong. One that is configured is connected anew after a while,
    /// others are avoided for much longer.
    pub(crate) fn ban(&self, peer: SocketAddr) {
        if let Some(discovery) = self.pool.discovery() {
            discovery.lied(&peer);
        }
        self.disconnect(peer);
    }

    /// Drops records of nodes that were found and could not be used, and of others where there are too many: any number
    /// may come and go, and what they did is on record elsewhere.
    pub(super) fn forget_passers_by(&self) {
        let Some(discovery) = self.pool.discovery() else { return };
        let mut surplus = self.book.len().saturating_sub(MAX_REPORTS);
        self.book.forget(|address, report| {
            let is_fixed = discovery.is_fixed(address);
            let is_empty = report.requests == 0 && report.connect_failures > 0;
            let is_surplus = !is_fixed && surplus > 0;
            surplus -= usize::from(is_surplus);
            is_fixed || !is_empty && !is_surplus
        });
    }
}
