use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Hearing, Said};
use crate::chain::HeaderChain;

/// A stretch that is longer than one answer is downloaded from one peer.
impl Hearing<'_> {
    /// The chain with the most work of all that are known, that of the leader included.
    pub(super) fn longest(&self) -> Arc<HeaderChain> {
        let longest = self.chains().into_iter().max_by_key(|chain| chain.work());
        longest.unwrap_or_else(|| self.own.clone())
    }

    /// Goes on after an answer that was full or not.
    pub(super) fn after_answer(&mut self, peer: SocketAddr, is_full: bool) {
        let leads = self.leader == Some(peer);
        let may_lead = leads || self.leader.is_none();
        match self.peers.get(&peer).map(|hearsay| hearsay.said) {
            Some(Said::Part) if is_full && may_lead => self.lead(peer),
            // At the tip, the others tell theirs.
            Some(Said::All) if leads => {
                self.leader = None;
                for waiting in self.waiting() {
                    self.ask_further(waiting);
                }
            }
            _ if leads => self.follow_another(),
            _ => {}
        }
    }

    /// Replaces a leader that takes too long, or is gone, and goes on where nobody leads any more.
    pub(super) fn choose_leader(&mut self) {
        let now = Instant::now();
        let Some(leader) = self.leader else {
            let is_due =
                |peer: &SocketAddr| self.peers.get(peer).is_some_and(|hearsay| hearsay.retry_at <= now);
            if let Some(peer) = self.waiting().into_iter().find(is_due) {
                self.lead(peer);
            }
            return;
        };
        match self.peers.get(&leader) {
            // Without another it goes on as long as that makes sense.
            Some(hearsay) if self.waiting().is_empty() => {
                if self.waited_until(&leader, hearsay) <= now {
                    self.leader = None;
                }
            }
            Some(hearsay) if now < hearsay.waits_since + hearsay.patience => {}
            _ => self.follow_another(),
        }
    }

    fn lead(&mut self, peer: SocketAddr) {
        self.leader = Some(peer);
        self.ask_further(peer);
    }

    fn follow_another(&mut self) {
        let given_up = self.leader.take();
        let next = self.waiting().into_iter().find(|peer| Some(*peer) != given_up);
        if let Some(peer) = next {
            self.lead(peer);
        }
    }

    /// Peers that may have more than they have told.
    pub(super) fn waiting(&self) -> Vec<SocketAddr> {
        let waiting =
            self.peers.iter().filter(|(_, hearsay)| hearsay.said == Said::Part && !hearsay.is_asked);
        waiting.map(|(peer, _)| *peer).collect()
    }

    fn ask_further(&mut self, peer: SocketAddr) {
        if let Some(hearsay) = self.peers.get_mut(&peer) {
            hearsay.waits_since = Instant::now();
        }
        self.ask(peer, self.longest().locator());
    }
}
