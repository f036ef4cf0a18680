mod model;
mod sparing;

use std::num::NonZeroUsize;

use super::*;
use crate::{Candidate, PeerSelector, Sample};

type Peer = u8;
type Job = u32;

/// The first in the order of the peers: the one selector a slow model can predict at a glance.
struct First;

impl PeerSelector<Peer> for First {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, Peer>]) -> &'c Candidate<'c, Peer> {
        &candidates[0]
    }
}

/// Every peer is a group of its own.
fn plan(max_in_flight: usize, peers: &[(Peer, Depth)]) -> Plan<Peer, Job> {
    with_config(
        Config { max_in_flight: NonZeroUsize::new(max_in_flight).unwrap(), ..Config::default() },
        peers,
    )
}

fn with_config(config: Config, peers: &[(Peer, Depth)]) -> Plan<Peer, Job> {
    let mut plan = Plan::new(config);
    peers.iter().for_each(|&(peer, depth)| plan.add_peer(peer, depth, peer.into()));
    plan
}

/// The same for all tests of a thread; tests that need another time add to it.
#[expect(clippy::disallowed_methods, reason = "only differences matter here")]
fn now() -> Instant {
    thread_local!(static START: Instant = Instant::now());
    START.with(|start| *start)
}

fn start_all(plan: &mut Plan<Peer, Job>, selector: &mut dyn PeerSelector<Peer>) -> Vec<(Job, Peer)> {
    start_slots(plan, selector, now()).into_iter().map(|start| (start.job, start.slot.peer)).collect()
}

fn start_slots(
    plan: &mut Plan<Peer, Job>,
    selector: &mut dyn PeerSelector<Peer>,
    now: Instant,
) -> Vec<Start<Peer, Job>> {
    std::iter::from_fn(|| plan.start_next(selector, now)).collect()
}

fn terms(exclude: &[Peer], bytes: u64, order: Option<u64>) -> Terms<Peer> {
    let cost = Cost { kind: "list", bytes };
    let exclude = exclude.to_vec();
    let eligible = Eligibility::new(move |peer| !exclude.contains(peer));
    Terms { eligible, cost, order, may_hedge: order.is_some() }
}

fn submit(plan: &mut Plan<Peer, Job>, job: Job, exclude: &[Peer]) -> Result<RequestId, (Refused, Job)> {
    plan.submit(job, terms(exclude, 0, None), usize::MAX, now())
}

/// An answer came and was measured so.
fn serves(plan: &mut Plan<Peer, Job>, peer: Peer, sample: &Sample) {
    plan.pool.learning_mut(&peer).unwrap().learn(sample, now());
}

/// Gives back a slot of a request that expected no bytes.
fn release(plan: &mut Plan<Peer, Job>, peer: Peer) {
    let cost = Cost { kind: "list", bytes: 0 };
    let timeouts = Timeouts::new(&Config::default(), None, None, None, Duration::ZERO, cost, 1);
    plan.release(&Slot { peer, cost, sent: now(), timeouts, awaits_admission: false });
}

#[test]
fn a_request_whose_peers_are_busy_does_not_hold_up_those_behind_it() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    for (job, exclude) in [(10, vec![]), (11, vec![2]), (12, vec![2]), (13, vec![])] {
        submit(&mut plan, job, &exclude).unwrap();
    }
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1), (13, 2)]);
    release(&mut plan, 2);
    assert!(start_all(&mut plan, &mut First).is_empty());
    release(&mut plan, 1);
    assert_eq!(start_all(&mut plan, &mut First), [(11, 1)]);
}

#[test]
fn the_global_cap_holds_when_the_peers_have_room() {
    let mut plan = plan(2, &[(1, Depth::THREE), (2, Depth::THREE)]);
    assert_eq!(plan.capacity(now()), 2);
    (0..4).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
    assert_eq!(start_all(&mut plan, &mut First).len(), 2);
    assert_eq!((plan.capacity(now()), plan.waiting(), plan.in_flight()), (0, 2, 2));
}

