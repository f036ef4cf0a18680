use std::time::Instant;

use fastrand::Rng;

use crate::{decision::Action, failure::FailureKind, history::History};

/// One way to deal with a failure.
///
/// Strategies are asked in order, and the first that answers decides. A strategy that does not apply returns `None`, and one
/// that panics counts as one that does not apply.
/// It keeps no state of its own, so that equal histories and seeds give equal decisions.
pub trait Strategy<P>: Send + Sync {
    /// A short constant name in snake case; it becomes a metric label.
    fn name(&self) -> &'static str;

    /// Returns the action for this failure, if the strategy applies.
    fn decide(&self, context: &Context<'_, P>, rng: &mut Rng) -> Option<Action<P>>;
}

/// The information for the decision of a [`Strategy`].
#[derive(Debug)]
pub struct Context<'a, P> {
    /// The failed attempts of this work, including the latest.
    pub history: &'a History<P>,
    /// The kind of the present failure.
    pub kind: FailureKind,
    /// Peers that are connected and could do this work, including blocked ones.
    pub available: &'a [P],
    /// Peers that must not be asked now.
    pub blocked: &'a [P],
    /// The maximum number of attempts.
    pub max_attempts: u32,
    /// Share of recent answers that failed, or `None` if there were too few.
    pub failure_rate: Option<f64>,
    /// Share of recent requests without a useful answer, including refusals, or `None` if there were too few.
    pub loss_rate: Option<f64>,
    /// The time of the decision.
    pub now: Instant,
}

impl<P: Ord + Clone> Context<'_, P> {
    /// Tells whether no attempt is left; a retry would be replaced by giving up.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.history.attempts() >= self.max_attempts
    }

    /// Returns the peers that could be asked now and have not been asked for this work yet.
    pub fn untried(&self) -> impl Iterator<Item = &P> {
        self.available.iter().filter(|peer| !self.blocked.contains(peer) && !self.history.tried(peer))
    }

    /// Tells whether there are peers, but all that could be asked now have already been asked for this work.
    #[must_use]
    pub fn none_left(&self) -> bool {
        !self.available.is_empty() && self.untried().next().is_none()
    }

    /// Returns the number of attempts that went to a peer asked before or found no peer, which is the round of the
    /// backoff.
    #[must_use]
    pub fn repeats(&self) -> u32 {
        let kinds = &FailureKind::ALL;
        let distinct = u32::try_from(self.history.peers(kinds).len()).unwrap_or(u32::MAX);
        self.history.attempts().saturating_sub(distinct).saturating_add(self.history.without_peer())
    }

    /// Returns the number of attempts that could all have failed by chance alone, given the recent failures of other
    /// work. Beyond that number, the work itself is likely to be the cause. 0 when there were too few requests to tell,
    /// or when so many are lost that the network must be the reason.
    #[must_use]
    pub fn bad_luck(&self) -> u32 {
        let Some(rate) = self.loss_rate.filter(|rate| (0.0..=MOST_LOSSES).contains(rate)) else { return 0 };
        let mut chance = rate;
        (0..self.max_attempts)
            .take_while(|_| {
                let is_likely = chance >= UNLIKELY;
                chance *= rate;
                is_likely
            })
            .fold(0, |tries, _| tries + 1)
    }

    /// Returns the peers to avoid in a repeated round: those that refused the work or answered wrongly, and the last
    /// one asked. If no peer would be left, it returns only the last one, and if still no peer would be left, none.
    #[must_use]
    pub fn unsuitable(&self) -> Vec<P> {
        let last = self.history.tries().next_back().and_then(|attempt| attempt.peer.as_ref());
        let mut unsuitable = self.history.peers(&[FailureKind::Refused, FailureKind::Invalid]);
        unsuitable.extend(last);
        let leaves_somebody = |avoid: &dyn Fn(&P) -> bool| {
            self.available.iter().any(|peer| !self.blocked.contains(peer) && !avoid(peer))
        };
        if self.available.is_empty() || leaves_somebody(&|peer| unsuitable.contains(peer)) {
            unsuitable.into_iter().cloned().collect()
        } else if leaves_somebody(&|peer| Some(peer) == last) {
            last.into_iter().cloned().collect()
        } else {
            Vec::new()
        }
    }
}

/// One piece of work in a thousand may fail so often without a reason of its own.
const UNLIKELY: f64 = 0.001;

/// A network that loses more than this is in trouble as a whole.
const MOST_LOSSES: f64 = 0.6;
