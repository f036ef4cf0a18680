//! The executor over a scripted transport, in paused time.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::support::{Act, Refused, Scripted, all_but, answer, config, request};
use futures::{FutureExt, StreamExt};
use spv_executor::{Config, Depth, ExecuteError, Executor, LateError, RoundRobin};
use tokio::time::{Instant, sleep};

fn executor(config: Config, peers: &[(char, Depth)]) -> (Executor<Scripted>, Scripted) {
    let transport = Scripted::default();
    let executor = Executor::new(transport.clone(), config).expect("the config is valid");
    peers.iter().for_each(|&(peer, depth)| executor.add_peer(peer, depth));
    (executor, transport)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_with_its_peer_and_with_waiting_and_elapsed_time_apart() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    let (first, second) = tokio::join!(executor.execute(answer(100, 1)), executor.execute(answer(50, 2)));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(
        (first.peer, first.response, first.queued, first.elapsed),
        ('a', 1, Duration::ZERO, millis(100))
    );
    assert_eq!((second.response, second.queued, second.elapsed), (2, millis(100), millis(50)));
}

#[tokio::test(start_paused = true)]
async fn run_keeps_input_order_and_stream_the_order_of_finishing() {
    let (executor, _) = executor(config(), &[('a', Depth::THREE)]);
    let requests = vec![answer(300, 0), answer(200, 1), answer(100, 2)];
    let finished: Vec<_> = executor.stream(requests.clone()).map(|(index, _)| index).collect().await;
    assert_eq!(finished, [2, 1, 0]);
    let results: Vec<_> =
        executor.run(requests).await.into_iter().map(|result| result.unwrap().response).collect();
    assert_eq!(results, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_peers_work_in_parallel_within_their_depths() {
    let (executor, transport) =
        executor(config(), &[('a', Depth::ONE), ('b', Depth::TWO), ('c', Depth::THREE)]);
    let begin = Instant::now();
    let results = executor.run(vec![answer(100, 0); 60]).await;
    assert!(results.iter().all(Result::is_ok));
    // Six slots, so ten rounds.
    assert_eq!(begin.elapsed(), seconds(1));
    assert_eq!(['a', 'b', 'c'].map(|peer| transport.most_in_flight(peer)), [1, 2, 3]);
    let loads: Vec<_> = executor.peers().iter().map(|load| (load.max_in_flight, load.requests)).collect();
    assert_eq!(loads, [(1, 10), (2, 20), (3, 30)]);
}

#[tokio::test(start_paused = true)]
async fn the_global_cap_bounds_all_peers_together() {
    let config = Config { max_in_flight: NonZeroUsize::new(2).unwrap(), ..config() };
    let (executor, _) = executor(config, &[('a', Depth::THREE), ('b', Depth::THREE)]);
    let begin = Instant::now();
    executor.run(vec![answer(100, 0); 10]).await;
    assert_eq!(begin.elapsed(), millis(500));
}

#[tokio::test(start_paused = true)]
async fn an_excluded_peer_is_not_asked() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE), ('b', Depth::ONE)]);
    for _ in 0..4 {
        assert_eq!(executor.execute_where(answer(10, 0), all_but(['a'])).await.unwrap().peer, 'b');
    }
    assert_eq!(transport.most_in_flight('a'), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_eligible_peer_a_request_ends_at_once() {
    let (executor, transport) = executor(config(), &[]);
    let result = executor.execute(answer(10, 0)).now_or_never().unwrap();
    assert!(matches!(result, Err(ExecuteError::NoEligiblePeer)));
    executor.add_peer('a', Depth::ONE);
    let result = executor.execute_where(answer(10, 0), all_but(['a'])).now_or_never().unwrap();
    assert!(matches!(result, Err(ExecuteError::NoEligiblePeer)));
    assert_eq!(transport.sent.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_removed_peer_finishes_what_it_has_and_gets_nothing_more() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let mut running = Box::pin(executor.execute(answer(100, 1)));
    let mut waiting = Box::pin(executor.execute(answer(100, 2)));
    assert!(futures::poll!(&mut running).is_pending() && futures::poll!(&mut waiting).is_pending());
    executor.remove_peer(&'a');
    assert!(matches!(waiting.now_or_never().unwrap(), Err(ExecuteError::NoEligiblePeer)));
    assert!(executor.peers().is_empty());
    assert_eq!(running.await.unwrap().response, 1);
    assert_eq!(transport.sent.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_peer_and_a_greater_depth_take_up_what_waits() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    let begin = Instant::now();
    let (results, ()) = tokio::join!(executor.run(vec![answer(100, 0); 6]), async {
        sleep(millis(50)).await;
        executor.add_peer('b', Depth::ONE);
        assert!(executor.set_depth(&'a', Depth::THREE));
        assert_eq!(executor.capacity(), 0);
    });
    assert!(results.iter().all(Result::is_ok));
    // One at 0 ms, three more at 50 ms, the last two at 100 ms and 150 ms.
    assert_eq!(begin.elapsed(), millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_frees_its_caller_but_not_its_slot_and_its_late_answer_counts() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE), ('b', Depth::ONE)]);
    let begin = Instant::now();
    let error = executor.execute_where(answer(4_000, 7), all_but(['b'])).await.unwrap_err();
    assert_eq!(begin.elapsed(), seconds(1));
    assert_eq!((error.peer(), error.kind()), (Some(&'a'), "soft_timeout"));
    let ExecuteError::SoftTimeout { after, late, .. } = error else { unreachable!() };
    assert_eq!(after, seconds(1));

    // The other copy goes elsewhere: the slow peer's only slot is taken until it has answered.
    assert_eq!(executor.capacity(), 1);
    let other = executor.execute(answer(10, 8)).await.unwrap();
    assert_eq!(other.peer, 'b');
    other.permit.accept();
    let mut queued = Box::pin(executor.execute_where(answer(10, 9), all_but(['b'])));
    assert!(futures::poll!(&mut queued).is_pending());

    assert_eq!(late.await.unwrap().response, 7);
    assert_eq!(begin.elapsed(), seconds(4));
    let queued = queued.await.unwrap();
    assert_eq!(queued.queued, seconds(4) - millis(1_010));
    queued.permit.accept();
    let progress = *executor.progress().borrow();
    assert_eq!((progress.succeeded, progress.failed, progress.late, progress.in_flight), (2, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_hard_limit_drops_the_transport_future_and_frees_the_slot() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let begin = Instant::now();
    let error = executor.execute(request(0, Act::Never)).await.unwrap_err();
    let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
    assert_eq!((executor.capacity(), transport.alive.load(SeqCst)), (0, 1));
    assert_eq!(late.await.unwrap_err(), LateError::HardTimeout);
    assert_eq!(begin.elapsed(), seconds(10));
    assert_eq!((executor.capacity(), transport.alive.load(SeqCst)), (1, 0));
    assert_eq!(executor.progress().borrow().late, 0);
}

#[tokio::test(start_paused = true)]
async fn late_failures_and_panics_are_reported_late() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    for (act, expected) in
        [(Act::Fail, LateError::Transport { source: Refused }), (Act::Panic, LateError::Panicked)]
    {
        let error = executor.execute(request(2_000, act)).await.unwrap_err();
        let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
        assert_eq!(late.await.unwrap_err(), expected);
    }
    assert_eq!(executor.capacity(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_equal_timeouts_there_is_no_late_answer() {
    let config = Config { hard_timeout: seconds(1), ..config() };
    let (executor, transport) = executor(config, &[('a', Depth::ONE)]);
    let error = executor.execute(request(0, Act::Never)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::HardTimeout { peer: 'a', after } if after == seconds(1)));
    assert_eq!((executor.capacity(), transport.alive.load(SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_transport_error_keeps_its_source() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    let error = executor.execute(request(5, Act::Fail)).await.unwrap_err();
    assert_eq!(error.kind(), "transport");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "refused");
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_request_and_frees_the_slot() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let acts = [Act::Panic, Act::PanicBeforeTheFirstPoll, Act::PanicWhenDropped, Act::Answer(3)];
    let results = executor.run(acts.map(|act| request(5, act)).to_vec()).await;
    let kinds: Vec<_> =
        results.iter().map(|result| result.as_ref().map_or_else(ExecuteError::kind, |_| "ok")).collect();
    assert_eq!(kinds, ["panicked", "panicked", "panicked", "ok"]);
    assert_eq!((executor.capacity(), transport.alive.load(SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_transport_future_that_panics_when_dropped_at_the_hard_limit_leaks_nothing() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    let error = executor.execute(request(60_000, Act::PanicWhenDropped)).await.unwrap_err();
    let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
    assert_eq!(late.await.unwrap_err(), LateError::Panicked);
    assert_eq!(executor.execute(answer(5, 1)).await.unwrap().response, 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_waiting_request_takes_it_back_at_once() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let running = executor.execute(answer(100, 1));
    let mut waiting = Box::pin(executor.execute(answer(100, 2)));
    let mut running = Box::pin(running);
    assert!(futures::poll!(&mut running).is_pending() && futures::poll!(&mut waiting).is_pending());
    assert_eq!(executor.progress().borrow().waiting, 1);
    drop(waiting);
    assert_eq!(executor.progress().borrow().waiting, 0);
    running.await.unwrap();
    sleep(seconds(1)).await;
    assert_eq!(transport.sent.load(SeqCst), 1);
    assert_eq!(executor.progress().borrow().cancelled, 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_sent_request_leaves_its_peer_busy_until_it_has_answered() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let mut sent = Box::pin(executor.execute(answer(500, 1)));
    assert!(futures::poll!(&mut sent).is_pending());
    drop(sent);
    assert_eq!(executor.capacity(), 0);
    let next = executor.execute(answer(10, 2)).await.unwrap();
    assert_eq!(next.queued, millis(500));
    next.permit.accept();
    assert_eq!(transport.most_in_flight('a'), 1);
    let progress = *executor.progress().borrow();
    assert_eq!((progress.succeeded, progress.failed, progress.cancelled), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_single_requests_and_not_batches() {
    let config = Config { max_waiting: 1, ..config() };
    let (executor, _) = executor(config, &[('a', Depth::ONE)]);
    let mut first = Box::pin(executor.execute(answer(100, 1)));
    let mut second = Box::pin(executor.execute(answer(100, 2)));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    let third = executor.execute(answer(100, 3)).now_or_never().unwrap();
    assert!(matches!(third, Err(ExecuteError::QueueFull { max_waiting: 1 })));
    let (first, second, batch) = tokio::join!(first, second, executor.run(vec![answer(100, 4); 200]));
    assert!(first.is_ok() && second.is_ok() && batch.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_takes_back_its_backlog() {
    let (executor, transport) = executor(config(), &[('a', Depth::TWO)]);
    let mut stream = Box::pin(executor.stream(vec![answer(100, 0); 500]));
    assert_eq!((executor.progress().borrow().waiting, transport.sent.load(SeqCst)), (500, 0));
    assert!(stream.next().await.is_some());
    drop(stream);
    sleep(seconds(1)).await;
    let progress = *executor.progress().borrow();
    assert_eq!((progress.waiting, progress.in_flight, progress.eta), (0, 0, Some(Duration::ZERO)));
    assert_eq!(executor.capacity(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_requests_and_waits_for_all_tasks() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let mut sent = Box::pin(executor.execute(request(0, Act::Never)));
    let mut waiting = Box::pin(executor.execute(answer(1, 1)));
    assert!(futures::poll!(&mut sent).is_pending() && futures::poll!(&mut waiting).is_pending());
    tokio::task::yield_now().await;
    assert_eq!(transport.alive.load(SeqCst), 1);
    executor.close().await;
    assert_eq!(transport.alive.load(SeqCst), 0);
    assert!(matches!(sent.now_or_never().unwrap(), Err(ExecuteError::Closed)));
    assert!(matches!(waiting.now_or_never().unwrap(), Err(ExecuteError::Closed)));
    assert!(matches!(executor.execute(answer(1, 1)).await, Err(ExecuteError::Closed)));
    assert!(matches!(executor.execute_where(answer(1, 1), all_but(['a'])).await, Err(ExecuteError::Closed)));
    assert_eq!(executor.run(vec![answer(1, 1)]).await[0].as_ref().unwrap_err().kind(), "closed");
    executor.close().await;
    let progress = *executor.progress().borrow();
    assert_eq!((progress.waiting, progress.in_flight, progress.failed), (0, 0, 5));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_stops_the_work() {
    let (executor, transport) = executor(config(), &[('a', Depth::ONE)]);
    let error = executor.execute(request(0, Act::Never)).await.unwrap_err();
    let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
    let clone = executor.clone();
    drop(executor);
    sleep(seconds(1)).await;
    assert_eq!(transport.alive.load(SeqCst), 1);
    drop(clone);
    assert_eq!(late.await.unwrap_err(), LateError::Closed);
    assert_eq!(transport.alive.load(SeqCst), 0);
}

#[test]
fn when_the_runtime_goes_requests_from_another_end() {
    let transport = Scripted::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Room for all: they may come before the runtime has gone.
    let config = Config { max_waiting: 2000, ..config() };
    let executor = runtime.block_on(async { Executor::new(transport.clone(), config).unwrap() });
    executor.add_peer('a', Depth::ONE);
    let other = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (kinds, going) = other.block_on(async {
        let mut requests: Vec<_> =
            (0..2000).map(|_| Box::pin(executor.execute(request(0, Act::Never)))).collect();
        for request in requests.iter_mut().take(1000) {
            assert!(futures::poll!(request).is_pending());
        }
        // Elsewhere, since it waits for the runtime's own threads.
        let going = std::thread::spawn(move || drop(runtime));
        let requests = requests.into_iter().map(|request| request.map(|r| r.unwrap_err().kind()));
        (futures::future::join_all(requests).await, going)
    });
    going.join().unwrap();
    assert_eq!(kinds, vec!["closed"; 2000]);
    assert_eq!(transport.alive.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn round_robin_gives_every_peer_its_turn() {
    let executor = Executor::with_selector(Scripted::default(), RoundRobin, config()).unwrap();
    ['a', 'b', 'c'].into_iter().for_each(|peer| executor.add_peer(peer, Depth::THREE));
    let mut peers = Vec::new();
    for _ in 0..6 {
        peers.push(executor.execute(answer(10, 0)).await.unwrap().peer);
    }
    assert_eq!(peers, ['a', 'b', 'c', 'a', 'b', 'c']);
}

#[tokio::test(start_paused = true)]
async fn the_estimate_is_within_five_percent_once_half_is_done() {
    let (executor, _) = executor(config(), &[('a', Depth::TWO), ('b', Depth::THREE), ('c', Depth::ONE)]);
    let begin = Instant::now();
    let progress = executor.progress();
    let mut stream =
        Box::pin(executor.stream((0..1200).map(|i| answer(50 + u64::from(i * 37 % 300), i)).collect()));
    let mut predicted = Vec::new();
    let mut done = 0_u32;
    while stream.next().await.is_some() {
        done += 1;
        if (600..=1000).contains(&done) {
            let eta = progress.borrow().eta.unwrap();
            predicted.push((begin.elapsed() + eta).as_secs_f64());
        }
    }
    let actual = begin.elapsed().as_secs_f64();
    let worst = predicted.iter().map(|predicted| (predicted / actual - 1.0).abs()).fold(0.0, f64::max);
    assert!(worst < 0.05, "off by {worst}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_hour_does_not_spoil_the_estimate() {
    let (executor, _) = executor(config(), &[('a', Depth::ONE)]);
    executor.run(vec![answer(100, 0); 20]).await;
    sleep(seconds(3600)).await;
    let mut stream = Box::pin(executor.stream(vec![answer(100, 0); 11]));
    assert!(stream.next().await.is_some());
    let eta = executor.progress().borrow().eta.unwrap();
    assert!(eta.abs_diff(seconds(1)) < millis(1), "{eta:?}");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_config_is_refused() {
    let config = Config { hard_timeout: millis(999), ..config() };
    assert_eq!(Executor::new(Scripted::default(), config).unwrap_err().field, "hard_timeout");
}

/// The way says nothing of the time that a service takes.
#[tokio::test(start_paused = true)]
async fn a_round_trip_does_not_shorten_the_timeout_of_a_kind_that_nobody_has_answered() {
    let config = Config { soft_timeout: seconds(60), hard_timeout: seconds(120), ..Config::default() };
    let (executor, _) = executor(config, &[('a', Depth::TWO), ('b', Depth::TWO), ('c', Depth::TWO)]);
    ['a', 'b', 'c'].iter().for_each(|peer| assert!(executor.set_rtt(peer, millis(1))));
    let results = executor.run(vec![answer(5_000, 0); 20]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}