#[test]
fn a_request_without_an_eligible_peer_is_refused() {
    let mut plan = plan(9, &[]);
    assert_eq!(submit(&mut plan, 1, &[]), Err((Refused::NoEligiblePeer, 1)));
    plan.add_peer(5, Depth::ONE, 0);
    assert_eq!(submit(&mut plan, 2, &[5]), Err((Refused::NoEligiblePeer, 2)));
    assert!(submit(&mut plan, 3, &[4]).is_ok());
}

#[test]
fn removing_a_peer_strands_those_who_have_no_other() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    submit(&mut plan, 11, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1), (11, 2)]);
    submit(&mut plan, 12, &[2]).unwrap();
    submit(&mut plan, 13, &[]).unwrap();
    assert_eq!(plan.remove_peer(&1), [12]);
    assert_eq!(plan.remove_peer(&2), [13]);
    assert!(plan.remove_peer(&2).is_empty());
    assert_eq!(plan.in_flight(), 2);
}

#[test]
fn a_peer_that_comes_back_is_still_busy_with_what_it_had() {
    let mut plan = plan(9, &[(1, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.remove_peer(&1);
    assert!(plan.loads().is_empty());
    plan.add_peer(1, Depth::ONE, 0);
    submit(&mut plan, 11, &[]).unwrap();
    assert!(start_all(&mut plan, &mut First).is_empty());
    release(&mut plan, 1);
    assert_eq!(start_all(&mut plan, &mut First), [(11, 1)]);
}

#[test]
fn a_peer_that_does_not_come_back_is_forgotten_with_its_last_request() {
    let mut plan = plan(9, &[(1, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.remove_peer(&1);
    assert_eq!(plan.pool.len(), 1);
    release(&mut plan, 1);
    assert_eq!((plan.pool.len(), plan.in_flight()), (0, 0));
}

#[test]
fn a_full_queue_refuses_only_what_cannot_start_at_once() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    submit(&mut plan, 10, &[2]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.submit(11, terms(&[2], 0, None), 1, now()).unwrap();
    assert_eq!(plan.submit(12, terms(&[2], 0, None), 1, now()), Err((Refused::QueueFull, 12)));
    plan.submit(13, terms(&[], 0, None), 1, now()).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(13, 2)]);
}

#[test]
fn a_lowered_depth_ends_nothing_and_starts_nothing() {
    let mut plan = plan(9, &[(1, Depth::THREE)]);
    (0..4).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
    assert_eq!(start_all(&mut plan, &mut First).len(), 3);
    assert!(plan.set_depth(&1, Depth::ONE));
    assert!(!plan.set_depth(&2, Depth::ONE));
    for expected in [0, 0, 1] {
        release(&mut plan, 1);
        assert_eq!(start_all(&mut plan, &mut First).len(), expected);
    }
    let load = &plan.loads()[0];
    assert_eq!((load.in_flight, load.max_in_flight, load.requests), (1, 3, 4));
}

#[test]
fn a_choice_that_was_not_offered_is_overruled() {
    struct Stubborn;
    impl PeerSelector<Peer> for Stubborn {
        fn select<'c>(&mut self, _: &'c [Candidate<'c, Peer>]) -> &'c Candidate<'c, Peer> {
            const { &Candidate::new(&77, Depth::THREE) }
        }
    }
    let mut plan = plan(9, &[(1, Depth::ONE), (77, Depth::ONE)]);
    submit(&mut plan, 10, &[77]).unwrap();
    assert_eq!(start_all(&mut plan, &mut Stubborn), [(10, 1)]);
}

#[test]
fn requests_wait_for_bytes_in_the_order_they_came() {
    let config = Config { max_bytes: 100, ..Config::default() };
    let mut plan = with_config(config, &[(1, Depth::THREE), (2, Depth::THREE)]);
    for (job, bytes) in [(10, 60), (11, 60), (12, 30), (13, 0)] {
        plan.submit(job, terms(&[], bytes, None), 9, now()).unwrap();
    }
    // 12 would fit, but then 11 might never; 13 takes nothing away from it.
    let first = start_slots(&mut plan, &mut First, now());
    assert_eq!(first.iter().map(|start| start.job).collect::<Vec<_>>(), [10, 13]);
    assert_eq!(plan.held_bytes(), 60);
    // The answer is larger than expected, and holds its place until it has been used.
    plan.release(&first[0].slot);
    let sample = plan.arrived(&first[0].slot, 80, now());
    assert_eq!((sample.bytes, plan.held_bytes()), (80, 80));
    assert!(start_all(&mut plan, &mut First).is_empty());
    plan.give_back(80);
    assert_eq!(start_all(&mut plan, &mut First), [(11, 1), (12, 1)]);
}

#[test]
fn the_request_all_others_wait_for_does_not_wait_for_their_bytes() {
    let config = Config { max_bytes: 100, ..Config::default() };
    let mut plan = with_config(config, &[(1, Depth::THREE)]);
    plan.submit(10, terms(&[], 100, Some(7)), 9, now()).unwrap();
    assert_eq!(start_all(&mut plan, &mut First).len(), 1);
    plan.submit(11, terms(&[], 50, Some(8)), 9, now()).unwrap();
    assert!(start_all(&mut plan, &mut First).is_empty());
    plan.submit(12, terms(&[], 50, Some(3)), 9, now()).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(12, 1)]);
    assert_eq!(plan.held_bytes(), 150);
}

#[test]
fn a_peer_that_fails_at_once_does_not_attract_what_waits() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    (0..30).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
    let (mut refused, mut answered) = (0, 0);
    // Peer 1 fails each request within 1 ms, peer 2 answers after 100 ms.
    let mut busy_since = None;
    for ms in 0..1_000 {
        let now = now() + Duration::from_millis(ms);
        if busy_since.is_some_and(|since| ms - since >= 100) {
            release(&mut plan, 2);
            answered += 1;
            busy_since = None;
        }
        for start in start_slots(&mut plan, &mut crate::LeastLoaded, now) {
            if start.slot.peer == 1 {
                plan.release(&start.slot);
                plan.failed(&1, &mut crate::LeastLoaded, now);
                refused += 1;
            } else {
                busy_since = Some(ms);
            }
        }
    }
    // At 0, 100, 300 and 700 ms.
    assert_eq!((refused, answered), (4, 9));
    // With nobody else, it is asked all the same.
    plan.remove_peer(&2);
    assert_eq!(start_all(&mut plan, &mut First).len(), 1);
}

#[test]
fn the_head_of_the_line_gets_one_copy_at_a_peer_of_another_group() {
    let mut plan = with_config(Config::default(), &[(1, Depth::ONE), (2, Depth::ONE), (3, Depth::ONE)]);
    plan.add_peer(2, Depth::ONE, 1);
    for (job, order) in [(10, 5), (11, 6)] {
        plan.submit(job, terms(&[], 0, Some(order)), 9, now()).unwrap();
    }
    let started = start_slots(&mut plan, &mut First, now());
    assert_eq!(started.iter().map(|start| start.slot.peer).collect::<Vec<_>>(), [1, 2]);
    let due = now() + started[0].slot.timeouts.hedge;
    assert!(plan.hedge_next(&mut First, due - Duration::from_nanos(1)).is_none());
    // 2 would be first, and is free; but it is of the first peer's group.
    plan.release(&started[1].slot);
    plan.settle(started[1].id);
    let (id, copy) = plan.hedge_next(&mut First, due).unwrap();
    assert_eq!((id, copy.peer), (started[0].id, 3));
    for _ in 0..40 {
        plan.accepted(&2, &Sample::new("list", Duration::from_secs(1)), &mut First, now());
    }
    assert!(plan.hedge_next(&mut First, due).is_none());
}

#[test]
fn a_request_that_holds_nobody_up_is_not_hedged() {
    let mut plan = with_config(Config::default(), &[(1, Depth::ONE), (2, Depth::ONE), (3, Depth::THREE)]);
    for (job, order) in [(10, Some(5)), (11, Some(6)), (12, None)] {
        plan.submit(job, terms(&[], 0, order), 9, now()).unwrap();
    }
    let started = start_slots(&mut plan, &mut First, now());
    let due = now() + Duration::from_secs(60);
    // What is settled holds nobody up, nor is it hedged; then the next is the head.
    plan.settle(started[0].id);
    assert_eq!(plan.hedge_next(&mut First, due).unwrap().0, started[1].id);
    plan.settle(started[1].id);
    assert!(plan.hedge_next(&mut First, due).is_none());
}

#[test]
fn depth_follows_the_measurements_below_the_cap() {
    let mut plan = plan(9, &[(1, Depth::THREE)]);
    let serve = |plan: &mut Plan<Peer, Job>, ms| {
        serves(plan, 1, &Sample::new("list", Duration::from_millis(ms)));
        plan.loads()[0].adapted_depth
    };
    assert_eq!(serve(&mut plan, 10), Depth::THREE);
    assert!(plan.set_rtt(&1, Duration::from_millis(50)));
    assert!(!plan.set_rtt(&2, Duration::from_millis(50)));
    assert_eq!(serve(&mut plan, 10), Depth::THREE);
    assert_eq!(serve(&mut plan, 1_000), Depth::TWO);
    assert_eq!(plan.capacity(now()), 2);
    plan.set_depth(&1, Depth::ONE);
    assert_eq!(plan.capacity(now()), 1);
}

#[test]
fn timeouts_are_those_of_the_peer_or_of_the_pool() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    let soft = |plan: &mut Plan<Peer, Job>, exclude| {
        submit(plan, 0, &[exclude]).unwrap();
        let start = plan.start_next(&mut First, now()).unwrap();
        plan.release(&start.slot);
        start.slot.timeouts.soft
    };
    assert_eq!(soft(&mut plan, 2), Duration::from_secs(10));
    for _ in 0..60 {
        serves(&mut plan, 1, &Sample::new("list", Duration::from_secs(4)));
    }
    assert_eq!(soft(&mut plan, 2).as_secs(), 4);
    assert_eq!(soft(&mut plan, 1).as_secs(), 12);
    // Both are slow now, and so is the way to them, until somebody answers in time.
    plan.timed_out(&1);
    plan.timed_out(&2);
    assert_eq!(soft(&mut plan, 1).as_secs(), 24);
    submit(&mut plan, 0, &[]).unwrap();
    let slot = plan.start_next(&mut First, now()).unwrap().slot;
    plan.arrived(&slot, 0, now() + slot.timeouts.soft);
    assert_eq!(plan.widening.factor(), 2);
    plan.arrived(&slot, 0, now());
    assert_eq!(plan.widening.factor(), 1);
}

