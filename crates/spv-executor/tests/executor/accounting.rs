//! Who gets credit for what: only an answer that was accepted is an achievement, and only the peer's failures are its own.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use parking_lot::Mutex;
use spv_executor::{Candidate, Config, Cost, Depth, ExecuteError, Executor, PeerSelector, Sample, Transport};
use tokio::time::{Instant, sleep};

use crate::support::{EXPECTED_BYTES, Scripted, all_but, answer, config};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Takes the first peer and writes down whose answers and failures it is told of.
#[derive(Clone, Default)]
struct Recording(Arc<Mutex<Vec<(&'static str, char)>>>);

impl PeerSelector<char> for Recording {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, char>]) -> &'c Candidate<'c, char> {
        &candidates[0]
    }

    fn on_completed(&mut self, peer: &char, _answer: &Sample, _now: std::time::Instant) {
        self.0.lock().push(("completed", *peer));
    }

    fn on_failed(&mut self, peer: &char, _now: std::time::Instant) {
        self.0.lock().push(("failed", *peer));
    }
}

fn executor(peers: &[char], slower: &[(char, u64)]) -> (Executor<Scripted>, Recording) {
    let transport = Scripted::default();
    transport.slower.lock().extend(slower.iter().map(|&(peer, ms)| (peer, millis(ms))));
    let selector = Recording::default();
    let executor = Executor::with_selector(transport, selector.clone(), config()).expect("valid");
    peers.iter().for_each(|peer| executor.add_peer(*peer, Depth::ONE));
    (executor, selector)
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_gives_back_its_bytes_and_says_nothing() {
    let (executor, selector) = executor(&['a', 'b'], &[]);
    executor.execute_on(&'a', answer(10, 1)).await.unwrap().permit.reject();
    selector.0.lock().clear();
    drop(executor.execute_on(&'a', answer(10, 1)).await.unwrap());
    let progress = *executor.progress().borrow();
    assert_eq!((progress.held_bytes, progress.succeeded, progress.unjudged), (0, 0, 1));
    assert!(selector.0.lock().is_empty());
    // The row of rejections goes on, and so does the rest.
    assert_eq!((executor.peers()[0].failures, executor.capacity()), (1, 1));
    executor.execute_on(&'a', answer(10, 1)).await.unwrap().permit.accept();
    assert_eq!((executor.peers()[0].failures, executor.capacity()), (0, 2));
    assert_eq!(*selector.0.lock(), [("completed", 'a')]);
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_earn_nothing() {
    let (executor, selector) = executor(&['a', 'b'], &[('a', 900)]);
    // The slower copy of a hedge.
    let won = executor.execute_in_order(answer(100, 1), |_| true, 1).await.unwrap();
    assert_eq!(won.peer, 'b');
    sleep(millis(2_000)).await;
    // An answer to a caller that has gone, before and after it came.
    for wait in [1, 2_000] {
        let mut left = Box::pin(executor.execute_on(&'a', answer(100, 1)));
        assert!(futures::poll!(&mut left).is_pending());
        sleep(millis(wait)).await;
        drop(left);
        sleep(millis(2_000)).await;
    }
    // A late answer that nobody waits for.
    drop(executor.execute_on(&'a', answer(1_000, 1)).await.unwrap_err());
    sleep(millis(2_000)).await;
    assert!(selector.0.lock().is_empty());
    won.permit.accept();
    assert_eq!(*selector.0.lock(), [("completed", 'b')]);
    let progress = *executor.progress().borrow();
    assert_eq!((progress.succeeded, progress.cancelled, progress.unjudged), (1, 1, 1));
    assert_eq!((progress.failed, progress.late, progress.held_bytes), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn answers_without_a_verdict_pay_for_no_hedge() {
    let (executor, _) = executor(&['a', 'b'], &[('a', 900)]);
    // To a peer that is not known, and so is not expected to be so slow.
    let head = async || {
        executor.remove_peer(&'a');
        executor.add_peer('a', Depth::ONE);
        executor.execute_in_order(answer(0, 1), |_| true, 1).await.unwrap().permit.accept();
        sleep(millis(1_000)).await;
        executor.progress().borrow().hedged
    };
    assert_eq!(head().await, 1);
    for _ in 0..80 {
        drop(executor.execute_on(&'b', answer(1, 1)).await.unwrap());
    }
    assert_eq!(head().await, 1);
    for _ in 0..38 {
        executor.execute_on(&'b', answer(1, 1)).await.unwrap().permit.accept();
    }
    assert_eq!(head().await, 2);
}

#[test]
fn of_liars_alone_everything_has_failed() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (executor, _) = executor(&['a', 'b'], &[('b', 1_500)]);
            for _ in 0..5 {
                executor.execute_on(&'a', answer(10, 1)).await.unwrap().permit.reject();
            }
            let error = executor.execute_on(&'b', answer(10, 1)).await.unwrap_err();
            let ExecuteError::SoftTimeout { late, .. } = error else { panic!("{error:?}") };
            late.await.unwrap().permit.reject();
            let kept = executor.execute_on(&'a', answer(10, 1)).await.unwrap();
            let progress = *executor.progress().borrow();
            assert_eq!((progress.succeeded, progress.failed, progress.unjudged), (0, 6, 1));
            kept.permit.reject();
            let progress = *executor.progress().borrow();
            assert_eq!((progress.succeeded, progress.failed, progress.unjudged), (0, 7, 0));
            assert_eq!((progress.rejected, progress.late), (7, 1));
        });
    });
    let requests = snapshotter.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let outcome = key.key().labels().map(|label| label.value().to_owned()).collect::<String>();
        match value {
            DebugValue::Counter(count) if key.key().name() == "spv_executor_requests_total" && count > 0 => {
                Some((outcome, count))
            }
            _ => None,
        }
    });
    let mut requests: Vec<_> = requests.collect();
    requests.sort();
    assert_eq!(requests, [("soft_timeout".to_owned(), 1), ("wrong_answer".to_owned(), 6)]);
}

