use std::time::{Duration, Instant};

use super::{Plan, Slot};
use crate::slots::Slots;
use crate::{PeerSelector, Sample};

/// What became of that which was started.
impl<P: Clone + Ord + 'static, J> Plan<P, J> {
    /// An answer has come: learns from the time it took, and holds its bytes until [`give_back`](Self::give_back).
    pub(crate) fn arrived(&mut self, slot: &Slot<P>, bytes: u64, now: Instant) -> Sample {
        self.losses.answered();
        // A transport that does not tell sizes has to be believed in its expectations.
        let bytes = if bytes == 0 { slot.cost.bytes } else { bytes };
        self.bytes.take(bytes);
        let sample = match self.pool.learning_mut(&slot.peer) {
            Some(slots) => {
                let sample = Sample { bytes, ..slots.measure(slot.cost, slot.sent, now) };
                if slots.connected {
                    slots.answered();
                    slots.learn(&sample, now);
                }
                sample
            }
            None => {
                let elapsed = now.saturating_duration_since(slot.sent);
                Sample { bytes, ..Sample::new(slot.cost.kind, elapsed) }
            }
        };
        if sample.elapsed < slot.timeouts.soft {
            self.widening.answered_in_time();
        }
        sample
    }

    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.bytes.give_back(bytes);
    }

    pub(crate) fn timed_out(&mut self, peer: &P) {
        self.widening.timed_out(peer.clone(), self.pool.connected().count());
    }

    /// An answer was found to be right.
    pub(crate) fn accepted(
        &mut self,
        peer: &P,
        sample: &Sample,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) {
        self.hedges.earn();
        if let Some(slots) = self.pool.connected_mut(peer) {
            slots.succeeded();
            selector.on_completed(peer, sample, now);
        }
    }

    /// An answer was rejected. Returns how long the peer rests.
    pub(crate) fn rejected(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Duration> {
        self.rest(peer, selector, now, |slots, rest| slots.rejected(rest, now))
    }

    /// A request failed, and its peer is to blame. Returns how long the peer rests.
    pub(crate) fn failed(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Duration> {
        let by_chance = self.losses.by_chance();
        self.losses.lost();
        self.rest(peer, selector, now, |slots, rest| slots.failed(rest, by_chance, now))
    }

    fn rest(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
        after: impl FnOnce(&mut Slots, Duration) -> Duration,
    ) -> Option<Duration> {
        let slots = self.pool.learning_mut(peer).filter(|slots| slots.connected)?;
        let rest = after(slots, self.config.rest_after_failure);
        selector.on_failed(peer, now);
        (!rest.is_zero()).then_some(rest)
    }

    /// Gives back one slot and the bytes that were expected.
    pub(crate) fn release(&mut self, slot: &Slot<P>) {
        debug_assert!(self.in_flight > 0, "released more than was started");
        self.in_flight = self.in_flight.saturating_sub(1);
        self.bytes.give_back(slot.cost.bytes);
        if slot.awaits_admission
            && let Some(slots) = self.pool.get_mut(&slot.peer)
        {
            slots.never_admitted();
        }
        self.pool.release(&slot.peer);
    }
}