#[test]
fn the_expected_completion_is_the_way_what_is_to_be_done_before_and_the_work() {
    struct Expecting(Vec<Option<Duration>>);
    impl PeerSelector<Peer> for Expecting {
        fn select<'c>(&mut self, candidates: &'c [Candidate<'c, Peer>]) -> &'c Candidate<'c, Peer> {
            self.0.push(candidates[0].expected);
            &candidates[0]
        }
    }
    let ms = Duration::from_millis;
    let mut plan = plan(9, &[(1, Depth::THREE), (2, Depth::ONE)]);
    let mut selector = Expecting(Vec::new());
    let mut ask = |plan: &mut Plan<Peer, Job>, exclude| {
        submit(plan, 0, &[exclude]).unwrap();
        assert!(plan.start_next(&mut selector, now()).is_some());
        selector.0.pop().unwrap()
    };
    assert_eq!(ask(&mut plan, 2), None);
    release(&mut plan, 1);
    plan.set_rtt(&1, ms(50));
    serves(&mut plan, 1, &Sample::new("list", ms(30)));
    assert_eq!([2, 2, 2].map(|exclude| ask(&mut plan, exclude)), [80, 110, 140].map(|sum| Some(ms(sum))));
    // A newcomer does as well as the others, as far as is known.
    assert_eq!(ask(&mut plan, 1), Some(ms(30)));
}
