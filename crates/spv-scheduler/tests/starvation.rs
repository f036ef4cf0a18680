//! Nothing starves: whatever is pushed, joined and retried, an item waits only for what became ready before it or
//! within four ageing periods after it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use spv_scheduler::{Config, Next, Priority, Pushed, Scheduler};

const AGEING_MS: u64 = 1_000;
const PER_SECOND: u64 = 10;

/// What a greedy client does in one step: pushes with these keys, urgent and first in order, and perhaps retries
/// everything that runs at once.
#[derive(Debug, Clone)]
struct Step {
    ms: u64,
    keys: Vec<Option<u8>>,
    retries: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0_u64..400, proptest::collection::vec(proptest::option::of(0_u8..3), 0..12), any::<bool>())
        .prop_map(|(ms, keys, retries)| Step { ms, keys, retries })
}

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn scheduler(t0: Instant) -> Scheduler<bool, u8> {
    let ageing = Duration::from_millis(AGEING_MS);
    let config = Config { burst: 1, per_second: PER_SECOND as f64, ageing, ..Config::default() };
    Scheduler::with_keys(&config, t0).unwrap()
}

proptest! {
    #[test]
    fn the_modest_item_runs_in_time_among_greedy_ones(
        before in 0_usize..30, steps in proptest::collection::vec(step(), 1..200), modest in 0_u8..3,
    ) {
        let t0 = start();
        let mut s = scheduler(t0);
        for _ in 0..before {
            s.push(false, Priority::Critical, t0, t0).unwrap();
        }
        let rank = match modest {
            0 => Priority::Low,
            1 => Priority::Normal,
            _ => Priority::High,
        };
        s.push(true, rank.in_order(u64::MAX), t0, t0).unwrap();

        let horizon = 4 * AGEING_MS;
        // Items that became ready early enough to go first.
        let (mut ahead, mut now, mut ran_at) = (before as u64, 0, None);
        // Idle steps at the end, so that the bound is always reached.
        let idle = Step { ms: 50, keys: Vec::new(), retries: true };
        for Step { ms, keys, retries } in steps.into_iter().chain(std::iter::repeat_n(idle, 4_000)) {
            // Polled every few milliseconds, as a worker would.
            for _ in 0..=ms / 10 {
                now += ms.clamp(1, 10);
                let at = t0 + Duration::from_millis(now);
                while let Next::Run(job) = s.poll(at) {
                    let ready = now - u64::try_from(job.waited.as_millis()).unwrap();
                    prop_assert!(ran_at.is_some() || ready < horizon, "overtaken by an item ready at {} ms", ready);
                    if job.item {
                        ran_at = Some(now);
                    }
                    if retries && !job.item {
                        s.retry(job.ticket, false, Priority::Critical.in_order(0), at, at).unwrap();
                        ahead += u64::from(now < horizon);
                    } else {
                        s.finish(job.ticket);
                    }
                }
            }
            if ran_at.is_some() {
                break;
            }
            let at = t0 + Duration::from_millis(now);
            for key in keys {
                let queued = match key {
                    Some(key) => s.push_keyed(key, false, Priority::Critical, at, at).map(|pushed| matches!(pushed, Pushed::Queued(_))),
                    None => s.push(false, Priority::Critical, at, at).map(|_| true),
                };
                ahead += u64::from(queued.unwrap_or(false) && now < horizon);
            }
        }
        let bound = (ahead + 2) * 1_000 / PER_SECOND;
        prop_assert!(ran_at.is_some_and(|ran| ran <= bound + 20), "ran at {:?}, {} items ahead", ran_at, ahead);
    }

    #[test]
    fn whoever_is_not_ready_holds_up_nobody(
        waiting in proptest::collection::vec((1_u64..10_000, 0_u8..3), 0..50), priority in 0_u8..2,
    ) {
        let t0 = start();
        let mut s = scheduler(t0);
        for (ms, key) in waiting {
            let at = t0 + Duration::from_millis(ms);
            let _ = s.push_keyed(key, false, Priority::Critical, at, t0).unwrap();
        }
        s.push(true, if priority == 0 { Priority::Low } else { Priority::High }, t0, t0).unwrap();
        let Next::Run(job) = s.poll(t0) else { panic!("one item is ready") };
        prop_assert!(job.item);
    }
}
