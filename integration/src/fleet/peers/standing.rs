use std::collections::BTreeSet;
use std::net::SocketAddr;

use spv_recovery::FailureKind;

use super::{Outcome, Peers};
use crate::discovery::Conduct;

/// A node that has refused as often, and served nothing, is of no use. It is asked less and less, so there is no waiting
/// for more.
const REFUSES_ALL_AFTER: u64 = 2;

/// Reports that are kept of nodes that come and go.
const MAX_REPORTS: usize = 128;

/// What a node does here decides whether it is turned to again, in this sync and in later ones.
impl Peers {
    /// Puts an outcome on the record that outlasts this sync.
    pub(super) fn remember(&self, peer: SocketAddr, outcome: Outcome) {
        let Some(discovery) = self.pool.discovery() else { return };
        let conduct = match outcome {
            Outcome::Accepted | Outcome::AcceptedHeaders => Conduct::Served,
            Outcome::Failed(FailureKind::Refused) => Conduct::Refused,
            Outcome::Failed(FailureKind::Timeout | FailureKind::Invalid) | Outcome::Invalid => {
                Conduct::Failed
            }
            Outcome::Refuted => Conduct::Lied,
            // Not about what the node does, or known already.
            Outcome::Redundant | Outcome::Failed(_) => return,
        };
        discovery.record(&peer, conduct);
        let refuses_all = conduct == Conduct::Refused
            && self
                .reports
                .lock()
                .get(&peer)
                .is_some_and(|report| report.accepted == 0 && report.refused >= REFUSES_ALL_AFTER);
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

    /// Drops reports of nodes that were found and could not be used, and of others where there are too many: any number
    /// may come and go, and what they did is on record elsewhere.
    pub(super) fn forget_passers_by(&self) {
        let Some(discovery) = self.pool.discovery() else { return };
        let present: BTreeSet<SocketAddr> = self.greeted().into_iter().collect();
        let mut reports = self.reports.lock();
        let mut surplus = reports.len().saturating_sub(MAX_REPORTS);
        reports.retain(|address, report| {
            let is_kept = discovery.is_fixed(address) || present.contains(address);
            let is_empty = report.requests == 0 && report.connect_failures > 0;
            let is_surplus = !is_kept && surplus > 0;
            surplus -= usize::from(is_surplus);
            is_kept || !is_empty && !is_surplus
        });
    }
}
