//! The network as a whole: its breaker, the outlook, and judging earlier answers by a true copy.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use spv_recovery::{
    Action, Attempt, BreakerState, Config,
    FailureKind::{self, Disconnected, Internal, Invalid, NoPeer, Refused, Timeout},
    GiveUpReason, History, Outlook, Recovery, Rng,
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

fn fail(
    recovery: &mut Recovery<u8>,
    peer: impl Into<Option<u8>>,
    kind: FailureKind,
    now: Instant,
) -> Action<u8> {
    let mut history = History::new();
    history.record(Attempt::new(peer, &kind, now));
    recovery.on_failure(&history, &PEERS, now).action
}

/// Lets the whole network fail at `now`; returns until when its breaker is open.
fn cascade(recovery: &mut Recovery<u8>, now: Instant) -> Instant {
    for peer in PEERS.repeat(5) {
        let _ = fail(recovery, peer, Timeout, now);
    }
    let BreakerState::Open { until } = recovery.pool_state(now) else { panic!("open") };
    until
}

#[test]
fn a_cascade_opens_the_pool_then_probes_go_out_one_by_one_and_close_it() {
    let (mut recovery, now) = (recovery(), start());
    assert!(recovery.may_send(now) && recovery.may_send(now));
    let until = cascade(&mut recovery, now);
    assert!(!recovery.may_send(now) && !recovery.may_send(until - Duration::from_nanos(1)));
    let mut sent = 0;
    while recovery.pool_state(until) != BreakerState::Closed {
        assert!(recovery.may_send(until) && !recovery.may_send(until), "one at a time");
        sent += 1;
        recovery.on_success(&1, until);
    }
    assert_eq!(sent, 3);
    assert!(recovery.may_send(until) && recovery.may_send(until));
}

#[test]
fn where_a_peer_has_not_failed_probes_may_go_out_at_once() {
    let (mut recovery, now) = (recovery(), start());
    for peer in [1, 2].repeat(30) {
        let _ = fail(&mut recovery, peer, Invalid, now);
    }
    assert_eq!(recovery.pool_state(now), BreakerState::HalfOpen, "3 and 4 may be honest");
    assert_eq!(recovery.held_for(now), None);
    assert!(recovery.may_send(now) && !recovery.may_send(now), "one at a time");
    assert!(recovery.held_for(now).is_some());

    // The probe went to one that has failed before.
    let _ = fail(&mut recovery, 1, Invalid, now);
    assert!(recovery.may_send(now), "3 and 4 still may be honest");
    let _ = fail(&mut recovery, 3, Invalid, now);
    assert!(recovery.may_send(now), "4 still may be honest");
    let _ = fail(&mut recovery, 4, Invalid, now);
    assert!(matches!(recovery.pool_state(now), BreakerState::Open { .. }));
}

#[test]
fn a_newcomer_gets_a_probe_while_the_pool_rests() {
    let (mut recovery, now) = (recovery(), start());
    let until = cascade(&mut recovery, now);
    assert_eq!(recovery.held_for(now), Some(until - now));
    recovery.on_newcomer(now);
    assert!(recovery.may_send(now) && !recovery.may_send(now), "one at a time");
    // It is lost with whoever waited for it.
    recovery.on_given_up();
    assert!(recovery.may_send(now));
}

#[test]
fn answers_that_wait_for_their_verification_keep_losses_from_opening_the_pool() {
    let (mut recovery, now) = (recovery(), start());
    for peer in PEERS.repeat(10) {
        let _ = recovery.on_answer(&peer, now);
        let _ = fail(&mut recovery, peer, Timeout, now);
    }
    assert_eq!(recovery.pool_state(now), BreakerState::Closed);
}

#[test]
fn a_probe_that_was_refused_or_found_no_peer_is_followed_by_another() {
    let (mut recovery, now) = (recovery(), start());
    let until = cascade(&mut recovery, now);
    for (peer, kind) in [(Some(1), Refused), (None, NoPeer), (Some(1), Internal)] {
        assert!(recovery.may_send(until));
        let _ = fail(&mut recovery, peer, kind, until);
    }
    assert!(recovery.may_send(until));
}

