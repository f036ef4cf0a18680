use std::sync::{Arc, Weak};

use crate::permit::{Settle, Verdict};
use crate::shared::Shared;
use crate::{Sample, Transport};

/// The executor's end of a permit. Weak: an answer that is kept for long does not keep the transport alive.
pub(crate) struct Answered<T: Transport> {
    shared: Weak<Shared<T>>,
    peer: T::Peer,
    sample: Sample,
}

impl<T: Transport> Answered<T> {
    pub(crate) fn new(shared: &Arc<Shared<T>>, peer: T::Peer, sample: Sample) -> Self {
        Self { shared: Arc::downgrade(shared), peer, sample }
    }
}

impl<T: Transport> Settle for Answered<T> {
    fn give_back(&self, bytes: u64) {
        if let Some(shared) = self.shared.upgrade() {
            shared.update(|state, _| state.plan.give_back(bytes));
        }
    }

    fn settle(&self, bytes: u64, verdict: Verdict) {
        let Some(shared) = self.shared.upgrade() else { return };
        let rest = shared.update(|state, now| {
            state.plan.give_back(bytes);
            match verdict {
                Verdict::Accepted => {
                    state.plan.accepted(&self.peer, &self.sample, &mut *state.selector, now);
                    None
                }
                Verdict::Rejected => {
                    state.tally.rejected();
                    shared.metrics.rejected();
                    state.plan.rejected(&self.peer, &mut *state.selector, now)
                }
            }
        });
        shared.wake_after(rest);
    }
}
