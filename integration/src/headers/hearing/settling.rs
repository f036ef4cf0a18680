use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Hearing, Hearsay, MAX_OUTAGES, Said, Settled};
use crate::headers::error::HeaderDownloadError;

/// An answer is coming as long as no more time than this passes between two parts of it.
const RECEIVING_GAP: Duration = Duration::from_secs(2);

/// When everybody was heard who can be expected to answer.
impl Hearing<'_> {
    /// Settles once no peer is left to wait for.
    pub(super) fn settle_if_heard(&mut self) {
        let is_judging = self.work.is_some() || !self.inbox.is_empty();
        if self.settled == Some(Settled::Heard) || self.leader.is_some() || is_judging {
            return;
        }
        let now = Instant::now();
        let told = self.told();
        let is_awaited = |(peer, hearsay): (&SocketAddr, &Hearsay)| {
            now < self.waited_until(peer, hearsay) && !told.contains(peer)
        };
        if self.peers.iter().any(is_awaited) {
            return;
        }
        let peers = &self.exchange.peers;
        // While all are away that is for the patience with absent peers to end, unless it happens all the time.
        let is_outage = self.peers.is_empty() && self.outages < MAX_OUTAGES;
        let is_mute = !is_outage && now >= self.company_since + self.patience.unanswered();
        // Nothing that they could send later would make our clock right.
        let all_ahead = !self.peers.is_empty() && self.peers.keys().all(|peer| peers.is_ahead(peer));
        let is_hopeless = peers.none_expected() || is_mute || all_ahead;
        let is_gathering = || {
            now < self.started + self.patience.gathering()
                && peers.is_gathering(&told, now < self.started + self.patience.longest)
        };
        if self.descent.is_some() && !told.is_empty() {
            if self.settled.is_none() && now >= self.started + self.patience.unanswered() {
                self.settled = Some(Settled::InVain);
                let start = self.own.start_height();
                self.tips.settle(Err(HeaderDownloadError::NoAncestry { start }));
            }
        } else if !told.is_empty() {
            if self.settled.is_some() || !is_gathering() {
                self.settled = Some(Settled::Heard);
                self.tips.settle(Ok(()));
            }
        } else if self.settled.is_none() && is_hopeless && !is_gathering() {
            self.settled = Some(Settled::InVain);
            self.tips.settle(Err(self.why_nobody_told()));
        }
    }

    /// Peers that have told their tip, those that are gone included.
    pub(super) fn told(&self) -> Vec<SocketAddr> {
        let here = self.peers.iter().filter(|(peer, hearsay)| self.has_told(peer, hearsay));
        here.map(|(peer, _)| peer).chain(&self.gone).copied().collect()
    }

    /// Until when a peer is waited for: longer where it claims more than anybody has told, while its answer is coming, and
    /// when it has shown that it has more.
    pub(super) fn waited_until(&self, peer: &SocketAddr, hearsay: &Hearsay) -> Instant {
        let Hearsay { waits_since, patience, said, is_asked, .. } = *hearsay;
        let usual = waits_since + patience;
        let longest = waits_since + self.patience.unanswered();
        if is_asked && said == Said::Part {
            return longest;
        }
        let claims_more = self.claims_more(peer).then(|| waits_since + self.patience.longest);
        let receiving = self.exchange.peers.receiving_at(peer).filter(|_| is_asked);
        let receiving = receiving.map(|at| (at + RECEIVING_GAP).min(longest));
        claims_more.into_iter().chain(receiving).fold(usual, Instant::max)
    }

    /// The next time at which something is due without anybody doing anything.
    pub(super) fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let deadlines = self.peers.iter().map(|(peer, hearsay)| self.waited_until(peer, hearsay));
        let of_all = [
            self.started + self.patience.longest,
            self.started + self.patience.gathering(),
            self.started + self.patience.unanswered(),
            self.company_since + self.patience.unanswered(),
        ];
        let ahead = deadlines.chain(of_all).filter(|&time| time > now && self.settled.is_none());
        let leading = self.leader.and_then(|leader| self.peers.get_key_value(&leader));
        let leading = leading.into_iter().flat_map(|(leader, hearsay)| {
            [self.replaced_at(leader, hearsay), self.waited_until(leader, hearsay)]
        });
        let waiting = self.waiting().into_iter().filter(|_| self.leader.is_none());
        let waiting = waiting.filter_map(|peer| self.may_lead_at(&peer));
        let questions = self.peers.keys().filter_map(|peer| self.asked_again_at(peer));
        let due = leading.filter(|&time| time > now).chain(waiting).chain(questions);
        let due = due.chain(self.lock_retried_at());
        ahead.chain(due).fold(self.next_poll, Instant::min)
    }

    /// Whether a peer has told its tip, as far as can be seen.
    fn has_told(&self, peer: &SocketAddr, hearsay: &Hearsay) -> bool {
        hearsay.said == Said::All
            && !hearsay.is_busy()
            && !self.claims_more(peer)
            && !self.claims_too_little(peer)
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
