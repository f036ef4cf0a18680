use spv_executor::{ConfigError, Executor, ExpectedCompletion, LeastLoaded, LowestLatency, RoundRobin};

use super::transport::PoolTransport;
use crate::config::Selector;

/// An executor that selects peers in the configured way. Equal seeds make equal choices.
pub(super) fn executor(
    selector: Selector,
    transport: PoolTransport,
    seed: u64,
    config: spv_executor::Config,
) -> Result<Executor<PoolTransport>, ConfigError> {
    match selector {
        Selector::ExpectedCompletion => {
            Executor::with_selector(transport, ExpectedCompletion::new(seed), config)
        }
        Selector::LeastLoaded => Executor::with_selector(transport, LeastLoaded, config),
        Selector::LowestLatency => Executor::with_selector(transport, LowestLatency::new(seed), config),
        Selector::RoundRobin => Executor::with_selector(transport, RoundRobin, config),
    }
}
