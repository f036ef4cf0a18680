//! The built-in strategies.

mod alternative;
mod exponential_backoff;
mod sequential_fallback;
mod switch_peer;

pub use alternative::Alternative;
pub use exponential_backoff::ExponentialBackoff;
pub use sequential_fallback::SequentialFallback;
pub use switch_peer::SwitchPeer;

use crate::{backoff::Backoff, config::Config, strategy::Strategy};

/// Returns the default chain: [`Alternative`], [`SwitchPeer`], [`SequentialFallback`], [`ExponentialBackoff`].
///
/// The cheapest cure comes first: another peer at once, before any waiting. Put your own strategies in front, or
/// build another list.
#[must_use]
pub fn default_chain<P: Ord + Clone>(config: &Config) -> Vec<Box<dyn Strategy<P>>> {
    let backoff = Backoff::new(config.backoff_base, config.backoff_cap);
    vec![
        Box::new(Alternative { after_refusals: config.alternative_after_refusals }),
        Box::new(SwitchPeer),
        Box::new(SequentialFallback {
            after_attempts: config.sequential_after,
            failure_rate: config.sequential_failure_rate,
            backoff,
        }),
        Box::new(ExponentialBackoff { backoff }),
    ]
}
