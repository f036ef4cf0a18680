use fastrand::Rng;

use crate::{
    backoff::Backoff,
    decision::Action,
    strategy::{Context, Strategy},
};

/// Decides to run the work alone, after a backoff, if it was tried often and most answers of the whole network fail,
/// because the load may be the cause.
#[derive(Debug, Clone, Copy)]
pub struct SequentialFallback {
    /// Number of attempts before this strategy applies.
    pub after_attempts: u32,
    /// Share of failed answers from which this strategy applies, 0 to 1.
    pub failure_rate: f64,
    /// Waits before retries.
    pub backoff: Backoff,
}

impl<P: Ord + Clone> Strategy<P> for SequentialFallback {
    fn name(&self) -> &'static str {
        "sequential_fallback"
    }

    fn decide(&self, context: &Context<'_, P>, rng: &mut Rng) -> Option<Action<P>> {
        let network_is_bad = context.failure_rate.is_some_and(|rate| rate >= self.failure_rate);
        let tried_enough = context.history.attempts() >= self.after_attempts;
        (context.kind.blames_peer() && tried_enough && network_is_bad).then(|| Action::Retry {
            after: self.backoff.delay(context.repeats(), rng),
            avoid: context.unsuitable(),
            alone: true,
        })
    }
}
