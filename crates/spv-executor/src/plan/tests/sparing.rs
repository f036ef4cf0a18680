//! Free peers that are left alone.

use proptest::prelude::*;

use super::serves as serves_with;
use super::*;
use crate::ExpectedCompletion;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Peers by round trip, with full depth.
fn plan_of(round_trips: &[u64]) -> Plan<Peer, Job> {
    let mut plan = Plan::new(Config { hedge_budget: 0, ..Config::default() });
    for (peer, rtt) in (0..).zip(round_trips) {
        plan.add_peer(peer, Depth::THREE, u64::from(peer));
        plan.set_rtt(&peer, ms(*rtt));
    }
    plan
}

fn serves(plan: &mut Plan<Peer, Job>, peer: Peer, service: u64) {
    serves_with(plan, peer, &Sample::new("list", ms(service)));
}

fn ask(plan: &mut Plan<Peer, Job>, requests: u32) -> Vec<Peer> {
    (0..requests).for_each(|job| assert!(submit(plan, job, &[]).is_ok()));
    start_all(plan, &mut First).into_iter().map(|(_, peer)| peer).collect()
}

#[test]
fn a_slow_peer_is_asked_only_if_the_others_could_not_do_all_before_it() {
    let mut plan = plan_of(&[20, 400]);
    serves(&mut plan, 0, 10);
    serves(&mut plan, 1, 100);
    // The first takes 30 ms, and 10 ms more for each further one: in the 500 ms that the other would take, 48.
    assert_eq!(ask(&mut plan, 40), [0, 0, 0]);
    assert!(plan.recheck_at(now()).is_some());
    plan.announce(100);
    assert_eq!(start_all(&mut plan, &mut First).len(), 3);
    assert_eq!(plan.recheck_at(now()), None);
}

#[test]
fn who_fails_or_keeps_us_waiting_is_not_counted_on() {
    for fails in [true, false] {
        let mut plan = plan_of(&[20, 400]);
        serves(&mut plan, 0, 10);
        serves(&mut plan, 1, 100);
        assert_eq!(ask(&mut plan, 6), [0, 0, 0]);
        let later = if fails {
            plan.failed(&0, &mut First, now());
            now()
        } else {
            // The oldest was due after 30 ms.
            assert!(start_slots(&mut plan, &mut First, now() + ms(60)).is_empty());
            assert_eq!(plan.recheck_at(now() + ms(60)), Some(now() + ms(60)));
            now() + ms(61)
        };
        let started = start_slots(&mut plan, &mut First, later);
        assert_eq!(started.iter().map(|start| start.slot.peer).collect::<Vec<_>>(), [1, 1, 1]);
    }
}

#[test]
fn where_nobody_is_measured_the_much_nearer_is_asked_first_and_the_others_are_not_kept_waiting_long() {
    let mut plan = plan_of(&[20, 30, 80]);
    assert_eq!(ask(&mut plan, 100), [0, 0, 0, 1, 1, 1]);
    // Its answer tells what requests take.
    serves(&mut plan, 0, 1);
    assert_eq!(start_all(&mut plan, &mut First).len(), 3);

    let mut plan = plan_of(&[20, 30, 80]);
    assert_eq!(ask(&mut plan, 100).len(), 6);
    assert!(start_slots(&mut plan, &mut First, now() + ms(40)).is_empty());
    assert_eq!(start_slots(&mut plan, &mut First, now() + ms(41)).len(), 3);
}

#[test]
fn a_peer_that_is_not_measured_may_be_as_much_slower_as_it_is_farther_away() {
    let mut plan = plan_of(&[20, 200]);
    serves(&mut plan, 0, 10);
    // It may take 200 ms and ten times 10 ms for the first; the other does 28 until then.
    assert_eq!(ask(&mut plan, 26), [0, 0, 0]);
    assert_eq!(ask(&mut plan, 9), [1]);
}

#[test]
fn a_copy_goes_to_the_quickest_and_waits_for_it() {
    let mut plan = Plan::new(Config::default());
    for (peer, rtt) in [(0, 10), (1, 50), (2, 500)] {
        plan.add_peer(peer, Depth::ONE, u64::from(peer));
        plan.set_rtt(&peer, ms(rtt));
        serves(&mut plan, peer, 10);
    }
    // So many that 1 is worthwhile.
    plan.announce(9);
    plan.submit(9, terms(&[], 0, None), 9, now()).unwrap();
    plan.submit(0, terms(&[], 0, Some(1)), 9, now()).unwrap();
    let started = start_slots(&mut plan, &mut First, now());
    let [first, head] = &started[..] else { panic!("{started:?}") };
    assert_eq!((first.slot.peer, head.slot.peer), (0, 1));
    plan.release(&first.slot);
    plan.announce(0);
    let due = now() + head.slot.timeouts.hedge;
    plan.submit(1, terms(&[], 0, None), 9, due).unwrap();
    let busy = start_slots(&mut plan, &mut First, due).remove(0);
    assert_eq!(busy.slot.peer, 0);
    assert!(plan.hedge_next(&mut First, due).is_none(), "2 is free, but 0 will have done both before");
    plan.release(&busy.slot);
    assert_eq!(plan.hedge_next(&mut First, due).map(|(_, slot)| slot.peer), Some(0));
}

/// Peers that serve one request after the other, or nothing at all.
#[derive(Clone, Debug)]
struct Server {
    rtt: u64,
    service: u64,
    answers: bool,
}

fn servers() -> impl Strategy<Value = Vec<Server>> {
    let server = (1..500_u64, 1..500_u64, prop::bool::weighted(0.8));
    let server = server.prop_map(|(rtt, service, answers)| Server { rtt, service, answers });
    prop::collection::vec(server, 1..6)
}

proptest! {
    /// Whoever is left alone, somebody is at work or will be looked for in time; so everything ends.
    #[test]
    fn there_is_always_somebody_at_work(servers in servers(), requests in 1..40_u32, seed: u64) {
        let mut plan = plan_of(&servers.iter().map(|server| server.rtt).collect::<Vec<_>>());
        let mut selector = ExpectedCompletion::new(seed);
        (0..requests).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
        let mut time = now();
        let mut flights: Vec<(Instant, Slot<Peer>)> = Vec::new();
        let mut free_at = vec![time; servers.len()];
        let mut ended = 0;
        while ended < requests {
            for start in start_slots(&mut plan, &mut selector, time) {
                let server = &servers[usize::from(start.slot.peer)];
                let free_at = &mut free_at[usize::from(start.slot.peer)];
                *free_at = (*free_at).max(time + ms(server.rtt)) + ms(server.service);
                let ends = if server.answers { *free_at } else { time + start.slot.timeouts.hard };
                flights.push((ends, start.slot));
            }
            prop_assert!(!flights.is_empty(), "{} of {requests} wait for nobody", plan.waiting());
            let next = flights.iter().map(|(at, _)| *at).min().unwrap();
            match plan.recheck_at(time) {
                // As a shell does: at once means as soon as its clock moves on.
                Some(at) if at < next => time = at + Duration::from_nanos(1),
                _ => time = next,
            }
            for (_, slot) in flights.extract_if(.., |(at, _)| *at <= time) {
                plan.release(&slot);
                if servers[usize::from(slot.peer)].answers {
                    let sample = plan.arrived(&slot, 0, time);
                    plan.accepted(&slot.peer, &sample, &mut selector, time);
                    plan.give_back(sample.bytes);
                } else {
                    plan.failed(&slot.peer, &mut selector, time);
                }
                ended += 1;
            }
        }
        prop_assert_eq!((plan.in_flight(), plan.waiting()), (0, 0));
    }
}