#[test]
fn while_the_pool_is_open_no_retry_is_due() {
    let (mut recovery, now) = (recovery(), start());
    let until = cascade(&mut recovery, now);
    let Action::Retry { after, .. } = fail(&mut recovery, 1, Refused, now) else { panic!("never dropped") };
    assert!(now + after >= until);
}

#[test]
fn requests_that_one_disconnect_ended_are_one_failure_of_the_network() {
    for (kind, open) in [(Disconnected, false), (Timeout, true)] {
        let (mut recovery, now) = (recovery(), start());
        (0..50).for_each(|_| _ = fail(&mut recovery, 1, kind, now));
        assert_eq!(recovery.pool_state(now) != BreakerState::Closed, open, "{kind:?}");
        assert_eq!(recovery.statistics().failures(kind, now), if open { 50 } else { 1 });
    }
}

#[test]
fn a_refused_probe_does_not_keep_the_next_from_the_peer() {
    let (mut recovery, mut now) = (recovery(), start());
    for _ in 0..5 {
        now += SECOND;
        let _ = fail(&mut recovery, 1, Timeout, now);
    }
    let BreakerState::Open { until } = recovery.breaker(&1, now) else { panic!("open") };
    assert!(recovery.allows(&1, until) && !recovery.allows(&1, until));
    let _ = fail(&mut recovery, 1, Refused, until);
    assert!(recovery.allows(&1, until));
}

#[test]
fn the_outlook_names_the_first_instant_at_which_somebody_may_be_asked() {
    let mut recovery = Recovery::new(Config { ledger_limit: 45, ..Config::default() }, 1).unwrap();
    let mut now = start();
    assert_eq!(recovery.outlook(&[], now), Outlook::NeedsPeer);
    assert_eq!(recovery.outlook(&PEERS, now), Outlook::Now);

    for _ in 0..5 {
        now += SECOND;
        let _ = fail(&mut recovery, 1, Timeout, now);
    }
    let BreakerState::Open { until: peer_until } = recovery.breaker(&1, now) else { panic!("open") };
    assert_eq!(recovery.outlook(&[1], now), Outlook::At(peer_until));
    assert_eq!(recovery.outlook(&[1, 2], now), Outlook::Now);

    let until = cascade(&mut recovery, now);
    assert_eq!(recovery.outlook(&[2], now), Outlook::At(until));
    assert_eq!(recovery.outlook(&[1], now), Outlook::At(until.max(peer_until)));
    assert_eq!(recovery.outlook(&[2], now).wait(now), Some(until - now));

    (0..50).for_each(|_| recovery.on_refusal(&2));
    assert_eq!(recovery.outlook(&[2], until), Outlook::NeedsPeer);
    recovery.on_reconnect(&2);
    assert_eq!(recovery.outlook(&[2], until), Outlook::Now);
}

#[test]
fn giving_up_says_when_a_new_start_makes_sense() {
    let (mut recovery, now) = (recovery(), start());
    let cap = Config::default().backoff_cap;
    let exhausted = GiveUpReason::AttemptsExhausted { attempts: 20 };
    assert_eq!(recovery.after_giving_up(exhausted, &PEERS, now), Outlook::At(now + cap));
    assert_eq!(recovery.after_giving_up(exhausted, &[], now), Outlook::NeedsPeer);
    for reason in [
        GiveUpReason::Permanent { kind: Internal },
        GiveUpReason::Unverifiable { digest: [0; 32], witnesses: 2 },
    ] {
        assert_eq!(recovery.after_giving_up(reason, &PEERS, now), Outlook::Never);
        assert_eq!(Outlook::Never.wait(now), None);
    }
    // A peer whose breaker stays open beyond the longest backoff decides.
    let mut at = now;
    loop {
        let _ = fail(&mut recovery, 1, Timeout, at);
        at += SECOND;
        if let BreakerState::Open { until } = recovery.breaker(&1, at)
            && until > at + cap
        {
            let only = recovery.after_giving_up(exhausted, &[1], at);
            assert_eq!(only, recovery.outlook(&[1], at));
            break;
        }
    }
}

