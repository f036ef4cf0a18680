//! Each outcome counts once, and as what it proves to be.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use spv_recovery::{
    Action, Attempt, Blocked, BreakerState, BudgetConfig, Config, Decision,
    FailureKind::{self, Disconnected, Internal, Invalid, Refused, Timeout},
    History, Recovery, Rng,
};

const PEERS: [u8; 4] = [1, 2, 3, 4];
const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
fn start() -> Instant {
    Instant::now()
}

fn recovery() -> Recovery<u8> {
    Recovery::new(Config::default(), 1).unwrap()
}

fn failed(peer: u8, kind: FailureKind, now: Instant) -> History<u8> {
    let mut history = History::new();
    history.record(Attempt::new(peer, &kind, now));
    history
}

fn fail(recovery: &mut Recovery<u8>, peer: u8, kind: FailureKind, now: Instant) -> Decision<u8> {
    recovery.on_failure(&failed(peer, kind, now), &PEERS, now)
}

/// An answer comes, and is known to be wrong after a while.
fn lie(recovery: &mut Recovery<u8>, peer: u8, now: Instant, known_after: Duration) -> Decision<u8> {
    let answered = recovery.on_answer(&peer, now);
    let known = now + known_after;
    recovery.on_wrong_answer(answered, &failed(peer, Invalid, known), &PEERS, known)
}

#[test]
fn with_liars_alone_everything_fails() {
    let (mut recovery, mut now) = (recovery(), start());
    for lies in 1..=25 {
        let _ = lie(&mut recovery, 1 + lies % 4, now, SECOND / 10);
        now += SECOND;
    }
    assert_eq!((recovery.statistics().successes(now), recovery.statistics().failures(Invalid, now)), (0, 25));
    assert_eq!(recovery.statistics().failure_rate(now), Some(1.0));
    assert_eq!(recovery.statistics().loss_rate(now), Some(1.0));
    assert!(recovery.pool_state(now) != BreakerState::Closed, "the network as a whole brings nothing");
}

#[test]
fn a_wrong_answer_takes_back_its_own_success_and_no_other() {
    let (mut recovery, start) = (recovery(), start());
    let window = Config::default().statistics_window;
    let old = recovery.on_answer(&1, start);
    let unjudged = recovery.on_answer(&1, start);
    let now = start + 2 * window;
    (0..25).for_each(|_| recovery.on_success(&2, now));
    let _ = recovery.on_wrong_answer(old, &failed(1, Invalid, now), &PEERS, now);
    assert_eq!(recovery.statistics().successes(now), 25, "its own has left the window");
    let _ = fail(&mut recovery, 3, Invalid, now);
    assert_eq!(recovery.statistics().successes(now), 25, "an answer that never counted as one");
    let _ = recovery.on_wrong_answer(unjudged, &failed(1, Internal, now), &PEERS, now);
    assert_eq!(recovery.statistics().successes(now), 25, "our own failure to judge it proves nothing");
    let _ = lie(&mut recovery, 3, now, Duration::ZERO);
    assert_eq!((recovery.statistics().successes(now), recovery.statistics().failures(Invalid, now)), (25, 3));
}

#[test]
fn what_cannot_be_verified_is_no_success_either() {
    let (mut recovery, now, mut history) = (recovery(), start(), History::new());
    for peer in [1, 2] {
        let answered = recovery.on_answer(&peer, now);
        history.record(Attempt::new(peer, &Invalid, now).with_digest([7; 32]));
        let decision = recovery.on_wrong_answer(answered, &history, &[1, 2], now);
        assert_eq!(matches!(decision.action, Action::GiveUp { .. }), peer == 2);
    }
    assert_eq!((recovery.statistics().successes(now), recovery.statistics().failures(Invalid, now)), (0, 2));
}

