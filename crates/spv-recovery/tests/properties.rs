//! What holds for every sequence of failures.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use spv_recovery::{
    Action, Attempt, BreakerState, Config,
    FailureKind::{self, Disconnected, Internal, Invalid, NoPeer, Refused, Rejected, Timeout},
    History, Outlook, Recovery, Rng,
};

#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
fn start() -> Instant {
    Instant::now()
}

fn kind() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        4 => Just(Timeout), 4 => Just(Refused), 4 => Just(Disconnected), 4 => Just(Invalid), 4 => Just(NoPeer),
        1 => Just(Rejected), 1 => Just(Internal),
    ]
}

/// One step: whose work, asked of whom, how it ended, and how long after the step before.
type Step = (usize, u8, Option<FailureKind>, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(
        (0_usize..4, 0_u8..6, proptest::option::weighted(0.8, kind()), 0_u64..20_000),
        1..150,
    )
}

fn run(steps: &[Step], seed: u64, t0: Instant) -> Vec<String> {
    let peers: Vec<u8> = (0..6).collect();
    let mut recovery = Recovery::new(Config { max_attempts: 9, ..Config::default() }, seed).unwrap();
    let mut work: Vec<History<u8>> = vec![History::new(); 4];
    let mut now = t0;
    let mut trace = Vec::new();
    for &(job, peer, outcome, ms) in steps {
        now += Duration::from_millis(ms);
        let Some(kind) = outcome else {
            recovery.on_success(&peer, now);
            work[job] = History::new();
            continue;
        };
        let peer = (kind != NoPeer).then_some(peer);
        work[job].record(Attempt::new(peer, &kind, now).with_digest([peer.unwrap_or(0) / 3; 32]));
        let decision = recovery.on_failure(&work[job], &peers, now);
        let blocked = recovery.blocked(now);
        let tried_out = work[job].attempts() >= 9 && kind != NoPeer;
        match &decision.action {
            Action::Retry { avoid, .. } => {
                assert!(!tried_out, "a retry beyond the limit");
                assert!(kind.is_transient(), "a retry of what cannot succeed");
                assert!(avoid.len() < peers.len(), "nobody is left to ask");
            }
            Action::Alternative => panic!("this work has no alternative"),
            Action::GiveUp { reason } => {
                let early = !kind.is_transient() || reason.as_str() == "unverifiable";
                assert!(tried_out || early, "gave up early: {reason}");
                work[job] = History::new();
            }
        }
        assert!(blocked.len() <= 3, "more than half of the pool is cut off");
        trace.push(format!("{decision:?} {blocked:?} {:?}", recovery.pool_state(now)));
    }
    trace
}

