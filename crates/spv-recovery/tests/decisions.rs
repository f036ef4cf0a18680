//! What the default chain decides, case by case.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use spv_recovery::{
    Action, Attempt, BreakerConfig, BreakerState, BudgetConfig, Config, Context, Decision,
    FailureKind::{self, Disconnected, Internal, Invalid, NoPeer, Refused, Rejected, ServerError, Timeout},
    GiveUpReason, History, Outlook, Recovery, Rng, Strategy,
};

const PEERS: [u8; 4] = [1, 2, 3, 4];

#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
fn start() -> Instant {
    Instant::now()
}

fn recovery() -> Recovery<u8> {
    Recovery::new(Config::default(), 1).unwrap()
}

/// Records the failure and asks.
fn fail(
    recovery: &mut Recovery<u8>,
    history: &mut History<u8>,
    peer: impl Into<Option<u8>>,
    kind: FailureKind,
    now: Instant,
) -> Decision<u8> {
    history.record(Attempt::new(peer, &kind, now));
    recovery.on_failure(history, &PEERS, now)
}

#[test]
fn every_failure_of_a_peer_first_goes_to_another_one_at_once() {
    for kind in [Timeout, Refused, Disconnected, Invalid, ServerError] {
        let (mut recovery, mut history) = (recovery(), History::new());
        for peer in 1..=3 {
            let decision = fail(&mut recovery, &mut history, peer, kind, start());
            let avoid = (1..=peer).collect();
            let action = Action::Retry { after: Duration::ZERO, avoid, alone: false };
            assert_eq!(decision, Decision { action, strategy: "switch_peer", attempt: u32::from(peer) });
        }
        let decision = fail(&mut recovery, &mut history, 4, kind, start());
        assert_eq!(decision.strategy, "exponential_backoff", "after {kind:?} everywhere");
    }
}

#[test]
fn two_refusals_of_work_with_an_alternative_are_enough() {
    let (mut recovery, mut history) = (recovery(), History::new().with_alternative());
    assert_eq!(fail(&mut recovery, &mut history, 1, Refused, start()).strategy, "switch_peer");
    assert_eq!(
        fail(&mut recovery, &mut history, 1, Refused, start()).strategy,
        "switch_peer",
        "the same peer"
    );
    let decision = fail(&mut recovery, &mut history, 2, Refused, start());
    assert_eq!((decision.action, decision.strategy), (Action::Alternative, "alternative"));
}

#[test]
fn one_refusal_of_work_with_an_alternative_is_enough_once_everybody_was_asked() {
    let (mut recovery, mut history) = (recovery(), History::new().with_alternative());
    for (peer, kind) in [(1, Invalid), (2, Refused), (3, Timeout)] {
        assert_eq!(fail(&mut recovery, &mut history, peer, kind, start()).strategy, "switch_peer");
    }
    assert_eq!(fail(&mut recovery, &mut history, 4, Invalid, start()).strategy, "alternative");

    let mut history = History::new().with_alternative();
    for peer in PEERS {
        assert_ne!(fail(&mut recovery, &mut history, peer, Timeout, start()).strategy, "alternative");
    }
}

#[test]
fn a_repeated_round_leaves_out_refusers_and_liars_while_others_are_left() {
    let (mut recovery, mut history) = (recovery(), History::new());
    let now = start();
    for (peer, kind) in [(1, Refused), (2, Invalid), (3, Timeout)] {
        let _ = fail(&mut recovery, &mut history, peer, kind, now);
    }
    let decision = fail(&mut recovery, &mut history, 4, Timeout, now);
    let Action::Retry { avoid, .. } = decision.action else { panic!("retry") };
    assert_eq!(avoid, [1, 2, 4]);
    let decision = fail(&mut recovery, &mut history, 3, Refused, now);
    let Action::Retry { avoid, .. } = decision.action else { panic!("retry") };
    assert_eq!(avoid, [1, 2, 3], "the only one that neither refused nor lied");
    let decision = fail(&mut recovery, &mut history, 4, Refused, now);
    let Action::Retry { avoid, .. } = decision.action else { panic!("retry") };
    assert_eq!(avoid, [4], "nobody else is left");
}