#[test]
fn lies_earn_no_retries() {
    let budget = BudgetConfig { burst: 1, per_success: 2.0, floor_per_second: 1.0 };
    let mut recovery = Recovery::new(Config { budget, ..Config::default() }, 1).unwrap();
    let now = start();
    let waits: Vec<_> = (0..4)
        .map(|_| match lie(&mut recovery, 1, now, Duration::ZERO).action {
            Action::Retry { after, .. } => after.as_secs(),
            action => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(waits, [0, 1, 2, 3]);
}

#[test]
fn a_wrong_answer_is_no_success_of_the_pools_probe() {
    let (mut recovery, mut now) = (recovery(), start());
    (0..20).for_each(|i| _ = fail(&mut recovery, 1 + i % 4, Timeout, now));
    let BreakerState::Open { until } = recovery.pool_state(now) else { panic!("open") };
    now = until;
    assert!(recovery.may_send(now));
    recovery.on_success(&1, now);
    assert!(recovery.may_send(now));
    let _ = lie(&mut recovery, 2, now, Duration::ZERO);
    assert!(recovery.may_send(now));
    recovery.on_success(&1, now);
    assert_eq!(recovery.pool_state(now), BreakerState::HalfOpen, "two of three");
    assert!(recovery.may_send(now));
    recovery.on_success(&1, now);
    assert_eq!(recovery.pool_state(now), BreakerState::Closed);
}

#[test]
fn a_success_from_before_the_pool_was_cut_off_is_not_taken_from_those_after_it() {
    let (mut recovery, mut now) = (recovery(), start());
    let before = recovery.on_answer(&1, now);
    (0..20).for_each(|i| _ = fail(&mut recovery, 1 + i % 4, Timeout, now));
    let BreakerState::Open { until } = recovery.pool_state(now) else { panic!("open") };
    now = until;
    for _ in 0..2 {
        assert!(recovery.may_send(now));
        recovery.on_success(&1, now);
    }
    let _ = recovery.on_wrong_answer(before, &failed(1, Invalid, now), &PEERS, now);
    assert!(recovery.may_send(now));
    recovery.on_success(&1, now);
    assert_eq!(recovery.pool_state(now), BreakerState::Closed, "three of three");
}

/// Peer 1 with its breaker half open.
fn half_open() -> (Recovery<u8>, Instant) {
    let (mut recovery, mut now) = (recovery(), start());
    for _ in 0..5 {
        now += SECOND;
        let _ = fail(&mut recovery, 1, Timeout, now);
    }
    let Some(Blocked::Open { until }) = recovery.why_blocked(&1, now) else { panic!("open") };
    (recovery, until)
}

#[test]
fn of_two_requests_to_a_half_open_peer_the_second_finds_the_probe_under_way() {
    let (mut recovery, now) = half_open();
    let lost_at = now + Config::default().breaker.probe_timeout;
    assert_eq!(recovery.why_blocked(&1, now), None);
    recovery.on_sent(&1, now);
    assert_eq!(recovery.why_blocked(&1, now), Some(Blocked::Probing { until: lost_at }));
    assert_eq!(recovery.blocked(now), [1]);
    recovery.on_sent(&1, now + SECOND);
    assert_eq!(recovery.why_blocked(&1, now).and_then(Blocked::until), Some(lost_at), "not claimed twice");
    assert_eq!(recovery.why_blocked(&1, lost_at), None, "lost");
}

#[test]
fn every_outcome_ends_the_probe() {
    type Outcome = fn(&mut Recovery<u8>, Instant);
    let frees: [(&str, Outcome); 6] = [
        ("success", |recovery, now| recovery.on_success(&1, now)),
        ("answer", |recovery, now| _ = recovery.on_answer(&1, now)),
        ("work refused", |recovery, now| _ = fail(recovery, 1, Refused, now)),
        ("refusal", |recovery, _| recovery.on_refusal(&1)),
        ("our own failure", |recovery, now| _ = fail(recovery, 1, Internal, now)),
        ("abandoned", |recovery, _| recovery.on_abandoned(&1)),
    ];
    for (name, outcome) in frees {
        let (mut recovery, now) = half_open();
        recovery.on_sent(&1, now);
        outcome(&mut recovery, now);
        assert_eq!(recovery.why_blocked(&1, now), None, "{name}");
    }
    let (mut recovery, now) = half_open();
    recovery.on_sent(&1, now);
    let _ = fail(&mut recovery, 1, Timeout, now);
    assert!(matches!(recovery.why_blocked(&1, now), Some(Blocked::Open { .. })), "a failed probe");
}

#[test]
fn sending_to_a_peer_whose_breaker_is_closed_or_open_claims_nothing() {
    let (mut recovery, now) = (recovery(), start());
    recovery.on_sent(&1, now);
    assert_eq!(recovery.why_blocked(&1, now), None);
    let (mut recovery, until) = half_open();
    recovery.on_sent(&1, until - SECOND);
    assert_eq!(recovery.why_blocked(&1, until), None);
}

/// Two of three requests fail, each for a reason of its own, and they follow each other closely.
#[test]
fn failures_of_one_peer_that_follow_each_other_closely_all_count() {
    for (millis, says_sent) in [(1, true), (20, false)] {
        let (mut recovery, mut now) = (recovery(), start());
        for nth in 0..300 {
            if says_sent {
                recovery.on_sent(&1, now);
            }
            now += Duration::from_millis(millis);
            match nth % 3 {
                0 => recovery.on_success(&1, now),
                _ => _ = fail(&mut recovery, 1, Disconnected, now),
            }
        }
        let rate = recovery.statistics().loss_rate(now).unwrap();
        assert!((rate - 2.0 / 3.0).abs() < 0.01, "{rate} at one in {millis} ms");
    }
}

/// How long work waits for retries in all, where half of all requests fail like this for no reason of their own.
fn waits_by_bad_luck(kind: FailureKind) -> Duration {
    let mut waited = Duration::ZERO;
    for seed in 0..10 {
        let (mut recovery, mut luck): (Recovery<u8>, _) =
            (Recovery::new(Config::default(), seed).unwrap(), Rng::with_seed(seed));
        let mut now = start();
        for _ in 0..200 {
            let mut history = History::new();
            loop {
                let peer = luck.u8(1..=2);
                recovery.on_sent(&peer, now);
                now += Duration::from_millis(2);
                if luck.bool() {
                    recovery.on_success(&peer, now);
                    break;
                }
                history.record(Attempt::new(peer, &kind, now));
                let Action::Retry { after, .. } = recovery.on_failure(&history, &[1, 2], now).action else {
                    break;
                };
                waited += after;
                now += after;
            }
        }
    }
    waited
}

#[test]
fn bad_luck_costs_the_same_whatever_it_looks_like() {
    let [lost, timed_out] = [Disconnected, Timeout].map(waits_by_bad_luck);
    assert!(lost <= timed_out * 11 / 10, "{lost:?} for lost connections, {timed_out:?} for timeouts");
}

#[test]
fn each_refusal_is_charged_once_whether_work_fails_by_it_or_not() {
    let limit = 45;
    let mut recovery = Recovery::new(Config { ledger_limit: limit, ..Config::default() }, 1).unwrap();
    let mut now = start();
    for refusals in 1..=limit {
        assert_eq!(recovery.why_blocked(&1, now), None, "before refusal {refusals}");
        now += SECOND;
        recovery.on_refusal(&1);
        if refusals % 2 == 0 {
            let _ = fail(&mut recovery, 1, Refused, now);
        }
    }
    assert_eq!(recovery.why_blocked(&1, now), Some(Blocked::Exhausted));
    assert_eq!(recovery.why_blocked(&1, now).and_then(Blocked::until), None);
}
