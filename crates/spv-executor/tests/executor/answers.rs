//! Hedged, late and rejected answers, and the bytes they hold.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use spv_executor::{Config, Depth, ExecuteError, Executor};
use tokio::time::{Instant, sleep};

use crate::support::{ANSWER_BYTES, Act, EXPECTED_BYTES, Scripted, all_but, answer, config, request};

fn executor(config: Config, peers: &[char], slower: &[(char, u64)]) -> (Executor<Scripted>, Scripted) {
    let transport = Scripted::default();
    transport.slower.lock().extend(slower.iter().map(|&(peer, ms)| (peer, millis(ms))));
    let executor = Executor::new(transport.clone(), config).expect("the config is valid");
    peers.iter().for_each(|peer| executor.add_peer(*peer, Depth::ONE));
    (executor, transport)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_what_holds_up_the_others_goes_to_another_group_and_the_first_answer_counts() {
    let (executor, transport) = executor(config(), &['a', 'b', 'c'], &[('a', 3_000)]);
    let begin = Instant::now();
    let completed = executor.execute_in_order(answer(100, 7), |_| true, 1).await.unwrap();
    assert_eq!((completed.peer, completed.response, completed.elapsed), ('c', 7, millis(100)));
    assert_eq!(begin.elapsed(), millis(600));
    assert_eq!(transport.sent.load(SeqCst), 2);
    completed.permit.accept();
    // The slower peer is still at work, its slot taken and its bytes expected.
    let progress = *executor.progress().borrow();
    assert_eq!((progress.in_flight, progress.hedged, progress.held_bytes), (1, 1, EXPECTED_BYTES));
    assert_eq!(executor.capacity(), 2);
    sleep(millis(2_600)).await;
    let progress = *executor.progress().borrow();
    assert_eq!((progress.in_flight, progress.succeeded, progress.held_bytes), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn only_the_lowest_order_is_hedged() {
    let (executor, transport) = executor(config(), &['a', 'b', 'c'], &[('a', 700), ('b', 700)]);
    let begin = Instant::now();
    let (low, high, none) = tokio::join!(
        executor.execute_in_order(answer(100, 1), all_but(['b', 'c']), 1),
        executor.execute_in_order(answer(200, 2), all_but(['a']), 2),
        executor.execute_where(answer(0, 3), all_but(['a', 'b'])),
    );
    // `low` has nowhere to go, and `high` is late only when it is the head.
    assert_eq!((low.unwrap().peer, none.unwrap().peer), ('a', 'c'));
    assert_eq!((high.unwrap().peer, begin.elapsed()), ('b', millis(900)));
    assert_eq!(transport.sent.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_order_is_not_hedged() {
    let (executor, transport) = executor(config(), &['a', 'b'], &[('a', 700)]);
    assert_eq!(executor.execute(answer(100, 7)).await.unwrap().peer, 'a');
    assert_eq!(transport.sent.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn hedges_are_paid_for_by_answers() {
    let (executor, _) = executor(config(), &['a', 'b'], &[('a', 900)]);
    executor.execute_where(answer(1, 1), all_but(['a'])).await.unwrap().permit.accept();
    // To a peer that is not known, which is expected to be as quick as the other.
    let head = async || {
        executor.remove_peer(&'a');
        executor.add_peer('a', Depth::THREE);
        let answered = executor.execute_in_order(answer(0, 1), |_| true, 1).await.unwrap();
        answered.permit.accept();
        sleep(millis(1_000)).await;
        (answered.peer, executor.progress().borrow().hedged)
    };
    assert_eq!(head().await, ('b', 1));
    // The answers that came are a few twentieths of the first, which was lent.
    assert_eq!(head().await, ('a', 1));
    for _ in 0..38 {
        executor.execute_where(answer(1, 1), all_but(['a'])).await.unwrap().permit.accept();
    }
    assert_eq!(head().await, ('b', 2));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_one_copy_waits_for_the_other() {
    // 'a' fails after the copy was sent, which then is on its own.
    let (executor, _) = executor(config(), &['a', 'b'], &[('b', 100)]);
    let begin = Instant::now();
    let error = executor.execute_in_order(request(600, Act::Fail), |_| true, 1).await.unwrap_err();
    assert_eq!((error.peer(), error.kind(), begin.elapsed()), (Some(&'b'), "transport", millis(1_200)));
    assert_eq!(executor.progress().borrow().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_freed_when_both_copies_are_late_and_gets_whichever_comes_first() {
    let (executor, _) = executor(config(), &['a', 'b'], &[('a', 4_000)]);
    let begin = Instant::now();
    let error = executor.execute_in_order(answer(2_000, 7), |_| true, 1).await.unwrap_err();
    assert_eq!((error.peer(), begin.elapsed()), (Some(&'b'), millis(1_500)));
    let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
    let late = late.await.unwrap();
    assert_eq!((late.peer, late.elapsed, begin.elapsed()), ('b', millis(2_000), millis(2_500)));
    sleep(millis(4_000)).await;
    drop(late.permit);
    let progress = *executor.progress().borrow();
    assert_eq!((progress.failed, progress.late, progress.in_flight, progress.held_bytes), (1, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_copy_frees_the_caller_of_a_peer_past_its_soft_timeout() {
    let (executor, _) = executor(config(), &['a', 'b'], &[]);
    let mut head = Box::pin(executor.execute_in_order(request(1_200, Act::Fail), |_| true, 1));
    assert!(futures::poll!(&mut head).is_pending());
    let begin = Instant::now();
    let error = head.await.unwrap_err();
    // 'a' failed at 1.2 s; 'b', asked at 0.5 s, is freed at 1.5 s.
    assert_eq!((error.peer(), begin.elapsed()), (Some(&'b'), millis(1_500)));
    assert_eq!(error.kind(), "soft_timeout");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_during_a_hedge_leaves_nothing_behind() {
    let (executor, transport) = executor(config(), &['a', 'b'], &[('a', 700)]);
    let mut head = Box::pin(executor.execute_in_order(answer(200, 7), |_| true, 1));
    assert!(futures::poll!(&mut head).is_pending());
    sleep(millis(600)).await;
    assert_eq!(transport.alive.load(SeqCst), 2);
    drop(head);
    sleep(millis(1_000)).await;
    let progress = *executor.progress().borrow();
    assert_eq!((progress.cancelled, progress.succeeded, progress.in_flight), (1, 0, 0));
    assert_eq!((progress.held_bytes, transport.alive.load(SeqCst)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_its_bytes_until_its_permit_is_dropped() {
    let config = Config { max_bytes: EXPECTED_BYTES + ANSWER_BYTES, ..config() };
    let (executor, _) = executor(config, &['a', 'b', 'c'], &[]);
    let one = executor.execute(answer(10, 1)).await.unwrap();
    let mut others = [2, 3].map(|value| Box::pin(executor.execute(answer(10, value))));
    assert!(futures::poll!(&mut others[0]).is_pending() && futures::poll!(&mut others[1]).is_pending());
    assert_eq!((executor.progress().borrow().in_flight, executor.progress().borrow().waiting), (1, 1));
    let spv_executor::Completed { response, permit, .. } = one;
    sleep(millis(50)).await;
    assert_eq!((response, executor.progress().borrow().waiting), (1, 1));
    drop(permit);
    assert_eq!(executor.progress().borrow().waiting, 0);
    futures::future::join_all(others).await.into_iter().for_each(|result| drop(result.unwrap()));
    assert_eq!(executor.progress().borrow().held_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn answers_nobody_takes_give_back_their_bytes() {
    let (executor, _) = executor(config(), &['a'], &[]);
    let mut unread = Box::pin(executor.execute(answer(10, 1)));
    assert!(futures::poll!(&mut unread).is_pending());
    sleep(millis(50)).await;
    assert_eq!(executor.progress().borrow().held_bytes, ANSWER_BYTES);
    drop(unread);
    assert_eq!(executor.progress().borrow().held_bytes, 0);
    let late = executor.execute(answer(1_500, 1)).await.unwrap_err();
    drop(late);
    assert_eq!(executor.progress().borrow().held_bytes, EXPECTED_BYTES);
    sleep(millis(1_000)).await;
    assert_eq!(executor.progress().borrow().held_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_budget_runs_to_its_end() {
    let config = Config { max_bytes: 2 * EXPECTED_BYTES, ..config() };
    let (executor, transport) = executor(config, &['a', 'b', 'c'], &[]);
    let results = executor.run(vec![answer(10, 1); 30]).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap().permit.bytes() == 0));
    assert_eq!(executor.progress().borrow().held_bytes, 0);
    let most: usize = ['a', 'b', 'c'].map(|peer| transport.most_in_flight(peer)).iter().sum();
    assert!(most <= 3);
    drop(results);
    assert_eq!(executor.peers().iter().map(|load| load.requests).sum::<u64>(), 30);
    let taken: Vec<_> = executor.stream(vec![answer(10, 1); 30]).collect().now_or_never().unwrap_or_default();
    assert!(taken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rejected_answer_counts_against_its_peer_and_an_accepted_one_for_it() {
    let (executor, _) = executor(config(), &['a', 'b'], &[]);
    let failures = |executor: &Executor<Scripted>| executor.peers()[0].failures;
    for expected in 1..=3 {
        executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap().permit.reject();
        assert_eq!(failures(&executor), expected);
    }
    assert_eq!(executor.progress().borrow().rejected, 3);
    // 'a' rests: 'b' is asked although it is busy.
    assert_eq!(executor.capacity(), 1);
    let (one, two) = tokio::join!(executor.execute(answer(10, 1)), executor.execute(answer(10, 1)));
    assert_eq!((one.unwrap().peer, two.unwrap().peer), ('b', 'b'));
    sleep(millis(400)).await;
    assert_eq!(executor.capacity(), 2);
    executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap().permit.accept();
    assert_eq!(failures(&executor), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_busy_peer_goes_to_a_rested_one_as_soon_as_it_has_rested() {
    let (executor, _) = executor(config(), &['a', 'b'], &[]);
    let mut busy = Box::pin(executor.execute_where(request(0, Act::Never), all_but(['a'])));
    assert!(futures::poll!(&mut busy).is_pending());
    executor.execute_where(request(0, Act::Fail), all_but(['b'])).await.unwrap_err();
    let completed = executor.execute(answer(10, 1)).await.unwrap();
    assert_eq!((completed.peer, completed.queued), ('a', Config::default().rest_after_failure));
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_a_row_of_losses_when_it_comes_but_not_one_of_rejections() {
    let (executor, _) = executor(config(), &['a', 'b'], &[]);
    let failures = |executor: &Executor<Scripted>| executor.peers()[0].failures;
    for _ in 0..3 {
        executor.execute_where(request(0, Act::Fail), all_but(['b'])).await.unwrap_err();
    }
    assert_eq!((failures(&executor), executor.capacity()), (3, 1));
    let waits_for_its_base = executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap();
    assert_eq!((failures(&executor), executor.capacity()), (0, 2));
    waits_for_its_base.permit.reject();
    let another = executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap();
    assert_eq!((failures(&executor), executor.capacity()), (1, 1));
    another.permit.accept();
    assert_eq!((failures(&executor), executor.capacity()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn timeouts_follow_what_was_measured() {
    let config = Config { soft_timeout_floor: millis(50), ..Config::default() };
    let (executor, _) = executor(config, &['a'], &[]);
    for _ in 0..50 {
        assert!(executor.execute(answer(100, 1)).await.is_ok());
    }
    let error = executor.execute(request(0, Act::Never)).await.unwrap_err();
    let ExecuteError::SoftTimeout { after, .. } = error else { panic!("{error:?}") };
    assert!(after < millis(120), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_outlives_the_executor_does_not_keep_the_transport() {
    let (executor, transport) = executor(config(), &['a'], &[]);
    let kept = executor.execute(answer(10, 1)).await.unwrap();
    let sent = std::sync::Arc::downgrade(&transport.sent);
    drop(transport);
    executor.close().await;
    drop(executor);
    assert!(sent.upgrade().is_none());
    kept.permit.reject();
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_to_a_peer_of_rejected_answers_as_soon_as_it_has_rested() {
    let (executor, _) = executor(config(), &['a', 'b'], &[]);
    let rejected = executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap();
    let mut busy = Box::pin(executor.execute_where(request(0, Act::Never), all_but(['a'])));
    assert!(futures::poll!(&mut busy).is_pending());
    rejected.permit.reject();
    let completed = executor.execute(answer(10, 1)).await.unwrap();
    assert_eq!((completed.peer, completed.queued), ('a', Config::default().rest_after_failure));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_holds_nobody_up() {
    let (executor, _) = executor(config(), &['a', 'b', 'c'], &[('a', 900), ('b', 700)]);
    let mut given_up = Box::pin(executor.execute_in_order(answer(0, 1), all_but(['b', 'c']), 1));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(executor.execute_in_order(answer(0, 2), all_but(['a']), 2).await.unwrap().peer, 'c');
}