/// Peers that answer after 100 ms, once we may send; unless the request is one of those that fail.
#[derive(Clone, Copy, Default)]
struct Ours {
    held_up: Duration,
    panics_over_rtt: bool,
    panics_over_requests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Failed {
    #[error("our own table is full")]
    Ours,
    #[error("refused")]
    Theirs,
}

/// Requests that fail.
const OURS: u32 = 0;
const THEIRS: u32 = 1;

impl Transport for Ours {
    type Peer = char;
    type Request = u32;
    type Response = u32;
    type Error = Failed;

    async fn admit(&self, _peer: &char) {
        sleep(self.held_up).await;
    }

    async fn send(&self, _peer: &char, request: u32) -> Result<u32, Failed> {
        match request {
            OURS => Err(Failed::Ours),
            THEIRS => Err(Failed::Theirs),
            _ => {
                sleep(millis(100)).await;
                Ok(request)
            }
        }
    }

    fn blames_peer(&self, error: &Failed) -> bool {
        *error == Failed::Theirs
    }

    fn cost(&self, _request: &u32) -> Cost {
        assert!(!self.panics_over_requests, "as written");
        Cost::default()
    }

    fn duplicate(&self, request: &u32) -> Option<u32> {
        assert!(!self.panics_over_requests, "as written");
        Some(*request)
    }

    fn group(&self, _peer: &char) -> u64 {
        assert!(!self.panics_over_requests, "as written");
        0
    }

