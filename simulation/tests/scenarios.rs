//! A few fixed seeds of every scenario; `cargo xtask sim` runs more.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use simulation::{Failure, Run, SCENARIOS, run, scenario};
use spv_integration::sync::EndState;

/// Seeds per scenario here.
const SEEDS: u64 = 15;

fn first_failure(name: &str) -> Option<(u64, Failure)> {
    let scenario = scenario(name).unwrap();
    (0..SEEDS).find_map(|seed| run(scenario, seed).err().map(|failure| (seed, failure)))
}

macro_rules! scenarios {
    ($($test:ident: $name:literal;)+) => {
        $(
            #[test]
            fn $test() {
                assert_eq!(first_failure($name), None);
            }
        )+

        #[test]
        fn every_scenario_is_tested() {
            let tested = [$($name),+];
            assert!(SCENARIOS.iter().map(|scenario| scenario.name).eq(tested));
        }
    };
}

scenarios! {
    equal_nodes: "equal";
    uneven_nodes: "uneven";
    one_refuser: "refuser";
    one_silent_node: "silent";
    a_third_of_all_answers_fails: "third-fails";
    half_of_all_answers_fail: "half-fails";
    swallowed_requests: "stalls";
    late_answers: "late";
    two_of_five_lie: "two-lie";
    a_mobile_network: "mobile";
    old_nodes: "old-nodes";
    a_cascade_of_failures: "cascade";
    an_outage_of_all_nodes: "outage";
    churn: "churn";
    only_one_node_is_left: "last-one";
    a_flapping_node: "flapping";
    nobody_serves_anything: "all-refuse";
}

#[test]
fn equal_seeds_give_equal_traces_and_others_do_not() {
    for name in ["half-fails", "churn", "mobile"] {
        let scenario = scenario(name).unwrap();
        let [first, again, other] = [7, 7, 8].map(|seed| run(scenario, seed).unwrap());
        let seen = |run: &Run| (run.trace, run.makespan, run.summary.requests, run.summary.bytes);
        assert_eq!(seen(&first), seen(&again), "{name}");
        assert_ne!(first.trace, other.trace, "{name}");
    }
}

#[test]
fn no_run_beats_the_lower_bound() {
    for name in ["equal", "uneven", "refuser"] {
        for seed in 0..SEEDS {
            let Run { makespan, bound, .. } = run(scenario(name).unwrap(), seed).unwrap();
            assert!(makespan >= bound.unwrap(), "{name} {seed}");
        }
    }
}

#[test]
fn a_refusal_is_known_after_one_round_trip_and_the_nodes_own_time() {
    let run = run(scenario("refuser").unwrap(), 1).unwrap();
    assert_eq!(run.summary.state, EndState::Synced);
    let refuser = &run.summary.peers[0];
    // Three requests at most wait for each other at 10 ms each; the round trip is 100 ms.
    assert!(refuser.refused > 0 && refuser.timeouts == 0);
    assert!(refuser.slowest_refusal_ms.unwrap() <= 100.0 + 3.0 * 10.0 + 1.0);
}
