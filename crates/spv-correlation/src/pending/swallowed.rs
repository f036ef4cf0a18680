use std::time::Instant;

use super::{PendingTable, entry::Reply, in_order::Held};
use crate::{expectation::Expectation, registration::RequestId};

/// Finds requests that the peer swallowed together with their fences.
impl<E: Expectation> PendingTable<E> {
    /// Returns the nonce of another fence, behind everything registered so far; write it at once. Use it when requests
    /// have been outstanding for long, because a peer that swallowed a request may have swallowed its fence too. It
    /// replaces an earlier probe. `None` if no answer is outstanding, or if the peer is unfenced.
    pub fn probe(&mut self) -> Option<u64> {
        let last = *self.entries.last_key_value()?.0;
        if !self.fenced || self.closed || self.in_flight() == 0 {
            return None;
        }
        let nonce = self.fresh_nonce();
        self.probe = Some((nonce, last));
        Some(nonce)
    }

    /// Ends and returns the requests that this fence shows to be lost, oldest first. Call it before
    /// [`on_fence`](Self::on_fence). Their own fences should have returned before, and cannot return any more in an
    /// ordered stream. If one does, the peer becomes unfenced.
    ///
    /// The fence's own request is among them if an earlier one that content cannot tell from it has got its answer.
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
        let placed = |id: &RequestId| self.entries.get(id).is_some_and(|entry| entry.placed);
        let contradicts = |held: &Held| held.placed && own.is_none_or(|own| !held.fits.contains(&own));
        let held_before =
            before.iter().any(|id| self.held.as_ref().is_some_and(|held| held.fits.contains(id)));
        if !self.fenced
            || before.iter().any(placed)
            || held_before && self.held.as_ref().is_some_and(contradicts)
        {
            return Vec::new();
        }
        let mut lost = Vec::new();
        let mut answered = Vec::new();
        for id in before {
            if let Some(entry) = self.entries.remove(&id) {
                lost.extend(entry.waited_for.then_some(id));
                answered.extend((entry.reply == Reply::Right).then(|| entry.expectation.key()));
                self.history.push(entry.end(id));
            }
        }
        if let Some(id) = own
            && let Some(entry) = self.entries.get_mut(&id)
            && entry.reply == Reply::None
            && answered.contains(&entry.expectation.key())
        {
            entry.reply = Reply::Right;
            lost.extend(std::mem::take(&mut entry.waited_for).then_some(id));
        }
        lost
    }

    /// Returns when the oldest request without an answer and without a fence was registered.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        let owed =
            self.entries.values().filter(|entry| entry.reply == Reply::None && entry.deadline.is_some());
        owed.map(|entry| entry.registered_at).min()
    }
}
