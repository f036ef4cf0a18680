//! What has to hold for any number that the harness brings.

use std::time::Duration;

use crate::bound::bounds;
use crate::contestant::{Contestant, contestants};
use crate::network::Net;
use crate::run::{Outcome, Spec, run};
use crate::suite::Suite;
use crate::tuned::Tuned;
use crate::workload::{FRAME_HEADER, Workload};

fn everybody() -> Vec<Contestant> {
    contestants(&Tuned::frozen().unwrap())
}

fn named(name: &str) -> Contestant {
    everybody().into_iter().find(|one| one.name == name).unwrap()
}

fn outcome(name: &str, workload: Workload, net: Net, seed: u64) -> Outcome {
    run(&Spec { contestant: &named(name), workload, net, peers: 5, seed })
}

#[test]
fn nobody_beats_a_bound_nobody_accepts_a_wrong_list_and_everybody_finishes_without_faults() {
    let suite = Suite {
        contestants: &everybody(),
        workloads: vec![Workload::W1, Workload::W2],
        nets: vec![Net::N1, Net::N2, Net::N3, Net::N5, Net::N6],
        peers: 5,
        seeds: 0..1,
    };
    for cell in suite.run(|_, _| {}) {
        let name = format!("{} {} {}", cell.workload, cell.net, cell.contestant);
        assert_eq!((cell.beaten_bounds, cell.wrong), (0, 0), "{name}");
        let answers_all = ["N1", "N2"].contains(&cell.net.as_str());
        assert!(!answers_all || cell.unfinished == 0, "{name}");
    }
}

#[test]
fn whoever_follows_for_a_day_waits_while_nobody_is_there_and_goes_on() {
    // A day takes long, and all others wait as A and E do.
    for (net, contestants) in [(Net::N7, ["A", "H"]), (Net::N8, ["E", "H"])] {
        let contestants = contestants.map(named);
        let suite = Suite {
            contestants: &contestants,
            workloads: vec![Workload::W4],
            nets: vec![net],
            peers: 5,
            seeds: 0..1,
        };
        for cell in suite.run(|_, _| {}) {
            let name = format!("{} {}", cell.net, cell.contestant);
            assert_eq!((cell.beaten_bounds, cell.wrong, cell.unfinished), (0, 0, 0), "{name}");
        }
    }
}

#[test]
fn the_bound_is_at_most_what_full_knowledge_reaches() {
    for net in Net::ALL {
        for workload in [Workload::W1, Workload::W2, Workload::W4] {
            for seed in 0..3 {
                let bounds = bounds(workload, &net.instance(workload, 5, seed));
                assert!(bounds.unlimited <= bounds.lower, "{workload:?} {net:?} {seed}");
                let needs_foresight = [Net::N1, Net::N2, Net::N4a, Net::N4b].contains(&net);
                assert!(needs_foresight || bounds.without_foresight == bounds.lower, "{workload:?} {net:?}");
                assert!(bounds.lower <= bounds.oracle, "{workload:?} {net:?} {seed}: {bounds:?}");
            }
        }
    }
}

#[test]
fn one_at_a_time_takes_the_sum_of_its_parts() {
    let (workload, net) = (Workload::W1, Net::N1);
    for seed in 0..2 {
        let instance = net.instance(workload, 5, seed);
        // The peer that this contestant draws.
        let peer = &instance.peers[fastrand::Rng::with_seed(seed).usize(..5)];
        let rate = peer.bandwidth.map_or(u32::MAX, |rate| u32::try_from(rate.get()).unwrap());
        let sum: Duration = workload
            .items()
            .iter()
            .map(|item| {
                let bytes = (item.answer.len() + FRAME_HEADER) as u64;
                peer.rtt + peer.fate(&item.request, 0).service + Duration::from_secs(bytes) / rate
            })
            .sum();
        let makespan = outcome("A", workload, net, seed).makespan.unwrap();
        // Each of the timers on the way may be up to a millisecond late.
        let slack = Duration::from_millis(4) * u32::try_from(workload.items().len()).unwrap();
        assert!(makespan >= sum && makespan <= sum + slack, "{makespan:?} for {sum:?}");
    }
}

#[test]
fn the_order_of_contestants_changes_nothing() {
    let suite = |contestants: &[Contestant]| {
        let suite =
            Suite { contestants, workloads: vec![Workload::W2], nets: vec![Net::N4b], peers: 5, seeds: 0..1 };
        let mut cells = suite.run(|_, _| {});
        cells.sort_by(|a, b| a.contestant.cmp(&b.contestant));
        cells
    };
    let forwards: Vec<Contestant> =
        everybody().into_iter().filter(|one| ["C", "E", "F", "H"].contains(&one.name.as_str())).collect();
    let mut backwards = forwards.clone();
    backwards.reverse();
    assert_eq!(suite(&forwards), suite(&backwards));
}

#[test]
fn round_robin_over_equal_nodes_reaches_the_capacity_bound() {
    let (workload, net) = (Workload::W3, Net::N1);
    let makespan = outcome("C", workload, net, 1).makespan.unwrap();
    let bounds = bounds(workload, &net.instance(workload, 5, 1));
    // Off by the round that the last requests begin too late, and by the luck of service times that it does not know.
    assert!(makespan.as_secs_f64() < 1.1 * bounds.lower.as_secs_f64(), "{makespan:?} for {bounds:?}");
}

#[test]
fn luck_is_the_same_whoever_asks_first() {
    let seen = |name| outcome(name, Workload::W1, Net::N4b, 3);
    let (one, other) = (seen("C"), seen("C"));
    assert_eq!(one.seen, other.seen, "equal seeds, equal runs");
    assert!(one.requests > 60, "half of the answers are lost");
}
