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

    /// Replaces a leader that takes too long, or is gone.
    pub(super) fn replace_late_leader(&mut self) {
        let now = Instant::now();
        let is_late = |peer: &SocketAddr| self.peers.get(peer).is_none_or(|leader| leader.deadline <= now);
        if self.leader.as_ref().is_some_and(is_late) {
            self.follow_another();
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
    fn waiting(&self) -> Vec<SocketAddr> {
        let waiting =
            self.peers.iter().filter(|(_, hearsay)| hearsay.said == Said::Part && !hearsay.is_asked);
        waiting.map(|(peer, _)| *peer).collect()
    }

    fn ask_further(&mut self, peer: SocketAddr) {
        let deadline = self.deadline(&peer);
        if let Some(hearsay) = self.peers.get_mut(&peer) {
            hearsay.deadline = deadline;
        }
        self.ask(peer, self.longest().locator());
    }
}
