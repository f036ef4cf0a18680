//! Any mixture of requests, faults, timeouts, cancellations and changes of the pool, in paused time.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::support::{ANSWER_BYTES, Act, Request, Scripted, Yielding, all_but, request};
use futures::future::join_all;
use proptest::prelude::*;
use spv_executor::{
    Config, Depth, ExecuteError, Executor, ExpectedCompletion, LeastLoaded, LowestLatency, RoundRobin,
};
use tokio::time::{sleep, timeout};

#[derive(Clone, Debug)]
struct Call {
    at: Duration,
    request: Request,
    exclude: Vec<char>,
    patience: Duration,
    order: Option<u64>,
    /// How long the answer is kept, and what it is found to be.
    kept: Duration,
    good: Option<bool>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(char, Depth),
    Remove(char),
    SetDepth(char, Depth),
}

fn duration(limit_ms: u64) -> impl Strategy<Value = Duration> {
    (0..limit_ms).prop_map(Duration::from_millis)
}

fn peer() -> impl Strategy<Value = char> {
    prop::sample::select(vec!['a', 'b', 'c', 'd'])
}

fn depth() -> impl Strategy<Value = Depth> {
    prop::sample::select(vec![Depth::ONE, Depth::TWO, Depth::THREE])
}

fn call() -> impl Strategy<Value = Call> {
    let act = prop_oneof![
        6 => any::<u32>().prop_map(Act::Answer),
        2 => Just(Act::Fail),
        1 => Just(Act::Panic),
        1 => Just(Act::PanicBeforeTheFirstPoll),
        1 => Just(Act::Never),
    ];
    let exclude = prop::collection::vec(peer(), 0..3);
    let patience = prop_oneof![3 => Just(Duration::MAX), 1 => duration(300)];
    let use_of_answer =
        (prop::option::of(0..40_u64), duration(100), prop::option::weighted(0.9, prop::bool::weighted(0.8)));
    (duration(500), 0..400_u64, act, exclude, patience, use_of_answer).prop_map(
        |(at, after_ms, act, exclude, patience, (order, kept, good))| Call {
            at,
            request: request(after_ms, act),
            exclude,
            patience,
            order,
            kept,
            good,
        },
    )
}

