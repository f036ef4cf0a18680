use fastrand::Rng;

use crate::{
    backoff::Backoff,
    decision::Action,
    strategy::{Context, Strategy},
};

/// Asks to run the work alone, after a backoff, once it was tried often and most answers of the whole network fail:
/// the load may be the cause.
#[derive(Debug, Clone, Copy)]
pub struct SequentialFallback {
    /// Tries of the work before this applies.
    pub after_attempts: u32,
    /// Share of answers failing from which this applies, 0 to 1.
    pub failure_rate: f64,
    /// How long to wait.
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