#[test]
fn the_last_peer_in_the_world_is_asked_again_after_a_wait() {
    let (mut recovery, mut history) = (recovery(), History::new());
    history.record(Attempt::new(1, &Invalid, start()));
    let decision = recovery.on_failure(&history, &[1], start());
    let Action::Retry { avoid, after, .. } = decision.action else { panic!("retry") };
    assert_eq!((avoid, decision.strategy), (vec![], "exponential_backoff"));
    assert!(!after.is_zero());
    let mut longest = after;
    for _ in 0..3 {
        history.record(Attempt::new(1, &Invalid, start()));
        let decision = recovery.on_failure(&history, &[1], start());
        let Action::Retry { after, .. } = decision.action else { panic!("retry") };
        longest = longest.max(after);
    }
    assert!(longest > Duration::from_millis(500), "it waits longer and longer: {longest:?}");
}

#[test]
fn having_no_peer_is_waited_out_and_is_no_try() {
    let (mut recovery, mut history) = (recovery(), History::new());
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let decision = fail(&mut recovery, &mut history, None, NoPeer, start());
        let Action::Retry { after, .. } = decision.action else { panic!("an outage is no reason to stop") };
        assert_eq!(decision.attempt, 0);
        longest = longest.max(after);
    }
    assert!(longest > Duration::from_secs(10), "it waits longer and longer");
}

#[test]
fn our_own_failures_are_not_retried_and_say_so() {
    for kind in [Rejected, Internal] {
        let (mut recovery, mut history) = (recovery(), History::new());
        let decision = fail(&mut recovery, &mut history, 1, kind, start());
        assert_eq!(decision.action, Action::GiveUp { reason: GiveUpReason::Permanent { kind } });
        let mut history = History::new().with_alternative();
        let decision = fail(&mut recovery, &mut history, 1, kind, start());
        assert_eq!(decision.action, Action::Alternative);
    }
}

#[test]
fn giving_up_comes_after_the_last_try_and_carries_its_reason() {
    let (mut recovery, mut history) = (recovery(), History::new());
    let mut now = start();
    for attempt in 1..20 {
        now += Duration::from_secs(60);
        let decision = fail(&mut recovery, &mut history, 1, Timeout, now);
        assert!(matches!(decision.action, Action::Retry { .. }), "try {attempt}");
    }
    let decision = fail(&mut recovery, &mut history, 1, Timeout, now);
    let reason = GiveUpReason::AttemptsExhausted { attempts: 20 };
    assert_eq!(decision, Decision { action: Action::GiveUp { reason }, strategy: "give_up", attempt: 20 });
    assert_eq!(reason.to_string(), "failed 20 times");
}

#[test]
fn the_same_bytes_from_two_networks_are_nobodys_fault_once_everybody_was_asked() {
    let config =
        Config { breaker: BreakerConfig { failures: 2, ..BreakerConfig::default() }, ..Config::default() };
    let mut recovery = Recovery::new(config, 1).unwrap();
    let mut history = History::new().with_alternative();
    let mut now = start();
    let mut answer = |recovery: &mut Recovery<u8>, peer: u8, digest: u8, group: u64| {
        now += Duration::from_secs(1);
        history.record(Attempt::new(peer, &Invalid, now).with_digest([digest; 32]).in_group(group));
        (recovery.on_failure(&history, &PEERS, now).action, now)
    };
    for (peer, digest, group) in [(1, 7, 10), (2, 7, 20), (3, 8, 30)] {
        let (action, _) = answer(&mut recovery, peer, digest, group);
        assert!(matches!(action, Action::Retry { .. }), "after peer {peer} another one may have a true copy");
    }
    let (action, now) = answer(&mut recovery, 4, 9, 40);
    let reason = GiveUpReason::Unverifiable { digest: [7; 32], witnesses: 2 };
    assert_eq!(action, Action::GiveUp { reason });
    // Blame would have been the second failure in a row, which opens the breaker.
    for peer in [1, 2] {
        let mut other = History::new();
        let _ = fail(&mut recovery, &mut other, peer, Timeout, now + Duration::from_secs(1));
        assert_eq!(
            recovery.breaker(&peer, now + Duration::from_secs(1)),
            BreakerState::Closed,
            "peer {peer}"
        );
    }
    let mut other = History::new();
    let _ = fail(&mut recovery, &mut other, 3, Timeout, now + Duration::from_secs(1));
    assert_eq!(recovery.blocked(now + Duration::from_secs(1)), [3], "whose copy was its own");
}

