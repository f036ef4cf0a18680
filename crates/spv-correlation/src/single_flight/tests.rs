use std::{
    cell::Cell,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::*;

const MS: Duration = Duration::from_millis(1);

fn flights<V: Clone>(max_callers: usize) -> SingleFlight<u8, V> {
    SingleFlight::new(NonZeroUsize::new(max_callers).unwrap())
}

/// A caller that nobody tells anything fails its test instead of hanging it.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(3_600_000 * MS, future).await.expect("a caller was forgotten")
}

#[tokio::test(start_paused = true)]
async fn equal_keys_run_once_and_all_callers_get_the_result() {
    let (flights, runs) = (flights(100), Arc::new(AtomicU32::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..20_u8 {
        let (flights, runs) = (flights.clone(), Arc::clone(&runs));
        callers.spawn(async move {
            let key = caller % 2;
            let work = async || {
                runs.fetch_add(1, Ordering::Relaxed);
                sleep(5 * MS).await;
                Arc::new(key)
            };
            let result = flights.run(key, work).await.unwrap();
            assert_eq!(*result, key);
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!((runs.load(Ordering::Relaxed), flights.callers()), (2, 0));
    assert_eq!(*within(flights.run(0, async || Arc::new(9))).await.unwrap(), 9, "nothing is cached");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_a_result_for_all() {
    let (flights, runs) = (flights(10), Cell::new(0));
    let call = || {
        flights.run(1, async || {
            runs.set(runs.get() + 1);
            sleep(MS).await;
            Err::<(), _>("refused")
        })
    };
    let results = tokio::join!(call(), call(), call());
    assert_eq!(results, (Ok(Err("refused")), Ok(Err("refused")), Ok(Err("refused"))));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_leader_hands_over_to_the_longest_waiting() {
    let flights = flights(10);
    let call = |name: &'static str| {
        flights.run(1, async move || {
            sleep(10 * MS).await;
            name
        })
    };
    let mut leader = Box::pin(call("leader"));
    let mut second = Box::pin(call("second"));
    let mut third = Box::pin(call("third"));
    tokio::select! {
        biased;
        _ = &mut leader => panic!("too early"),
        _ = &mut second => panic!("too early"),
        _ = &mut third => panic!("too early"),
        () = sleep(5 * MS) => {}
    }
    drop(leader);
    assert_eq!(within(async { tokio::join!(third, second) }).await, (Ok("second"), Ok("second")));
    assert_eq!(flights.callers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_told_to_lead_and_dropped_before_it_ran_hands_over_in_turn() {
    let flights = flights(10);
    let call = |name: &'static str| {
        flights.run(1, async move || {
            sleep(10 * MS).await;
            name
        })
    };
    let mut callers: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|name| Box::pin(call(name))).collect();
    for caller in &mut callers {
        assert!(poll_once(caller.as_mut()).await.is_none());
    }
    let last = callers.pop().unwrap();
    // "a" hands over to "b", which goes before it could run, and so on.
    callers.into_iter().for_each(drop);
    assert_eq!(within(last).await, Ok("d"));
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_panicking_leader_hands_over() {
    let flights: SingleFlight<u8, u8> = flights(10);
    let leader = tokio::spawn({
        let flights = flights.clone();
        async move {
            flights
                .run(1, async || {
                    sleep(MS).await;
                    panic!("on purpose")
                })
                .await
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(within(flights.run(1, async || 5)).await, Ok(5));
    assert!(leader.await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn too_many_callers_are_refused_without_doing_the_work() {
    let flights: SingleFlight<u8, ()> = flights(1);
    let mut leader = pin!(flights.run(1, async || sleep(MS).await));
    assert!(poll_once(leader.as_mut()).await.is_none());
    let refused = flights.run(2, async || panic!("not called")).await;
    assert_eq!(refused, Err(TooManyCallers { limit: 1 }));
    assert_eq!(leader.await, Ok(()));
    assert_eq!(within(flights.run(2, async || {})).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn many_callers_that_come_go_and_fail_all_end() {
    let flights: SingleFlight<u8, u64> = flights(1_000);
    let mut luck = fastrand::Rng::with_seed(5);
    let mut callers = JoinSet::new();
    for _ in 0..500 {
        let (flights, key, patience) = (flights.clone(), luck.u8(0..5), luck.u32(1..40) * MS);
        let (start, service, panics) = (luck.u32(0..200) * MS, luck.u32(1..20) * MS, luck.u8(0..10) == 0);
        callers.spawn(async move {
            sleep(start).await;
            let work = async || {
                sleep(service).await;
                assert!(!panics, "on purpose");
                u64::from(key)
            };
            match timeout(patience, flights.run(key, work)).await {
                Ok(result) => assert_eq!(result, Ok(u64::from(key))),
                Err(_elapsed) => {}
            }
        });
    }
    while callers.join_next().await.is_some() {}
    assert_eq!(format!("{flights:?}"), "SingleFlight { flights: 0, callers: 0, .. }");
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_who_led_and_who_shared() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    crate::describe_metrics();
    let flights: SingleFlight<u8, ()> = flights(10);
    let call = || flights.run(1, async || sleep(MS).await);
    let (mut first, second, third) = (Box::pin(call()), call(), call());
    assert!(poll_once(first.as_mut()).await.is_none());
    let (mut second, mut third) = (Box::pin(second), Box::pin(third));
    assert!(poll_once(second.as_mut()).await.is_none());
    assert!(poll_once(third.as_mut()).await.is_none());
    drop(first);
    assert_eq!(within(async { tokio::join!(second, third) }).await, (Ok(()), Ok(())));
    let mut seen: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "spv_correlation_flights_total")
        .map(|(key, _, description, value)| {
            assert!(description.is_some());
            (key.key().labels().map(|label| label.value().to_owned()).collect::<String>(), value)
        })
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["handed_over", "led", "shared"].map(|role| (role.to_owned(), DebugValue::Counter(1)));
    assert_eq!(seen, expected);
}
