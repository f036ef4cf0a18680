//! Peers that fail: whatever they do, the same state is reached as long as some answers are good.

use std::time::Duration;

use crate::support::final_state::cycles_and_tip;
use crate::support::{
    DataDir, PeerStatsExt as _, all_faulty, faulty, generated_world, honest, reference, slow,
};

/// Syncs from peers that all have these faults, for several seeds.
async fn survives(faults: &str) {
    let world = generated_world();
    let expected = reference(&world);
    for seed in 1..=3 {
        let data = DataDir::impatient();
        let ended = data.sync_in_virtual_time(&world, all_faulty(4, faults, seed), 1).await;
        let summary = &ended.summary;
        assert_eq!(summary.state.as_str(), "Synced", "seed {seed}: {summary:?}");
        assert_eq!(summary.lists.verified, cycles_and_tip(&world).len() as u64, "seed {seed}");
        assert!(ended.stats.total_faults() > 0, "seed {seed}: nothing went wrong");
        for peer in &ended.stats {
            assert!(peer.max_in_flight <= 3 && peer.banned == 0, "seed {seed}: {peer:?}");
        }
        let state = data.final_state(&world);
        if faults.contains("corrupt") {
            state.assert_proven_like(&expected)
        } else {
            assert_eq!(state, expected)
        }
    }
}

const EVERYTHING: &str =
    "disconnect=0.05,refuse=0.1,drop=0.1,wrong=0.1,corrupt=0.1,bad-checksum=0.1,delay=0.1:10ms,late=0.1:10ms";

macro_rules! survives {
    ($($name:ident: $faults:expr;)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            survives($faults).await;
        }
    )+};
}

survives! {
    half_of_the_checksums_do_not_fit: "bad-checksum=0.5";
    half_of_the_answers_are_corrupt: "corrupt=0.5";
    half_of_the_answers_are_dropped: "drop=0.5";
    half_of_the_requests_are_refused: "refuse=0.5";
    half_of_the_answers_belong_to_other_requests: "wrong=0.5";
    half_of_the_requests_end_the_connection: "disconnect=0.5";
    half_of_the_answers_are_slow: "delay=0.5:20ms";
    half_of_the_answers_come_after_their_pong: "late=0.5:20ms";
    answers_and_pongs_are_missing: "stall=every:3";
    everything_goes_wrong_at_once: EVERYTHING;
    headers_fail_too: "headers,drop=0.3,bad-checksum=0.3,disconnect=0.1";
}

/// None of these needs a timeout to be noticed, so a busy machine changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_wrong_at_once_on_real_sockets() {
    let world = generated_world();
    let expected = reference(&world);
    for seed in 1..=3 {
        let data = DataDir::new();
        let ended = data.sync(&world, all_faulty(4, EVERYTHING, seed), 1).await;
        assert_eq!(ended.summary.state.as_str(), "Synced", "seed {seed}: {:?}", ended.summary);
        data.final_state(&world).assert_proven_like(&expected);
    }
}

/// A slow peer's answer that comes after the soft timeout is used, or counted as wasted, but not lost track of.
#[tokio::test(start_paused = true)]
async fn answers_after_the_soft_timeout_are_used() {
    let world = generated_world();
    let expected = reference(&world);
    let mut data = DataDir::impatient();
    data.settings.executor.soft_timeout = Duration::from_millis(100);
    data.settings.executor.hard_timeout = Duration::from_secs(5);
    let ended = data.sync_in_virtual_time(&world, all_faulty(2, "delay=1:150ms", 1), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
    assert!(ended.summary.requests.late > 0, "{:?}", ended.summary.requests);
    assert_eq!(data.final_state(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_always_corrupt_is_left_alone_and_named() {
    let world = generated_world();
    let expected = reference(&world);
    for seed in 1..=8 {
        let data = DataDir::impatient();
        // One other peer alone, so that the liar has much to answer: not every bit that is flipped makes an answer wrong.
        let peers = honest(1).into_iter().chain([faulty("corrupt=1", seed)]).map(slow).collect();
        let ended = data.sync_in_virtual_time(&world, peers, 1).await;
        assert_eq!(ended.summary.state.as_str(), "Synced", "seed {seed}: {:?}", ended.summary);
        let liar = ended.summary.peers.iter().find(|peer| peer.address == ended.stats[1].address).unwrap();
        assert!(
            liar.invalid > 0 && liar.remark.as_ref().is_some_and(|remark| remark.contains("wrong")),
            "seed {seed}: {liar:?}"
        );
        data.final_state(&world).assert_proven_like(&expected);
    }
}

/// The only peer answers after its pongs, so requests to it are told apart by content alone, and then lets one wait
/// beyond the soft timeout: its repeat cannot be told from it while it is in flight.
#[tokio::test(start_paused = true)]
async fn repeats_to_the_only_peer_wait_for_what_is_in_flight() {
    let world = generated_world();
    let expected = reference(&world);
    let mut data = DataDir::impatient();
    data.settings.executor.soft_timeout = Duration::from_millis(100);
    data.settings.executor.hard_timeout = Duration::from_secs(5);
    let ended =
        data.sync_in_virtual_time(&world, vec![faulty("late=every:3:10ms,delay=every:7:300ms", 1)], 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
    assert_eq!(data.final_state(&world), expected);
}

/// Only time tells of what is lost or refused, then.
#[tokio::test(start_paused = true)]
async fn without_fences_the_same_state_is_reached() {
    let world = generated_world();
    let expected = reference(&world);
    let mut data = DataDir::impatient();
    data.settings.correlation.fences = false;
    let ended = data
        .sync_in_virtual_time(
            &world,
            all_faulty(4, "headers,drop=0.1,refuse=0.1,wrong=0.1,late=0.2:10ms", 1),
            1,
        )
        .await;
    assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
    assert_eq!(ended.summary.requests.refused, 0, "{:?}", ended.summary.requests);
    assert_eq!(data.final_state(&world), expected);
}
