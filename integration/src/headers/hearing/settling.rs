use std::net::SocketAddr;

use tokio::time::Instant;

use super::{Hearing, Hearsay, Said, Settled};
use crate::headers::error::HeaderDownloadError;

/// When everybody was heard who can be expected to answer.
impl Hearing<'_> {
    /// Settles once no peer is left to wait for.
    pub(super) fn settle_if_heard(&mut self) {
        if self.settled == Some(Settled::Heard) || self.leader.is_some() {
            return;
        }
        let now = Instant::now();
        let has_told: Vec<SocketAddr> = self
            .peers
            .iter()
            .filter(|(peer, said)| self.has_told(peer, said))
            .map(|(peer, _)| *peer)
            .collect();
        let is_awaited =
            |(peer, hearsay): (&SocketAddr, &Hearsay)| now < hearsay.deadline && !has_told.contains(peer);
        if self.peers.iter().any(is_awaited) {
            return;
        }
        if self.settled == Some(Settled::InVain) {
            if !has_told.is_empty() {
                self.settled = Some(Settled::Heard);
                self.tips.settle(Ok(()));
            }
            return;
        }
        let peers = &self.exchange.peers;
        if now < self.started + self.patience.gathering()
            && peers.is_gathering(&has_told, self.waits_for_fixed())
        {
            return;
        }
        let is_hopeless = peers.none_expected() || now >= self.started + self.patience.unanswered();
        if has_told.is_empty() && !is_hopeless {
            return;
        }
        if has_told.is_empty() {
            self.settled = Some(Settled::InVain);
            self.tips.settle(Err(self.why_nobody_told()));
        } else {
            self.settled = Some(Settled::Heard);
            self.tips.settle(Ok(()));
        }
    }

    /// The next time at which something is due without anybody doing anything.
    pub(super) fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let deadlines = self.peers.values().map(|hearsay| hearsay.deadline);
        let of_all = [
            self.started + self.patience.longest,
            self.started + self.patience.gathering(),
            self.started + self.patience.unanswered(),
        ];
        let ahead = deadlines.chain(of_all).filter(|&time| time > now && self.settled.is_none());
        let leader = self.leader.and_then(|leader| Some(self.peers.get(&leader)?.deadline));
        let questions = self.peers.keys().filter_map(|peer| self.asked_again_at(peer));
        ahead.chain(leader).chain(questions).fold(self.next_poll, Instant::min)
    }

    /// Whether a peer has told its tip, as far as can be seen.
    fn has_told(&self, peer: &SocketAddr, hearsay: &Hearsay) -> bool {
        hearsay.said == Said::All
            && !hearsay.is_asked
            && !self.claims_more(peer)
            && !self.claims_too_little(peer)
    }

    /// Whether configured peers that are being connected to still have time for it.
    fn waits_for_fixed(&self) -> bool {
        Instant::now() < self.started + self.patience.longest
    }

    fn why_nobody_told(&self) -> HeaderDownloadError {
        if let Some(clock) = self.exchange.clock_error() {
            return clock;
        }
        let height = self.best().tip_height();
        let claimers: Vec<&SocketAddr> = self
            .peers
            .iter()
            .filter(|(peer, hearsay)| hearsay.said == Said::All && self.claims_more(peer))
            .map(|(peer, _)| peer)
            .collect();
        let syncing = self.peers.keys().filter(|peer| self.claims_too_little(peer)).count();
        if claimers.is_empty() && syncing > 0 {
            return HeaderDownloadError::PeersSyncing { start: self.own.start_height(), peers: syncing };
        }
        if claimers.is_empty() {
            return HeaderDownloadError::NoUsableAnswer { height };
        }
        let peers = claimers.len();
        HeaderDownloadError::Unserved { height, claimed: self.exchange.peers.claimed_by(claimers), peers }
    }
}
