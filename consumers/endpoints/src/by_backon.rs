use std::sync::atomic::{AtomicUsize, Ordering};

use backon::{ExponentialBuilder, Retryable};
use failsafe::futures::CircuitBreaker;
use failsafe::{Config, backoff, failure_policy};
use futures::stream::{StreamExt, TryStreamExt};

use crate::endpoint::{Endpoint, Failed};
use crate::{AT_A_TIME, BACKOFF, BREAK, CALLS, LONGEST_BACKOFF};

pub async fn call(endpoints: &[Endpoint]) -> Result<(), failsafe::Error<Failed>> {
    let policy = || failure_policy::consecutive_failures(5, backoff::constant(BREAK));
    let breaker = || Config::new().failure_policy(policy()).build();
    let guarded: Vec<_> = endpoints.iter().map(|endpoint| (breaker(), endpoint)).collect();
    let turn = AtomicUsize::new(0);
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(BACKOFF)
        .with_max_delay(LONGEST_BACKOFF)
        .without_max_times();
    let calls = (0..CALLS).map(|_| {
        let next = || async {
            let first = turn.fetch_add(1, Ordering::Relaxed);
            let mut turns = (0..guarded.len()).map(|turn| &guarded[(first + turn) % guarded.len()]);
            let permitted = turns.find(|(breaker, _)| breaker.is_call_permitted());
            let (breaker, endpoint) = permitted.ok_or(failsafe::Error::Rejected)?;
            breaker.call(endpoint.call()).await
        };
        next.retry(backoff).into_future()
    });
    futures::stream::iter(calls).buffer_unordered(AT_A_TIME).try_collect().await
}