#[test]
fn work_runs_alone_only_when_the_whole_network_fails() {
    for (successes, expected) in [(0, true), (100, false)] {
        let (mut recovery, mut history) = (recovery(), History::new());
        for _ in 0..successes {
            recovery.on_success(&1, start());
        }
        for _ in 0..30 {
            let _ = fail(&mut recovery, &mut History::new(), 1, Timeout, start());
        }
        let mut alone_from = None;
        for attempt in 1..20 {
            let decision = fail(&mut recovery, &mut history, 1 + attempt % 4, Timeout, start());
            if matches!(decision.action, Action::Retry { alone: true, .. }) {
                assert_eq!(decision.strategy, "sequential_fallback");
                alone_from = alone_from.or(Some(attempt));
            }
        }
        assert_eq!(alone_from, expected.then_some(6));
    }
}

#[test]
fn a_used_up_budget_delays_retries_but_drops_none() {
    let budget = BudgetConfig { burst: 3, per_success: 1.0, floor_per_second: 2.0 };
    let mut recovery = Recovery::new(Config { budget, ..Config::default() }, 1).unwrap();
    let now = start();
    let delay = |recovery: &mut Recovery<u8>| {
        let Action::Retry { after, .. } = fail(recovery, &mut History::new(), 1, Refused, now).action else {
            panic!("never dropped")
        };
        after.as_millis()
    };
    let delays: Vec<_> = (0..6).map(|_| delay(&mut recovery)).collect();
    assert_eq!(delays, [0, 0, 0, 500, 1000, 1500]);
    for _ in 0..4 {
        recovery.on_success(&2, now);
    }
    assert_eq!(delay(&mut recovery), 0, "successes paid the debt");
}

#[test]
fn answers_pay_for_retries_when_they_come_and_an_outage_costs_none() {
    let budget = BudgetConfig { burst: 1, per_success: 1.0, floor_per_second: 1.0 };
    let mut recovery = Recovery::new(Config { budget, ..Config::default() }, 1).unwrap();
    let now = start();
    let switch = |recovery: &mut Recovery<u8>| {
        let action = fail(recovery, &mut History::new(), 1, Refused, now).action;
        let Action::Retry { after, .. } = action else { panic!("never dropped") };
        after
    };
    for _ in 0..20 {
        let _ = fail(&mut recovery, &mut History::new(), None, NoPeer, now);
    }
    assert_eq!(switch(&mut recovery), Duration::ZERO, "nobody was asked, so nothing was retried");
    assert_eq!(switch(&mut recovery), Duration::from_secs(1));
    let _ = (recovery.on_answer(&2, now), recovery.on_answer(&2, now));
    assert_eq!(switch(&mut recovery), Duration::ZERO, "an answer that waits for its base is one");
}

#[test]
fn what_chance_explains_is_retried_at_once_and_only_that() {
    // Answers to other work for each that is lost; tries that chance explains.
    for (answers, explained) in [(2, 6), (3, 4), (19, 2), (199, 1), (0, 0)] {
        let budget = BudgetConfig { burst: 1_000_000, ..BudgetConfig::default() };
        let config = Config { budget, ..Config::default() };
        let mut recovery = Recovery::new(config, 1).unwrap();
        let mut history = History::new();
        for _ in 0..2_000 {
            (0..answers).for_each(|_| _ = recovery.on_answer(&1, start()));
            let _ = fail(&mut recovery, &mut History::new(), 1, Refused, start());
        }
        for attempt in 1..20 {
            let peer = PEERS[attempt % PEERS.len()];
            let action = fail(&mut recovery, &mut history, peer, Refused, start()).action;
            let Action::Retry { after, .. } = action else { panic!("a try is left") };
            let at_once = attempt < 4 || attempt <= explained;
            assert_eq!(after.is_zero(), at_once, "try {attempt}, {answers} answers for each loss");
        }
    }
}