proptest! {
    #[test]
    fn a_chain_always_decides_within_its_limits_and_equal_seeds_decide_equally(
        steps in steps(), seed in any::<u64>(),
    ) {
        let t0 = start();
        prop_assert_eq!(run(&steps, seed, t0), run(&steps, seed, t0));
    }

    #[test]
    fn the_outlook_is_kept_whatever_happened(
        steps in proptest::collection::vec((0_u8..4, proptest::option::weighted(0.9, kind()), 0_u64..2_000), 1..200),
        seed in any::<u64>(),
    ) {
        let peers: Vec<u8> = (0..4).collect();
        let mut recovery = Recovery::new(Config { ledger_limit: 45, ..Config::default() }, seed).unwrap();
        let mut now = start();
        for (peer, outcome, ms) in steps {
            now += Duration::from_millis(ms);
            let sent = recovery.outlook(&peers, now) == Outlook::Now && recovery.may_send(now);
            let _ = sent && recovery.allows(&peer, now);
            match outcome {
                None => recovery.on_success(&peer, now),
                Some(kind) => {
                    if kind == Refused {
                        recovery.on_refusal(&peer);
                    }
                    let mut history = History::new();
                    history.record(Attempt::new((kind != NoPeer).then_some(peer), &kind, now));
                    let _ = recovery.on_failure(&history, &peers, now);
                }
            }
            let free = |recovery: &Recovery<u8>, at| peers.iter().any(|peer| !recovery.blocked(at).contains(peer));
            match recovery.outlook(&peers, now) {
                Outlook::Now => prop_assert!(free(&recovery, now)),
                Outlook::At(at) => {
                    prop_assert!(at > now && at <= now + Duration::from_secs(300));
                    let early = at - Duration::from_nanos(1);
                    prop_assert!(recovery.outlook(&peers, early) != Outlook::Now);
                    prop_assert_eq!(recovery.outlook(&peers, at), Outlook::Now);
                    prop_assert!(free(&recovery, at));
                }
                outlook => {
                    prop_assert_eq!(outlook, Outlook::NeedsPeer);
                    prop_assert!(peers.iter().all(|peer| recovery.ledger().exhausted(peer)));
                }
            }
        }
        if let Some(wait) = recovery.outlook(&peers, now).wait(now) {
            prop_assert!(recovery.may_send(now + wait));
        }
    }

    #[test]
    fn whatever_happened_successes_close_every_breaker(steps in steps(), seed in any::<u64>()) {
        let peers: Vec<u8> = (0..6).collect();
        let mut recovery = Recovery::new(Config::default(), seed).unwrap();
        let mut now = start();
        for (_, peer, outcome, ms) in steps {
            now += Duration::from_millis(ms);
            let mut history = History::new();
            history.record(Attempt::new(peer, &outcome.unwrap_or(Timeout), now));
            let _ = recovery.on_failure(&history, &peers, now);
        }
        for peer in &peers {
            recovery.on_success(peer, now);
            prop_assert_eq!(recovery.breaker(peer, now), BreakerState::Closed);
        }
        prop_assert!(recovery.blocked(now).iter().all(|peer| recovery.ledger().exhausted(peer)));
    }
}

/// The promise for a network in which half of all answers fail: everything is done in the end, and most failures
/// are cured by the first retry or switch, within few tries.
#[test]
fn half_of_all_answers_failing_is_survived() {
    let peers: Vec<u8> = (0..5).collect();
    let kinds = [Timeout, Disconnected, Invalid];
    let (mut jobs, mut done, mut done_early, mut tries) = (0_u32, 0_u32, 0_u32, 0_u32);
    for seed in 0..20 {
        let mut recovery: Recovery<u8> = Recovery::new(Config::default(), seed).unwrap();
        let mut luck = Rng::with_seed(seed);
        let mut now = start();
        for _ in 0..100 {
            jobs += 1;
            let mut history = History::new();
            let mut avoided: Vec<u8> = Vec::new();
            loop {
                now += Duration::from_millis(100);
                let blocked = recovery.blocked(now);
                let free: Vec<_> =
                    peers.iter().filter(|peer| !avoided.contains(peer) && !blocked.contains(peer)).collect();
                let peer = luck.choice(free).copied();
                if let Some(peer) = peer.filter(|_| luck.bool()) {
                    recovery.on_success(&peer, now);
                    done += 1;
                    done_early += u32::from(history.attempts() < 5);
                    tries += history.attempts() + 1;
                    break;
                }
                let kind = peer.map_or(NoPeer, |_| kinds[luck.usize(0..3)]);
                history.record(Attempt::new(peer, &kind, now));
                match recovery.on_failure(&history, &peers, now).action {
                    Action::Retry { after, avoid, .. } => {
                        now += after;
                        avoided = avoid;
                    }
                    action => panic!("{action:?}"),
                }
            }
        }
    }
    assert_eq!(done, jobs);
    assert!(done_early * 100 > jobs * 95, "{done_early} of {jobs} within five tries");
    assert!(
        tries < jobs * 22 / 10,
        "{tries} tries for {jobs} pieces of work; two each is the least possible"
    );
}
