use std::time::Instant;

use super::{PendingTable, entry::Reply};
use crate::{expectation::Expectation, registration::RequestId};

/// Finds requests that the peer swallowed together with their fences.
impl<E: Expectation> PendingTable<E> {
    /// A further fence behind everything registered so far, to be written as soon as it is made: for when requests have
    /// been out for long, because a peer that swallowed a request may have swallowed its fence too. Replaces an earlier
    /// one. `None` when nothing is owed, or fences prove nothing.
    pub fn probe(&mut self) -> Option<u64> {
        let last = *self.entries.last_key_value()?.0;
        if !self.fenced || self.closed || self.in_flight() == 0 {
            return None;
        }
        let nonce = self.fresh_nonce();
        self.probe = Some((nonce, last));
        Some(nonce)
    }

    /// To be asked before [`on_fence`](Self::on_fence): the requests whose own fence this one overtakes although
    /// nothing came in their place, oldest first. In an ordered stream those fences will not come any more, so the
    /// requests are lost, and end here. One that comes all the same unfences the peer.
    #[must_use = "whoever waits for these requests must be told"]
    pub fn lost_before(&mut self, nonce: u64) -> Vec<RequestId> {
        let own = self.entries.iter().find(|(_, entry)| entry.fence == Some(nonce)).map(|(&id, _)| id);
        let probed = self.probe.filter(|(probe, _)| *probe == nonce).map(|(_, last)| last);
        let overtaken =
            |id: &RequestId| own.is_some_and(|own| *id < own) || probed.is_some_and(|last| *id <= last);
        let before: Vec<RequestId> = self.entries.keys().copied().filter(overtaken).collect();
        if probed.is_some() {
            self.probe = None;
        }
        let nothing_came =
            |id: &RequestId| self.entries.get(id).is_some_and(|entry| entry.reply == Reply::None);
        if !self.fenced || !before.iter().all(nothing_came) {
            return Vec::new();
        }
        let mut lost = Vec::new();
        for id in before {
            if let Some(entry) = self.entries.remove(&id) {
                lost.extend(entry.waited_for.then_some(id));
                self.history.push(entry.end(id));
            }
        }
        lost
    }

    /// When the oldest request was registered for which nothing has come yet.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        let owed =
            self.entries.values().filter(|entry| entry.reply == Reply::None && entry.deadline.is_some());
        owed.map(|entry| entry.registered_at).min()
    }
}
