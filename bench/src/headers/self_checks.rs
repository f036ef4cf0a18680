use std::time::Duration;

use dashcore::network::message_blockdata::{HeadersMessage, MAX_HEADERS};

use super::bound::bounds;
use super::contestant::Asker;
use super::distance::Distance;
use super::run::{Shown, Spec};
use super::suite::Headers;
use crate::network::Net;
use crate::run::Outcome;
use crate::workload::FRAME_HEADER;

fn run(spec: &Spec<'_>) -> Outcome {
    super::run::run(spec, Shown::Headers)
}

#[test]
fn nobody_beats_the_bound_and_everybody_reaches_the_tip() {
    // Nothing, a full answer of the plain kind, and more than one of the compressed kind.
    let headers = Headers { behind: vec![0, 2_000, 9_000], nets: Net::ALL.to_vec(), peers: 5, seeds: 0..1 };
    for cell in headers.run(|_, _| {}) {
        let name = format!("{} {} {}", cell.workload, cell.net, cell.contestant);
        assert_eq!((cell.beaten_bounds, cell.wrong, cell.unfinished), (0, 0, 0), "{name}");
    }
}

#[test]
fn one_at_a_time_takes_the_sum_of_its_parts() {
    let distance = Distance::of(9_000);
    for seed in 0..3 {
        let spec = Spec { asker: Asker::InARow, distance: &distance, net: Net::N1, peers: 3, seed };
        let peer = spec.instance().peers[0].clone();
        let rate = u32::try_from(peer.bandwidth.unwrap().get()).unwrap();
        let headers = distance.missing();
        let answers = headers.chunks(MAX_HEADERS).map(|headers| {
            let bytes =
                dashcore::consensus::serialize(&HeadersMessage(headers.to_vec())).len() + FRAME_HEADER;
            peer.rtt + peer.service_time + Duration::from_secs(bytes as u64) / rate
        });
        let sum = peer.rtt * 2 + answers.sum::<Duration>();
        let makespan = run(&spec).makespan.unwrap();
        // Each of the timers on the way may be up to a millisecond late.
        let slack = Duration::from_millis(4) * 6;
        assert!(makespan >= sum && makespan <= sum + slack, "{makespan:?} for {sum:?}");
    }
}

#[test]
fn compressed_and_one_at_a_time_in_a_calm_network_is_the_bound() {
    let distance = Distance::of(9_000);
    let spec = Spec { asker: Asker::StoreFirst, distance: &distance, net: Net::N1, peers: 3, seed: 1 };
    let (makespan, bound) = (run(&spec).makespan.unwrap(), bounds(&distance, &spec.instance()).lower);
    assert!(makespan < bound + Duration::from_millis(16), "{makespan:?} for {bound:?}");
}

#[test]
fn equal_seeds_are_equal_runs() {
    let distance = Distance::of(9_000);
    let outcome = |asker| run(&Spec { asker, distance: &distance, net: Net::N4b, peers: 5, seed: 3 });
    for asker in Asker::ALL {
        let (one, other) = (outcome(asker), outcome(asker));
        assert_eq!((one.makespan, one.seen), (other.makespan, other.seen), "{asker:?}");
    }
}

#[test]
fn who_is_not_behind_needs_one_answer_that_says_so() {
    assert_eq!(Distance::of(0).answers().len(), 1);
    assert_eq!(Distance::of(2_000).answers().len(), 1);
    assert_eq!(Distance::of(9_000).answers().len(), 2);
}
