//! The shared queue in paused time.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use spv_scheduler::{
    BatchConfig, Conditions, Config, Lengths, Priority, PushError, Pushed, Queue, TokenBuckets,
    TokenBucketsConfig,
};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn queue(config: Config) -> Queue<u32> {
    Queue::new(&config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_worker_wakes_for_a_push() {
    let queue = queue(Config::default());
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.map(|job| job.item) }
    });
    tokio::task::yield_now().await;
    queue.push(7, Priority::Low, Duration::ZERO).unwrap();
    assert_eq!(worker.await.unwrap(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_push_that_is_ready_sooner_cuts_the_wait_short() {
    let queue = queue(Config::default());
    queue.push(1, Priority::Critical, 60 * SECOND).unwrap();
    let started = Instant::now();
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.map(|job| job.item) }
    });
    tokio::task::yield_now().await;
    queue.push(2, Priority::Low, SECOND).unwrap();
    assert_eq!(worker.await.unwrap(), Some(2));
    assert_eq!(started.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn jobs_start_no_faster_than_the_rate() {
    let queue = queue(Config { burst: 2, per_second: 1.0, ..Config::default() });
    for item in 0..5 {
        queue.push(item, Priority::Normal, Duration::ZERO).unwrap();
    }
    let started = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 5 {
        let job = queue.next().await.unwrap();
        queue.finish(job.ticket);
        seconds.push(started.elapsed().as_secs());
    }
    assert_eq!(seconds, [0, 0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_no_job() {
    let queue = queue(Config { burst: 1, per_second: 1.0, ..Config::default() });
    queue.push(1, Priority::Normal, SECOND).unwrap();
    for _ in 0..20 {
        assert!(timeout(SECOND / 100, queue.next()).await.is_err());
    }
    let losers: Vec<_> = (0..3).map(|_| queue.clone()).collect();
    let (a, b, c) = (losers[0].next(), losers[1].next(), losers[2].next());
    let winner = tokio::select! { job = a => job, job = b => job, job = c => job };
    assert_eq!(winner.unwrap().item, 1);
    assert_eq!(queue.lengths(), Lengths { running: 1, ..Lengths::default() });
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_as_large_as_room_conditions_and_rate_allow() {
    let batch = BatchConfig { max: 10, ..BatchConfig::default() };
    let queue = queue(Config { burst: 20, per_second: 1.0, batch, ..Config::default() });
    for item in 0..40 {
        queue.push(item, Priority::Normal, Duration::ZERO).unwrap();
    }
    let take = async |at_most, low_bandwidth| {
        let conditions = Conditions { low_bandwidth, ..Conditions::default() };
        queue.next_batch(NonZeroUsize::new(at_most).unwrap(), conditions).await.len()
    };
    assert_eq!((take(100, false).await, take(100, true).await, take(2, true).await), (10, 5, 2));
    assert_eq!(take(100, false).await, 3, "what is left of the burst");
    let started = Instant::now();
    assert_eq!((take(100, false).await, started.elapsed().as_secs()), (1, 1), "waits for one, not for all");
    queue.close();
    assert_eq!(queue.drain().len(), 19);
}

#[tokio::test(start_paused = true)]
async fn pushes_of_one_key_run_once_and_end_together() {
    let queue: Queue<&str, u8> = Queue::with_keys(&Config::default()).unwrap();
    let first = queue.push_keyed(1, "first", Priority::Low, 60 * SECOND).unwrap().ticket();
    let other = queue.push_keyed(2, "other", Priority::Normal, Duration::ZERO).unwrap().ticket();
    let joined = queue.push_keyed(1, "again", Priority::High, Duration::ZERO).unwrap();
    let Pushed::Joined { ticket: second, item: "again" } = joined else { panic!("{joined:?}") };

    let job = queue.next().await.unwrap();
    assert_eq!((job.item, job.ticket, job.priority), ("first", first, Priority::High), "hastened");
    let third = queue.push_keyed(1, "still", Priority::Low, Duration::ZERO).unwrap().ticket();
    assert_eq!(queue.next().await.unwrap().ticket, other);
    queue.retry(first, job.item, Priority::High, 5 * SECOND).unwrap();
    let fourth = queue.push_keyed(1, "now", Priority::Critical, Duration::ZERO).unwrap().ticket();

    let started = Instant::now();
    let job = queue.next().await.unwrap();
    assert_eq!((job.ticket, job.priority, job.attempt), (first, Priority::Critical, 2));
    assert_eq!(started.elapsed(), 5 * SECOND, "a retry keeps its time");
    assert_eq!(queue.finish(first), [first, second, third, fourth]);
    let fresh = queue.push_keyed(1, "fresh", Priority::Low, Duration::ZERO).unwrap();
    assert!(matches!(fresh, Pushed::Queued(_)), "the key is free again");
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_ends_only_when_the_last_job_has_ended() {
    let queue = queue(Config::default());
    queue.push(1, Priority::High, Duration::ZERO).unwrap();
    queue.close();
    assert_eq!(queue.push(2, Priority::High, Duration::ZERO), Err(PushError::Closed { item: 2 }));

    let job = queue.next().await.unwrap();
    assert!(timeout(SECOND, queue.next()).await.is_err(), "the running job may still be retried");
    queue.retry(job.ticket, job.item, job.priority.lowered(), SECOND).unwrap();
    let job = queue.next().await.unwrap();
    assert_eq!((job.item, job.attempt, job.priority), (1, 2, Priority::Normal));

    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next().await.is_none() })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.finish(job.ticket);
    for waiter in waiters {
        assert!(waiter.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn draining_a_closed_queue_ends_it_at_once() {
    let queue = queue(Config::default());
    queue.push(1, Priority::High, Duration::MAX).unwrap();
    queue.push(2, Priority::Low, Duration::ZERO).unwrap();
    queue.close();
    assert_eq!(queue.drain(), [2, 1]);
    assert_eq!(queue.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn many_workers_run_every_job_once() {
    let queue = queue(Config { per_second: 50.0, ..Config::default() });
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut done = Vec::new();
                while let Some(job) = queue.next().await {
                    tokio::time::sleep(Duration::from_millis(u64::from(job.item % 7))).await;
                    if job.attempt == 1 && job.item % 3 == 0 {
                        queue.retry(job.ticket, job.item, Priority::Low, SECOND).unwrap();
                    } else {
                        queue.finish(job.ticket);
                        done.push(job.item);
                    }
                }
                done
            })
        })
        .collect();
    for item in 0..200 {
        queue.push(item, Priority::Normal, Duration::from_millis(u64::from(item % 11))).unwrap();
    }
    queue.close();
    let mut done = Vec::new();
    for worker in workers {
        done.extend(worker.await.unwrap());
    }
    done.sort_unstable();
    assert_eq!(done, (0..200).collect::<Vec<_>>());
}

#[test]
fn metrics_tell_lengths_waits_and_hold_ups() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    // A snapshot sets the recorder back to zero, so the changes are added up here.
    let mut read = |wanted: &str| {
        for (key, _, _, value) in snapshots.snapshot().into_vec() {
            let labels: String = key.key().labels().map(|label| format!(" {}", label.value())).collect();
            *totals.entry(format!("{}{labels}", key.key().name())).or_default() += match value {
                DebugValue::Counter(n) => n as f64,
                DebugValue::Gauge(level) => level.into_inner(),
                DebugValue::Histogram(samples) => samples.len() as f64,
            };
        }
        totals[wanted]
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        spv_scheduler::describe_metrics();
        let queue = queue(Config { burst: 1, per_second: 0.001, ..Config::default() });
        let other = self::queue(Config::default());
        other.push(0, Priority::Low, Duration::ZERO).unwrap();
        for delay in [Duration::ZERO, Duration::ZERO, 60 * SECOND] {
            queue.push(0, Priority::Low, delay).unwrap();
        }
        assert_eq!(read("spv_scheduler_queue_length ready"), 3.0, "both queues add up");
        assert_eq!(read("spv_scheduler_queue_length waiting"), 1.0);

        runtime.block_on(async {
            assert!(queue.next().await.is_some());
            assert!(timeout(SECOND, queue.next()).await.is_err());
        });
        assert_eq!(read("spv_scheduler_queue_length ready"), 2.0);
        assert_eq!(read("spv_scheduler_wait_seconds"), 1.0);
        assert_eq!(read("spv_scheduler_throttled_total"), 1.0);

        drop((queue, other));
        assert_eq!(read("spv_scheduler_queue_length ready"), 0.0, "a dropped queue takes its items along");
        assert_eq!(read("spv_scheduler_queue_length waiting"), 0.0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_dropped_ends_and_keeps_no_place() {
    let queue = queue(Config { capacity: 1, ..Config::default() });
    queue.push(1, Priority::Normal, Duration::ZERO).unwrap();
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move {
            let _job = queue.claim().await.unwrap();
            panic!("as scripted")
        }
    });
    assert!(worker.await.is_err());
    assert_eq!(queue.lengths().total(), 0);
    queue.push(2, Priority::Normal, Duration::ZERO).unwrap();
    let job = queue.claim().await.unwrap();
    queue.close();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.is_none() }
    });
    tokio::task::yield_now().await;
    drop(job);
    assert!(timeout(SECOND, waiting).await.expect("nobody waits for what was dropped").unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_claimed_job_can_be_finished_retried_or_kept() {
    let queue: Queue<&str, u8> = Queue::with_keys(&Config::default()).unwrap();
    let first = queue.push_keyed(1, "work", Priority::Normal, Duration::ZERO).unwrap().ticket();
    let joined = queue.push_keyed(1, "again", Priority::Normal, Duration::ZERO).unwrap().ticket();
    let job = queue.claim().await.unwrap();
    assert_eq!((job.attempt, job.item), (1, "work"));
    job.retry(Priority::Low, SECOND).unwrap();
    let job = queue.claim().await.unwrap();
    assert_eq!((job.attempt, job.item), (2, "work"));
    assert_eq!(job.finish(), [first, joined]);

    // Whoever holds an attempt that is past ends no later one.
    queue.push("other", Priority::Normal, Duration::ZERO).unwrap();
    let stale = queue.claim().await.unwrap();
    queue.retry(stale.ticket, "other", Priority::Normal, Duration::ZERO).unwrap();
    let fresh = queue.next().await.unwrap();
    drop(stale);
    assert_eq!(queue.lengths().running, 1);
    assert_eq!(queue.finish(fresh.ticket), [fresh.ticket]);

    queue.push("kept", Priority::Normal, Duration::ZERO).unwrap();
    let kept = queue.claim().await.unwrap().into_job();
    assert_eq!(queue.lengths().running, 1);
    queue.finish(kept.ticket);
}

/// One host's work comes first and may go once a second; nine other hosts may go as they like.
#[tokio::test(start_paused = true)]
async fn work_of_a_host_whose_rate_is_spent_takes_nothing_from_the_others() {
    let queue: Queue<(u8, u32)> =
        Queue::new(&Config { burst: 1, per_second: 10.0, ..Config::default() }).unwrap();
    let rate = TokenBucketsConfig { burst: 1, per_second: 1.0, ..TokenBucketsConfig::default() };
    let mut hosts = TokenBuckets::new(&rate).unwrap();
    for nth in 0..20 {
        queue.push((0, nth), Priority::High, Duration::ZERO).unwrap();
    }
    for host in 1..10 {
        for nth in 0..5 {
            queue.push((host, nth), Priority::Normal, Duration::ZERO).unwrap();
        }
    }
    queue.close();
    let started = Instant::now();
    let mut others_done = Duration::ZERO;
    while let Some(job) = queue.claim_where(|(host, _), now| hosts.try_take(host, now)).await {
        if job.item.0 != 0 {
            others_done = started.elapsed();
        }
        job.finish();
    }
    // 45 pieces of work at ten a second beside one a second of the first host; its last one starts after 19 s.
    assert!(others_done < Duration::from_millis(5_500), "{others_done:?}");
    assert!((19..20).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_predicate_panics_leaves_the_queue_as_it_was() {
    let queue = queue(Config::default());
    for item in [1, 2] {
        queue.push(item, Priority::Normal, Duration::ZERO).unwrap();
    }
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next_where(|_, _| panic!("as written")).await.is_some() }
    });
    assert!(worker.await.unwrap_err().is_panic());
    assert_eq!(queue.lengths(), Lengths { ready: 2, waiting: 0, running: 0 });
    queue.close();
    for item in [1, 2] {
        let job = queue.next().await.unwrap();
        assert_eq!(job.item, item);
        queue.finish(job.ticket);
    }
    assert!(queue.next().await.is_none());
}