    fn rtt(&self, _peer: &char) -> Option<Duration> {
        assert!(!self.panics_over_rtt, "as written");
        None
    }
}

fn ours(transport: Ours, peers: &[char]) -> (Executor<Ours>, Recording) {
    let selector = Recording::default();
    let executor = Executor::with_selector(transport, selector.clone(), config()).expect("valid");
    peers.iter().for_each(|peer| executor.add_peer(*peer, Depth::ONE));
    (executor, selector)
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_our_own_leave_to_send_is_not_the_peers_time() {
    let (executor, _) = ours(Ours { held_up: millis(15_000), ..Ours::default() }, &['a', 'b']);
    let begin = Instant::now();
    let mut asked = Box::pin(executor.execute_in_order(7, |_| true, 1));
    assert!(futures::poll!(&mut asked).is_pending());
    sleep(millis(1)).await;
    // Its slot is taken meanwhile.
    assert_eq!((executor.capacity(), executor.progress().borrow().in_flight), (1, 1));
    let answered = asked.await.unwrap();
    assert_eq!((answered.response, begin.elapsed()), (7, millis(15_100)));
    assert_eq!((answered.queued, answered.elapsed), (millis(15_000), millis(100)));
    // No copy either, which would be due half a second after it was sent.
    assert_eq!(executor.progress().borrow().hedged, 0);
    assert_eq!(executor.peers()[0].failures, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_wait_for_our_own_leave_to_send() {
    let (executor, _) = ours(Ours { held_up: Duration::from_secs(3_600), ..Ours::default() }, &['a']);
    let mut asked = Box::pin(executor.execute(7));
    assert!(futures::poll!(&mut asked).is_pending());
    sleep(millis(1)).await;
    executor.close().await;
    assert!(matches!(asked.now_or_never().unwrap(), Err(ExecuteError::Closed)));
    assert_eq!(executor.progress().borrow().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_our_own_is_none_of_the_peers() {
    let (executor, selector) = ours(Ours::default(), &['a', 'b']);
    for failed in 1..=20 {
        let error = executor.execute_on(&'a', OURS).await.unwrap_err();
        assert_eq!((error.kind(), error.peer()), ("transport", Some(&'a')));
        // The request has failed all the same.
        assert_eq!(executor.progress().borrow().failed, failed);
    }
    assert_eq!((executor.peers()[0].failures, executor.capacity()), (0, 2));
    assert!(selector.0.lock().is_empty());
    // Nor do they make losses look usual, so that the first one of the peer could be chance.
    executor.execute_on(&'a', THEIRS).await.unwrap_err();
    assert_eq!((executor.peers()[0].failures, executor.capacity()), (1, 1));
    assert_eq!(*selector.0.lock(), [("failed", 'a')]);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_over_an_answer_loses_that_answer_alone() {
    let (executor, _) = ours(Ours { panics_over_rtt: true, ..Ours::default() }, &['a']);
    for _ in 0..2 {
        let error = executor.execute(7).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Panicked { peer: 'a' }));
    }
    assert_eq!(executor.progress().borrow().in_flight, 0);
    executor.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_over_a_request_or_a_peer_counts_as_one_that_knows_nothing() {
    let (executor, _) = ours(Ours { panics_over_requests: true, ..Ours::default() }, &['a', 'b']);
    for request in 7..10 {
        let answered = executor.execute_in_order(request, |_| true, u64::from(request)).await.unwrap();
        assert_eq!(answered.response, request);
    }
    assert_eq!(executor.run(vec![7, 8, 9]).await.into_iter().filter(Result::is_ok).count(), 3);
    let progress = *executor.progress().borrow();
    assert_eq!((progress.in_flight, progress.hedged), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_panics_is_overruled() {
    struct Panics;
    impl PeerSelector<char> for Panics {
        fn select<'c>(&mut self, _: &'c [Candidate<'c, char>]) -> &'c Candidate<'c, char> {
            panic!("as written")
        }

        fn on_completed(&mut self, _peer: &char, _answer: &Sample, _now: std::time::Instant) {
            panic!("as written")
        }
    }
    let executor = Executor::with_selector(Scripted::default(), Panics, Config::default()).unwrap();
    ['a', 'b'].into_iter().for_each(|peer| executor.add_peer(peer, Depth::ONE));
    for _ in 0..3 {
        let answered = executor.execute_where(answer(10, 1), all_but(['b'])).await.unwrap();
        assert_eq!((answered.peer, answered.permit.bytes() > EXPECTED_BYTES), ('a', true));
        answered.permit.accept();
    }
    let progress = *executor.progress().borrow();
    assert_eq!((progress.succeeded, progress.in_flight, progress.held_bytes), (3, 0, 0));
}