#[test]
fn a_true_copy_convicts_the_senders_of_other_bytes_and_clears_those_of_the_same() {
    let (mut recovery, mut now) = (recovery(), start());
    let mut history = History::new();
    for (peer, kind, digest) in [
        (1, Invalid, Some(7)),
        (2, Invalid, Some(8)),
        (3, Invalid, None),
        (4, Timeout, None),
        (5, Invalid, Some(9)),
    ] {
        now += SECOND;
        let attempt = Attempt::new(peer, &kind, now);
        history.record(match digest {
            Some(byte) => attempt.with_digest([byte; 32]),
            None => attempt,
        });
        let _ = recovery.on_failure(&history, &PEERS, now);
    }
    let pool = [1, 2, 3, 4, 5, 6];
    assert_eq!(recovery.on_verified(&history, &6, &[7; 32], &pool, now), [2, 5]);
    assert_eq!(recovery.blocked(now), [2, 5], "whoever lied is cut off at once");
    // Cleared: four more failures do not make the five that open a breaker.
    for (peer, open) in [(1, false), (3, true)] {
        for _ in 0..4 {
            now += SECOND;
            let mut other = History::new();
            other.record(Attempt::new(peer, &Timeout, now));
            let _ = recovery.on_failure(&other, &[1, 2, 3, 4, 5, 6, 7, 8], now);
        }
        assert_eq!(recovery.breaker(&peer, now) != BreakerState::Closed, open, "peer {peer}");
    }
}

#[test]
fn a_peer_that_sends_the_true_copy_in_the_end_is_no_liar() {
    let (mut recovery, now) = (recovery(), start());
    let mut history = History::new();
    history.record(Attempt::new(1, &Invalid, now).with_digest([8; 32]));
    let _ = recovery.on_failure(&history, &PEERS, now);
    assert_eq!(recovery.on_verified(&history, &1, &[7; 32], &PEERS, now), [0_u8; 0]);
    assert_eq!(recovery.breaker(&1, now), BreakerState::Closed);
}

#[test]
fn liars_are_cut_off_only_up_to_the_ceiling_but_all_are_named() {
    let (mut recovery, now) = (recovery(), start());
    let mut history = History::new();
    for peer in 1..=3 {
        history.record(Attempt::new(peer, &Invalid, now).with_digest([peer; 32]));
    }
    assert_eq!(recovery.on_verified(&history, &4, &[4; 32], &PEERS, now), [1, 2, 3]);
    assert_eq!(recovery.blocked(now), [1, 2]);
}

/// All peers are gone for a minute. The breaker keeps the number of requests in vain small, and work goes on soon
/// after the network is back.
#[test]
fn an_outage_is_sat_out_with_few_requests_and_ends_soon_after() {
    for seed in 0..20 {
        let mut recovery: Recovery<u8> = Recovery::new(Config::default(), seed).unwrap();
        let mut luck = Rng::with_seed(seed);
        let t0 = start();
        let back = t0 + 60 * SECOND;
        let (mut now, mut in_vain, mut done) = (t0, 0, 0);
        while done < 10 {
            match recovery.outlook(&PEERS, now).wait(now) {
                Some(wait) if wait.is_zero() => {}
                wait => {
                    now += wait.unwrap();
                    continue;
                }
            }
            let free: Vec<u8> =
                PEERS.into_iter().filter(|peer| recovery.blocked(now).binary_search(peer).is_err()).collect();
            let peer = luck.choice(free).unwrap();
            assert!(recovery.may_send(now) && recovery.allows(&peer, now), "the outlook was right");
            now += SECOND / 10;
            if now < back {
                in_vain += 1;
                let _ = fail(&mut recovery, peer, Timeout, now);
            } else {
                done += 1;
                recovery.on_success(&peer, now);
            }
        }
        assert!(in_vain <= 30, "{in_vain} requests in vain, seed {seed}");
        assert!(now < back + 35 * SECOND, "{:?} lost, seed {seed}", now - back);
        assert_eq!(recovery.pool_state(now), BreakerState::Closed);
    }
}
