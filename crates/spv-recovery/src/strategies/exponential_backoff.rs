use fastrand::Rng;

use crate::{Action, Backoff, Context, Strategy};

/// Waits, longer each time round the peers, and retries any failure that may pass.
#[derive(Debug, Clone, Copy)]
pub struct ExponentialBackoff {
    /// How long to wait.
    pub backoff: Backoff,
}

impl<P: Ord + Clone> Strategy<P> for ExponentialBackoff {
    fn name(&self) -> &'static str {
        "exponential_backoff"
    }

    fn decide(&self, context: &Context<'_, P>, rng: &mut Rng) -> Option<Action<P>> {
        context.kind.is_transient().then(|| Action::Retry {
            after: self.backoff.delay(context.repeats(), rng),
            avoid: context.unsuitable(),
            alone: false,
        })
    }
}
