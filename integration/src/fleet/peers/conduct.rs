use std::fmt;
use std::net::SocketAddr;

use spv_masternodes::MasternodeList;
use spv_recovery::FailureKind;

use super::Peers;
use crate::chain::{BlockId, HeaderChain};
use crate::clock::now;
use crate::discovery::{Conduct, Discovery, Standing};
use crate::fleet::peer_report::Outcome;
use crate::log::Span;
use crate::wire::RequestKind;

/// A node that has refused as often, and served nothing, is of no use. It is asked less and less, so there is no waiting
/// for more.
const REFUSES_ALL_AFTER: u64 = 2;

/// A node whose chain ends more blocks before ours, an hour's worth, is far behind.
pub(super) const FAR_BEHIND: u32 = 24;

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
            if let Some(allowed) = self.said.allows("renewed", peer) {
                let left_out = allowed.left_out;
                tracing::info!(%peer, left_out, "reconnecting; the peer has reached the limit of refusals");
            }
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
        // Who has answered some may only not answer so many.
        let refuses_all = conduct == Conduct::Refused
            && !self.book.answers_lists(&peer)
            && self
                .book
                .with_report(peer, |report| report.accepted == 0 && report.refused >= REFUSES_ALL_AFTER);
        if !refuses_all {
            return;
        }
        // One that has not got what is asked for is not to be remembered as one that serves nothing.
        let best =
            self.book.all_heard().into_iter().map(|(_, heard)| heard.chain).max_by_key(|chain| chain.work());
        let is_behind = best.is_some_and(|best| self.is_far_behind(&peer, &best));
        let is_given_up = if is_behind { discovery.is_behind(&peer) } else { discovery.refuses(&peer) };
        if is_given_up {
            if let Some(allowed) = self.said.allows("given up", peer) {
                let reason = if is_behind { "it is far behind" } else { "it refuses everything" };
                let left_out = allowed.left_out;
                tracing::info!(%peer, %reason, left_out, "disconnecting");
            }
            self.disconnect(peer);
        }
    }

    /// The tip of this chain is proven. Ends connections to nodes that have shown a chain with much less work, where
    /// others can be had.
    pub(crate) fn on_proven_tip(&self, chain: &HeaderChain) {
        let Some(discovery) = self.pool.discovery() else { return };
        for peer in self.greeted() {
            if self.is_far_behind(&peer, chain) && discovery.is_behind(&peer) {
                if let Some(allowed) = self.said.allows("given up", peer) {
                    tracing::info!(%peer, reason = %"it is far behind", left_out = allowed.left_out, "disconnecting");
                }
                self.disconnect(peer);
            }
        }
    }

    /// Whether masternodes of a proven list are wanted as peers.
    pub(crate) fn wants_masternodes(&self) -> bool {
        self.pool.discovery().is_some_and(Discovery::wants_masternodes)
    }

    /// The list of the tip is proven: its valid masternodes are the best peers to be had.
    pub(crate) fn on_proven_list(&self, list: &MasternodeList) {
        let Some(discovery) = self.pool.discovery() else { return };
        let valid = list.iter().filter(|masternode| masternode.is_valid);
        discovery.learn_masternodes(valid.filter_map(|masternode| masternode.service_address.socket_addr()));
    }

    /// Whether a peer has shown a chain with much less work than this one.
    fn is_far_behind(&self, peer: &SocketAddr, chain: &HeaderChain) -> bool {
        let expected = chain.truncated(chain.tip_height().saturating_sub(FAR_BEHIND));
        let heard = self.book.heard(peer).filter(|heard| heard.is_complete);
        heard.zip(expected).is_some_and(|(heard, expected)| heard.chain.work() < expected.work())
    }

    /// The branch that begins with this block is set aside because nobody serves its lists; puts it on the record of those
    /// who offer it.
    pub(crate) fn on_set_aside(&self, block: &BlockId) {
        tracing::warn!(height = block.height, hash = %block.hash, "no peer serves lists of this branch; it is set aside");
        for (peer, _) in self.book.all_heard().into_iter().filter(|(_, heard)| heard.holds(block)) {
            self.book.with_report(peer, |report| report.set_aside_from = Some(block.height));
        }
    }

    /// Notes whether the chain that a peer has shown last contradicts the ChainLock of this height.
    pub(crate) fn contradicts_lock(&self, peer: SocketAddr, height: Option<u32>) {
        let before =
            self.book.with_report(peer, |report| std::mem::replace(&mut report.contradicts_lock, height));
        if let (None, Some(height)) = (before, height)
            && let Some(allowed) = self.said.allows("contradicts lock", peer)
        {
            let left_out = allowed.left_out;
            tracing::warn!(%peer, height, left_out, "the peer's chain contradicts a ChainLock");
        }
    }

    /// A peer has sent a lock that its quorum did not sign.
    pub(crate) fn on_wrong_lock(&self, peer: SocketAddr, what: fmt::Arguments<'_>, error: &dyn fmt::Display) {
        self.book.with_report(peer, |report| report.wrong_locks += 1);
        if let Some(allowed) = self.said.allows("wrong lock", peer) {
            tracing::warn!(%peer, %what, left_out = allowed.left_out, %error, "wrong lock");
        }
    }

    /// Closes the connection to a peer that sent something wrong, which is said with the reason. One that is configured is
    /// connected anew after a while, others are avoided for much longer.
    pub(crate) fn ban(&self, peer: SocketAddr, reason: &str) {
        if let Some(discovery) = self.pool.discovery() {
            discovery.lied(&peer);
        }
        self.tell_of_ban(peer, &reason);
        self.disconnect(peer);
    }

    /// Logs that the connection to a peer was ended for what it did, and for how long it is avoided.
    pub(super) fn tell_of_ban(&self, peer: SocketAddr, reason: &dyn fmt::Display) {
        let Some(allowed) = self.said.allows("banned", peer) else { return };
        let (left_out, ban) =
            (allowed.left_out, self.pool.discovery().and_then(|discovery| discovery.ban(&peer)));
        match ban {
            Some((wait, _)) => tracing::warn!(%peer, %reason, wait = %Span(wait), left_out, "banned"),
            None => {
                tracing::warn!(%peer, %reason, left_out, "disconnected; it is configured, so it is tried again")
            }
        }
    }

    /// Logs that a peer's answer is wrong.
    pub(crate) fn tell_of_wrong_answer(
        &self,
        peer: SocketAddr,
        what: &'static str,
        error: &dyn fmt::Display,
    ) {
        if let Some(allowed) = self.said.allows(what, peer) {
            tracing::warn!(%peer, %what, left_out = allowed.left_out, %error, "wrong answer");
        }
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