#[test]
fn a_failing_peer_is_blocked_then_probed_then_back() {
    let mut recovery = recovery();
    let mut now = start();
    for _ in 0..5 {
        now += Duration::from_secs(1);
        let _ = fail(&mut recovery, &mut History::new(), 1, Disconnected, now);
    }
    assert_eq!(recovery.blocked(now), [1]);
    assert!(!recovery.allows(&1, now) && recovery.allows(&2, now));
    let BreakerState::Open { until } = recovery.breaker(&1, now) else { panic!("open") };
    assert_eq!(recovery.blocked(until), [0_u8; 0]);
    assert!(recovery.allows(&1, until) && !recovery.allows(&1, until), "one probe");
    assert_eq!(recovery.blocked(until), [1]);
    recovery.on_success(&1, until);
    assert!(recovery.allows(&1, until) && recovery.allows(&1, until));
}

#[test]
fn a_blocked_peer_is_no_reason_to_switch() {
    let mut recovery = recovery();
    let mut now = start();
    for _ in 0..5 {
        now += Duration::from_secs(1);
        let _ = fail(&mut recovery, &mut History::new(), 2, Disconnected, now);
    }
    let mut history = History::new();
    history.record(Attempt::new(1, &Timeout, now));
    assert_eq!(recovery.on_failure(&history, &[1, 2], now).strategy, "exponential_backoff");
    assert_eq!(recovery.on_failure(&history, &[1, 2, 3], now).strategy, "switch_peer");
}

#[test]
fn refusals_exhaust_a_peer_for_the_connection_and_open_no_breaker() {
    let mut recovery = Recovery::new(Config { ledger_limit: 45, ..Config::default() }, 1).unwrap();
    let mut now = start();
    for refusals in 1..=45 {
        assert!(recovery.allows(&1, now), "before refusal {refusals}");
        now += Duration::from_secs(1);
        recovery.on_refusal(&1);
        let _ = fail(&mut recovery, &mut History::new(), 1, Refused, now);
    }
    assert_eq!((recovery.blocked(now), recovery.breaker(&1, now)), (vec![1], BreakerState::Closed));
    assert!(!recovery.allows(&1, now + Duration::from_secs(1_000_000)));
    recovery.on_reconnect(&1);
    assert!(recovery.allows(&1, now));
}

#[test]
fn a_program_that_never_reconnects_is_not_stopped_by_refusals() {
    let mut recovery = recovery();
    let now = start();
    for _ in 0..10_000 {
        assert_eq!(recovery.why_blocked(&1, now), None);
        recovery.on_refusal(&1);
    }
    assert_eq!(recovery.outlook(&[1], now), Outlook::Now);
}

#[test]
fn own_strategies_go_first_and_an_empty_chain_still_retries() {
    struct Never;
    impl Strategy<u8> for Never {
        fn name(&self) -> &'static str {
            "never"
        }
        fn decide(&self, context: &Context<'_, u8>, _: &mut Rng) -> Option<Action<u8>> {
            let reason = GiveUpReason::Permanent { kind: context.kind };
            (context.kind == Invalid).then_some(Action::GiveUp { reason })
        }
    }
    let mut recovery = Recovery::with_strategies(Config::default(), 1, vec![Box::new(Never)]).unwrap();
    let mut history = History::new();
    let decision = fail(&mut recovery, &mut history, 1, Timeout, start());
    let after = Duration::from_secs(30);
    assert_eq!(decision.action, Action::Retry { after, avoid: vec![1], alone: false });
    assert_eq!(decision.strategy, "last_resort");
    let decision = fail(&mut recovery, &mut history, 1, Invalid, start());
    assert_eq!(decision.strategy, "never");
}

#[test]
fn a_strategy_that_panics_does_not_apply() {
    struct Panics;
    impl Strategy<u8> for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn decide(&self, _: &Context<'_, u8>, _: &mut Rng) -> Option<Action<u8>> {
            panic!("as written")
        }
    }
    struct Falls;
    impl Strategy<u8> for Falls {
        fn name(&self) -> &'static str {
            "falls"
        }
        fn decide(&self, _: &Context<'_, u8>, _: &mut Rng) -> Option<Action<u8>> {
            Some(Action::Alternative)
        }
    }
    for (strategies, expected) in [
        (vec![Box::new(Panics) as Box<dyn Strategy<u8>>, Box::new(Falls)], "falls"),
        (vec![Box::new(Panics)], "last_resort"),
    ] {
        let mut recovery = Recovery::with_strategies(Config::default(), 1, strategies).unwrap();
        let mut history = History::new();
        assert_eq!(fail(&mut recovery, &mut history, 1, Timeout, start()).strategy, expected);
    }
}