fn change() -> impl Strategy<Value = (Duration, Change)> {
    let change = prop_oneof![
        (peer(), depth()).prop_map(|(peer, depth)| Change::Add(peer, depth)),
        peer().prop_map(Change::Remove),
        (peer(), depth()).prop_map(|(peer, depth)| Change::SetDepth(peer, depth)),
    ];
    (duration(700), change)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn caps_hold_every_request_ends_once_and_no_slot_is_lost(
        max_in_flight in 1..8_usize,
        selector in 0..4_u8,
        max_bytes in prop_oneof![Just(1), 100..1_000_u64, Just(1 << 20)],
        calls in prop::collection::vec(call(), 1..60),
        changes in prop::collection::vec(change(), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let transport = Scripted::default();
            let config = Config {
                max_in_flight: NonZeroUsize::new(max_in_flight).unwrap(),
                max_waiting: 12,
                max_bytes,
                soft_timeout: Duration::from_millis(200),
                hard_timeout: Duration::from_millis(350),
                adaptive_timeouts: false,
                ..Config::default()
            };
            let executor = match selector {
                0 => Executor::with_selector(transport.clone(), RoundRobin, config),
                1 => Executor::with_selector(transport.clone(), LeastLoaded, config),
                2 => Executor::with_selector(transport.clone(), LowestLatency::new(3), config),
                _ => Executor::with_selector(transport.clone(), ExpectedCompletion::new(3), config),
            }
            .unwrap();
            let slower = [('b', Duration::from_millis(150)), ('d', Duration::from_millis(300))];
            transport.slower.lock().extend(slower);
            executor.add_peer('a', Depth::TWO);
            executor.add_peer('b', Depth::THREE);

            let changing = join_all(changes.into_iter().map(|(at, change)| {
                let executor = &executor;
                async move {
                    sleep(at).await;
                    match change {
                        Change::Add(peer, depth) => executor.add_peer(peer, depth),
                        Change::Remove(peer) => executor.remove_peer(&peer),
                        Change::SetDepth(peer, depth) => drop(executor.set_depth(&peer, depth)),
                    }
                }
            }));
            let calls: Vec<_> = calls.into_iter().map(|call| {
                let (executor, transport) = (&executor, &transport);
                async move {
                    sleep(call.at).await;
                    let exclude = call.exclude.clone();
                    let result = timeout(call.patience, async {
                        match call.order {
                            Some(order) => executor.execute_in_order(call.request, all_but(exclude), order).await,
                            None => executor.execute_where(call.request, all_but(exclude)).await,
                        }
                    });
                    let result = result.await;
                    assert!(transport.alive.load(SeqCst) <= max_in_flight);
                    let completed = match result {
                        Ok(Ok(completed)) => {
                            assert!(completed.elapsed >= call.request.after);
                            Some(completed)
                        }
                        Ok(Err(ExecuteError::SoftTimeout { peer, late, .. })) => {
                            assert!(!call.exclude.contains(&peer));
                            late.await.ok()
                        }
                        Ok(Err(_)) | Err(_) => None,
                    };
                    if let Some(completed) = completed {
                        assert!(!call.exclude.contains(&completed.peer));
                        assert_eq!(Act::Answer(completed.response), call.request.act);
                        assert_eq!(completed.permit.bytes(), ANSWER_BYTES);
                        assert!(executor.progress().borrow().held_bytes >= ANSWER_BYTES);
                        sleep(call.kept).await;
                        match call.good {
                            Some(true) => completed.permit.accept(),
                            Some(false) => completed.permit.reject(),
                            None => {}
                        }
                    }
                }
            }).collect();
            let submitted = calls.len() as u64;
            tokio::join!(join_all(calls), changing);
            // Abandoned requests still occupy their peers, up to the hard limit; and those that failed rest.
            sleep(Duration::from_secs(10)).await;

            for peer in ['a', 'b', 'c', 'd'] {
                assert!(transport.most_in_flight(peer) <= 3);
            }
            let progress = *executor.progress().borrow();
            assert_eq!((progress.waiting, progress.in_flight, progress.held_bytes), (0, 0, 0));
            assert!(20 * progress.hedged <= 20 + progress.succeeded + progress.late);
            let answered = progress.succeeded + progress.unjudged;
            assert_eq!(answered + progress.failed + progress.cancelled, submitted);
            assert_eq!(transport.alive.load(SeqCst), 0);
            let depths: usize = executor.peers().iter().map(|load| load.depth.get()).sum();
            assert_eq!(executor.capacity(), depths.min(max_in_flight));
            executor.close().await;
        });
    }
}

/// Threads instead of paused time: a slot is free only once the peer is, and free when its caller goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn caps_hold_between_threads() {
    let config = Config { max_waiting: 10_000, ..Config::default() };
    let transport = Yielding::default();
    let executor = Executor::new(transport.clone(), config).unwrap();
    ["a", "b", "c"].into_iter().for_each(|peer| executor.add_peer(peer, Depth::TWO));
    let calls: Vec<_> = (0..3000_u32)
        .map(|request| {
            let executor = executor.clone();
            let exclude = ["a", "b", "c", "d"][request as usize % 4];
            tokio::spawn(async move {
                let answered = executor.execute_where(request, all_but([exclude])).await.unwrap();
                answered.permit.accept();
                answered.response
            })
        })
        .collect();
    for (request, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), request);
    }
    assert_eq!(executor.capacity(), 6);
    assert!(transport.most.load(SeqCst) <= 6);
    assert!(executor.peers().iter().all(|load| load.max_in_flight <= 2));
    let progress = *executor.progress().borrow();
    assert_eq!((progress.succeeded, progress.waiting, progress.in_flight), (3000, 0, 0));
    executor.close().await;
}
