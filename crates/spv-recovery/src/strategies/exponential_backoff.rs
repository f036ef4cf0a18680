use std::time::Duration;

use fastrand::Rng;

use crate::{
    backoff::Backoff,
    decision::Action,
    failure::FailureKind,
    strategy::{Context, Strategy},
};

/// Retries any failure that may be temporary, after a wait that grows each time.
///
/// There is no wait while requests for other work are answered and chance [explains](Context::bad_luck) the failures of
/// this one.
#[derive(Debug, Clone, Copy)]
pub struct ExponentialBackoff {
    /// Waits before retries.
    pub backoff: Backoff,
}

impl<P: Ord + Clone> Strategy<P> for ExponentialBackoff {
    fn name(&self) -> &'static str {
        "exponential_backoff"
    }

    fn decide(&self, context: &Context<'_, P>, rng: &mut Rng) -> Option<Action<P>> {
        context.kind.is_transient().then(|| {
            let tries = context.history.attempts().saturating_add(context.history.without_peer());
            let beyond_luck = tries.saturating_sub(context.bad_luck());
            let after = if beyond_luck == 0 && context.kind != FailureKind::NoPeer {
                Duration::ZERO
            } else {
                self.backoff.delay(context.repeats().min(beyond_luck), rng)
            };
            Action::Retry { after, avoid: context.unsuitable(), alone: false }
        })
    }
}
