use std::time::{Duration, Instant};

use futures::stream::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use spv_recovery::{Action, Attempt, BreakerConfig, Config, FailureKind, History, Recovery};
use tokio::time::sleep;

use crate::endpoint::Endpoint;
use crate::{AT_A_TIME, BACKOFF, BREAK, CALLS, LONGEST_BACKOFF};

type Error = Box<dyn std::error::Error>;

pub async fn call(endpoints: &[Endpoint]) -> Result<(), Error> {
    let breaker = BreakerConfig { open_min: BREAK, open_max: BREAK, ..BreakerConfig::default() };
    let config = Config { backoff_base: BACKOFF, backoff_cap: LONGEST_BACKOFF, breaker, ..Config::default() };
    let recovery = Mutex::new(Recovery::new(config, 1)?);
    let calls = (0..CALLS).map(|number| one(&recovery, endpoints, number));
    futures::stream::iter(calls).buffer_unordered(AT_A_TIME).try_collect().await
}

async fn one(recovery: &Mutex<Recovery<usize>>, endpoints: &[Endpoint], first: usize) -> Result<(), Error> {
    let numbers: Vec<usize> = endpoints.iter().map(|endpoint| endpoint.number).collect();
    let (mut history, mut avoid) = (History::new(), Vec::new());
    loop {
        let now = Instant::now();
        let chosen = {
            let mut recovery = recovery.lock();
            let mut turns = (0..8).map(|turn| (first + turn) % 8);
            turns.find(|number| !avoid.contains(number) && recovery.allows(number, now))
        };
        let Some(number) = chosen else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let result = endpoints[number].call().await;
        let now = Instant::now();
        if result.is_ok() {
            recovery.lock().on_success(&number, now);
            return Ok(());
        }
        history.record(Attempt::new(number, &FailureKind::Timeout, now));
        let action = recovery.lock().on_failure(&history, &numbers, now).action;
        let Action::Retry { after, avoid: others, .. } = action else {
            return Err(format!("given up: {action:?}").into());
        };
        avoid = others;
        sleep(after).await;
    }
}
