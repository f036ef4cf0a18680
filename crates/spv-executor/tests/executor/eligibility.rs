//! Who may be asked: this peer and no other, or those of whom the caller says so at the moment of the choice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use spv_executor::{Config, Depth, ExecuteError, Executor};
use tokio::time::sleep;

use crate::support::{Act, Scripted, all_but, answer, config, request};

fn executor(peers: &[char]) -> (Executor<Scripted>, Scripted) {
    let transport = Scripted::default();
    let executor = Executor::new(transport.clone(), config()).expect("the config is valid");
    peers.iter().for_each(|peer| executor.add_peer(*peer, Depth::ONE));
    (executor, transport)
}

/// Allows those in the set, which may change.
fn among(peers: &Arc<Mutex<BTreeSet<char>>>) -> impl Fn(&char) -> bool + use<> {
    let peers = Arc::clone(peers);
    move |peer| peers.lock().contains(peer)
}

fn allowed(peers: &[char]) -> Arc<Mutex<BTreeSet<char>>> {
    Arc::new(Mutex::new(peers.iter().copied().collect()))
}

#[tokio::test(start_paused = true)]
async fn a_request_for_one_peer_waits_for_it_whoever_comes_meanwhile() {
    let (executor, _) = executor(&['a']);
    let mut busy = Box::pin(executor.execute(answer(500, 1)));
    let mut meant = Box::pin(executor.execute_on(&'a', answer(10, 2)));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut meant).is_pending());
    executor.add_peer('b', Depth::ONE);
    let answered = meant.await.unwrap();
    assert_eq!((answered.peer, answered.queued), ('a', Duration::from_millis(500)));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_one_peer_ends_when_that_is_not_there() {
    let (executor, transport) = executor(&['a', 'b']);
    let result = executor.execute_on(&'c', answer(10, 1)).now_or_never().unwrap();
    assert!(matches!(result, Err(ExecuteError::NoEligiblePeer)));
    let mut busy = Box::pin(executor.execute_on(&'a', answer(500, 1)));
    let mut waits = Box::pin(executor.execute_on(&'a', answer(10, 2)));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut waits).is_pending());
    executor.remove_peer(&'a');
    // Its connection to come is another one.
    executor.add_peer('a', Depth::TWO);
    assert!(matches!(waits.now_or_never().unwrap(), Err(ExecuteError::NoEligiblePeer)));
    assert!(busy.await.is_ok());
    assert_eq!(transport.most_in_flight('b'), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_at_rest_is_asked_when_it_is_the_one_that_was_meant() {
    let (executor, _) = executor(&['a', 'b']);
    executor.execute_on(&'a', request(0, Act::Fail)).await.unwrap_err();
    assert_eq!(executor.capacity(), 1);
    assert_eq!(executor.execute_on(&'a', answer(10, 1)).await.unwrap().queued, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_predicate_is_asked_when_the_peer_is_chosen() {
    let (executor, _) = executor(&['a', 'b']);
    let eligible = allowed(&['a']);
    let mut busy = Box::pin(executor.execute_on(&'a', request(0, Act::Never)));
    let mut waits = Box::pin(executor.execute_where(answer(10, 1), among(&eligible)));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut waits).is_pending());
    *eligible.lock() = BTreeSet::from(['b']);
    executor.recheck();
    sleep(Duration::from_millis(20)).await;
    assert_eq!(waits.now_or_never().unwrap().unwrap().peer, 'b');
}

#[tokio::test(start_paused = true)]
async fn what_may_go_to_nobody_any_more_ends_on_a_recheck() {
    let (executor, _) = executor(&['a', 'b']);
    let eligible = allowed(&['a', 'c']);
    let mut busy = Box::pin(executor.execute_on(&'a', answer(200, 1)));
    let mut waits = Box::pin(executor.execute_where(answer(10, 1), among(&eligible)));
    let mut other = Box::pin(executor.execute_on(&'a', answer(10, 2)));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut waits).is_pending());
    assert!(futures::poll!(&mut other).is_pending());
    eligible.lock().remove(&'a');
    executor.recheck();
    assert!(matches!(waits.now_or_never().unwrap(), Err(ExecuteError::NoEligiblePeer)));
    assert_eq!(other.await.unwrap().peer, 'a');
    let progress = *executor.progress().borrow();
    assert_eq!((progress.failed, progress.waiting), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_predicate_is_asked_for_the_copy_too() {
    let (executor, transport) = executor(&['a', 'b', 'c']);
    transport.slower.lock().insert('a', Duration::from_secs(3));
    let eligible = allowed(&['a', 'b', 'c']);
    let mut head = Box::pin(executor.execute_in_order(answer(100, 1), among(&eligible), 1));
    assert!(futures::poll!(&mut head).is_pending());
    sleep(Duration::from_millis(100)).await;
    // Of another group than the first, and so the one that would be chosen.
    eligible.lock().remove(&'c');
    assert_eq!(head.await.unwrap().peer, 'b');
}

#[tokio::test(start_paused = true)]
async fn a_predicate_that_panics_ends_its_own_request_alone() {
    let (executor, _) = executor(&['a']);
    let result = executor.execute_where(answer(10, 1), |_| panic!("as written")).await;
    assert!(matches!(result, Err(ExecuteError::NoEligiblePeer)));
    assert!(executor.execute(answer(10, 1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_capacity_for_some_peers_is_that_of_those_and_leaves_out_the_resting_once() {
    let (executor, _) = executor(&['a', 'b', 'c']);
    assert_eq!(executor.capacity_where(|peer| *peer != 'a'), 2);
    executor.execute_on(&'a', request(0, Act::Fail)).await.unwrap_err();
    // 'a' rests, and is not among them: that is one peer less than there are, not two.
    assert_eq!((executor.capacity(), executor.capacity_where(|peer| *peer != 'a')), (2, 2));
    assert_eq!(executor.capacity_where(|peer| *peer != 'b'), 1);
    // Where there is nobody else, who rests will do.
    assert_eq!(executor.capacity_where(|peer| *peer == 'a'), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_others_takes_no_capacity_away() {
    let (executor, _) = executor(&['a', 'b']);
    let mut busy = Box::pin(executor.execute_on(&'a', request(0, Act::Never)));
    let mut waits = Box::pin(executor.execute_on(&'a', answer(10, 1)));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut waits).is_pending());
    assert_eq!(executor.capacity_where(|peer| *peer == 'b'), 1);
    assert_eq!(executor.capacity_where(|_| true), executor.capacity());
}

/// What a predicate captures is the caller's, whose drop may call the executor.
#[tokio::test(start_paused = true)]
async fn a_predicate_is_dropped_outside_the_lock() {
    struct Calls(Executor<Scripted>);
    impl Drop for Calls {
        fn drop(&mut self) {
            let _ = self.0.capacity();
        }
    }
    let (executor, _) = executor(&['a', 'b']);
    let calls = || {
        let calls = Calls(executor.clone());
        move |peer: &char| {
            let _ = &calls;
            *peer == 'a'
        }
    };
    executor.execute_where(answer(10, 1), calls()).await.unwrap();
    executor.execute_in_order(answer(10, 1), calls(), 1).await.unwrap();
    let mut busy = Box::pin(executor.execute_in_order(answer(1_500, 1), calls(), 1));
    let mut cancelled = Box::pin(executor.execute_where(answer(10, 1), calls()));
    let mut stranded = Box::pin(executor.execute_where(answer(10, 1), calls()));
    assert!(futures::poll!(&mut busy).is_pending() && futures::poll!(&mut cancelled).is_pending());
    assert!(futures::poll!(&mut stranded).is_pending());
    drop(cancelled);
    executor.remove_peer(&'a');
    assert!(stranded.await.is_err() && busy.await.is_err());
    let nobody = executor.execute_where(answer(10, 1), calls()).await;
    assert!(matches!(nobody, Err(ExecuteError::NoEligiblePeer)));
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_in_great_number_for_many_peers_each_go_where_they_may() {
    let (executor, _) = executor(&['a', 'b', 'c', 'd']);
    let requests = (0..400_usize).map(|index| {
        let excluded = ['a', 'b', 'c', 'd'][index % 4];
        executor.execute_where(answer(10, 0), all_but([excluded])).map(move |result| (excluded, result))
    });
    for (excluded, result) in futures::future::join_all(requests).await {
        assert_ne!(result.unwrap().peer, excluded);
    }
    let config = Config::default();
    assert!(config.max_waiting > 400);
}
