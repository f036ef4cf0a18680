use std::sync::{Arc, Weak};

use super::Shared;
use crate::outcome::{SUCCEEDED, UNJUDGED, WRONG_ANSWER};
use crate::permit::{JudgedAnswer, Verdict};
use crate::{Sample, Transport};

/// An answer that came and whose verdict is still to come. Weak: one that is kept for long does not keep the transport
/// alive.
pub(super) struct AwaitsVerdict<T: Transport> {
    shared: Weak<Shared<T>>,
    peer: T::Peer,
    sample: Sample,
    ends_request: bool,
}

impl<T: Transport> AwaitsVerdict<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>, peer: T::Peer, sample: Sample) -> Self {
        Self { shared: Arc::downgrade(shared), peer, sample, ends_request: false }
    }
}

impl<T: Transport> JudgedAnswer for AwaitsVerdict<T> {
    fn ends_request(&mut self) {
        self.ends_request = true;
    }

    fn give_back(&self, bytes: u64) {
        if let Some(shared) = self.shared.upgrade() {
            shared.update(|state, _| state.plan.give_back(bytes));
        }
    }

    fn end(&self, bytes: u64, verdict: Verdict) {
        let Some(shared) = self.shared.upgrade() else { return };
        if self.ends_request {
            shared.metrics.ended(match verdict {
                Verdict::Accepted => SUCCEEDED,
                Verdict::Rejected => WRONG_ANSWER,
                Verdict::None => UNJUDGED,
            });
        }
        let rest = shared.update(|state, now| {
            state.plan.give_back(bytes);
            match verdict {
                Verdict::Accepted => {
                    if self.ends_request {
                        state.tally.succeeded();
                    }
                    state.plan.accepted(&self.peer, &self.sample, &mut state.selector, now);
                    None
                }
                Verdict::Rejected => {
                    state.tally.rejected(self.ends_request);
                    shared.metrics.rejected();
                    state.plan.rejected(&self.peer, &mut state.selector, now)
                }
                Verdict::None => None,
            }
        });
        shared.wake_after(rest);
    }
}
