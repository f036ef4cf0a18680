use proptest::prelude::*;

use super::*;

mod honest_peer;
mod mixed_peer;
mod wild_peer;

/// Asks for a message that says `echo`.
#[derive(Clone, Debug, PartialEq)]
struct Ask {
    echo: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Say {
    Echo(u8),
    /// Sent unasked as well.
    Announce(u8),
}

impl Expectation for Ask {
    type Response = Say;
    type Content = Say;
    type Key = u8;

    fn content(response: &Say) -> Say {
        *response
    }

    fn accepts(&self, content: &Say) -> bool {
        let (Say::Echo(echo) | Say::Announce(echo)) = *content;
        self.echo == echo
    }

    fn key(&self) -> u8 {
        self.echo
    }

    fn may_come_unasked(content: &Say) -> bool {
        matches!(content, Say::Announce(_))
    }
}

#[expect(clippy::disallowed_methods, reason = "a base for times; nothing reads it again")]
fn base() -> Instant {
    Instant::now()
}

fn table() -> PendingTable<Ask> {
    PendingTable::new(&Config::default(), 7).unwrap()
}

/// A table in which a peer has answered behind a fence, so that only content decides.
fn unfenced_table(now: Instant) -> PendingTable<Ask> {
    let mut table = table();
    let first = table.register(Ask { echo: u8::MAX }, now).unwrap();
    assert_eq!(table.on_fence(first.fence, now), FenceVerdict::Refused(first.id));
    assert_eq!(table.on_response(&Say::Echo(u8::MAX), now), Verdict::Late(first.id));
    assert!(!table.is_fenced());
    table
}

fn ask<const N: usize>(table: &mut PendingTable<Ask>, echoes: [u8; N], now: Instant) -> [Registration; N] {
    echoes.map(|echo| table.register(Ask { echo }, now).unwrap())
}

#[test]
fn an_answer_before_its_fence_is_matched_and_timed() {
    let (mut table, now) = (table(), base());
    let [one] = ask(&mut table, [1], now);
    assert_eq!(table.in_flight(), 1);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
    assert_eq!(table.in_flight(), 0);
    let elapsed = Duration::from_millis(30);
    let answered = FenceVerdict::Answered { id: one.id, elapsed };
    assert_eq!(table.on_fence(one.fence, now + elapsed), answered);
    assert_eq!(table.on_fence(one.fence, now + elapsed), FenceVerdict::Unknown);
    assert!(table.is_fenced());
}

#[test]
fn with_fences_off_content_decides_from_the_start_and_only_time_ends_a_request() {
    let (config, now) = (Config { fences: false, ..Config::default() }, base());
    let mut table = PendingTable::new(&config, 7).unwrap();
    let [one, two, _] = ask(&mut table, [1, 2, 3], now);
    assert_eq!(table.probe(), None, "a ping would prove nothing");
    // The answer to a later request says nothing of an earlier one.
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
    assert_eq!(table.lost_before(two.fence), []);
    let same = table.register(Ask { echo: 1 }, now).unwrap_err();
    assert_eq!(same, RegisterError::KeyInFlight { in_flight: one.id });
    assert_eq!(table.expire(now + config.expire_after - Duration::from_millis(1)), []);
    assert_eq!(table.expire(now + config.expire_after).len(), 2);
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn a_fence_without_an_answer_is_a_refusal() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [1, 2], now);
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Refused(one.id));
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
    assert!(table.is_fenced());
}

#[test]
fn position_decides_where_content_cannot() {
    let (mut table, now) = (table(), base());
    let [one, two, three] = ask(&mut table, [5, 5, 5], now);
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Refused(one.id));
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Matched(two.id));
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Duplicate);
    assert!(matches!(table.on_fence(two.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Matched(three.id));
    assert!(table.is_fenced());
}

#[test]
fn content_of_no_request_ends_the_one_in_its_place() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [1, 2], now);
    assert_eq!(table.on_response(&Say::Echo(9), now), Verdict::Mismatched(one.id));
    assert_eq!(table.on_response(&Say::Echo(9), now), Verdict::Unsolicited);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Late(one.id));
    assert!(matches!(table.on_fence(one.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
    assert!(table.is_fenced());
}

#[test]
fn what_nobody_asked_for_is_unsolicited() {
    let (mut table, now) = (table(), base());
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Unsolicited);
    assert_eq!(table.on_fence(1, now), FenceVerdict::Unknown);
    assert!(table.is_fenced());
}

#[test]
fn a_repeated_answer_is_a_duplicate_also_behind_its_fence() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [1, 2], now);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Duplicate);
    assert!(matches!(table.on_fence(one.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Duplicate);
    // The request in whose place it came still waits.
    assert_eq!(table.on_fence(two.fence, now), FenceVerdict::Refused(two.id));
    assert!(table.is_fenced());
}

#[test]
fn announcements_answer_in_place_and_prove_nothing_elsewhere() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [1, 2], now);
    assert_eq!(table.on_response(&Say::Announce(9), now), Verdict::Unsolicited);
    assert_eq!(table.on_response(&Say::Announce(2), now), Verdict::Unsolicited);
    assert_eq!(table.on_response(&Say::Announce(1), now), Verdict::Matched(one.id));
    assert!(matches!(table.on_fence(one.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_fence(two.fence, now), FenceVerdict::Refused(two.id));
    assert_eq!(table.on_response(&Say::Announce(2), now), Verdict::Unsolicited);
    assert!(table.is_fenced());
}

#[test]
fn an_abandoned_request_keeps_its_place_until_its_fence() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [5, 5], now);
    table.abandon(one.id);
    assert_eq!(table.in_flight(), 2);
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Late(one.id));
    assert!(matches!(table.on_fence(one.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Matched(two.id));
}

#[test]
fn a_withdrawn_request_takes_no_place() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [5, 5], now);
    table.withdraw(one.id);
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Matched(two.id));
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Unknown);
    assert!(matches!(table.on_fence(two.fence, now), FenceVerdict::Answered { .. }));
    assert!(table.is_fenced());
}

#[test]
fn an_expired_request_keeps_its_place_and_its_answer_is_late() {
    let (mut table, now) = (table(), base());
    let [one] = ask(&mut table, [5], now);
    let limit = now + Config::default().expire_after;
    let [two] = ask(&mut table, [5], limit);
    assert_eq!(table.next_expiry(), Some(limit));
    assert_eq!(table.expire(limit - Duration::from_nanos(1)), []);
    assert_eq!(table.expire(limit), [one.id]);
    assert_eq!(table.expire(limit), []);
    assert_eq!(table.in_flight(), 1);
    assert_eq!(table.on_response(&Say::Echo(5), limit), Verdict::Late(one.id));
    assert!(matches!(table.on_fence(one.fence, limit), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(5), limit), Verdict::Matched(two.id));
    assert!(table.is_fenced());
}

#[test]
fn the_fence_behind_any_reply_has_a_time_of_its_own() {
    let expire_after = Config::default().expire_after;
    for (reply, waited) in [(1, expire_after / 2), (9, expire_after / 2), (1, expire_after)] {
        let (mut table, now) = (table(), base());
        let [one] = ask(&mut table, [1], now);
        let replied_at = now + waited;
        assert_eq!(table.expire(replied_at).len(), usize::from(waited == expire_after));
        let verdict = table.on_response(&Say::Echo(reply), replied_at);
        assert!(!matches!(verdict, Verdict::Unsolicited | Verdict::Duplicate), "{verdict:?}");
        let fence_limit = replied_at + expire_after;
        assert_eq!(table.next_expiry(), Some(fence_limit));
        assert_eq!(table.expire(fence_limit - Duration::from_nanos(1)), []);
        assert!(table.is_fenced());
        assert_eq!(table.expire(fence_limit), []);
        assert!(!table.is_fenced());
        let elapsed = waited + expire_after;
        let late_fence = match reply {
            1 => FenceVerdict::Answered { id: one.id, elapsed },
            _ => FenceVerdict::Inconclusive(one.id),
        };
        assert_eq!(table.on_fence(one.fence, fence_limit), late_fence);
    }
}

#[test]
fn without_fences_an_expired_request_makes_room() {
    let now = base();
    let mut table = unfenced_table(now);
    let limit = Config::default().max_pending;
    for round in 0..3 {
        let now = now + round * Config::default().expire_after;
        assert_eq!(table.expire(now).len(), if round == 0 { 0 } else { limit });
        for echo in (0..u8::MAX).take(limit) {
            assert!(table.register(Ask { echo }, now).is_ok());
        }
        assert_eq!(table.register(Ask { echo: 200 }, now), Err(RegisterError::Full { limit }));
    }
}

#[test]
fn abandoned_requests_expire_without_being_reported() {
    let (mut table, now) = (table(), base());
    let [one] = ask(&mut table, [1], now);
    table.abandon(one.id);
    assert_eq!(table.expire(now + Config::default().expire_after), []);
    assert_eq!((table.in_flight(), table.next_expiry()), (0, None));
}

#[test]
fn each_breach_of_order_makes_the_peer_unfenced() {
    type Breach = fn(&mut PendingTable<Ask>, [Registration; 2], Instant);
    let breaches: [(&str, Breach); 6] = [
        ("answer behind its fence", |table, [one, _], now| {
            assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Refused(one.id));
            assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Late(one.id));
        }),
        ("answer out of order", |table, [one, two], now| {
            assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
            assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
        }),
        ("fence behind a later answer", |table, [one, two], now| {
            assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
            assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Inconclusive(one.id));
        }),
        ("fence that was taken for lost", |table, [one, two], now| {
            assert_eq!(table.lost_before(two.fence), [one.id]);
            assert_eq!(table.on_fence(two.fence, now), FenceVerdict::Refused(two.id));
            assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Inconclusive(one.id));
        }),
        ("fence out of order", |table, [_, two], now| {
            assert_eq!(table.on_fence(two.fence, now), FenceVerdict::Inconclusive(two.id));
        }),
        ("answer without a fence", |table, [one, _], now| {
            assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
            let fence_limit = now + Config::default().expire_after;
            assert_eq!(table.next_expiry(), Some(fence_limit));
            assert_eq!(table.expire(fence_limit).len(), 1);
        }),
    ];
    for (name, breach) in breaches {
        let (mut table, now) = (table(), base());
        let registrations = ask(&mut table, [1, 2], now);
        assert!(table.is_fenced(), "{name}");
        breach(&mut table, registrations, now);
        assert!(!table.is_fenced(), "{name}");
    }
}

#[test]
fn a_request_swallowed_with_its_fence_is_lost_alone() {
    let (mut table, now) = (table(), base());
    let [one, two, three] = ask(&mut table, [1, 2, 3], now);
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
    assert_eq!(table.lost_before(two.fence), [one.id]);
    assert!(matches!(table.on_fence(two.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.lost_before(three.fence), []);
    assert_eq!(table.on_fence(three.fence, now), FenceVerdict::Refused(three.id));
    assert!(table.is_fenced());
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn a_probe_finds_what_was_swallowed_last() {
    let (mut table, now) = (table(), base());
    assert_eq!(table.probe(), None, "nothing is owed");
    let [one] = ask(&mut table, [1], now);
    assert_eq!(table.waiting_since(), Some(now));
    let probe = table.probe().unwrap();
    let [two] = ask(&mut table, [2], now);
    assert_eq!(table.lost_before(probe), [one.id], "what came behind the probe is not touched");
    assert_eq!(table.on_fence(probe, now), FenceVerdict::Unknown);
    assert_eq!(table.lost_before(probe), []);
    assert_eq!(table.on_fence(two.fence, now), FenceVerdict::Refused(two.id));
    assert!(table.is_fenced());
}

#[test]
fn without_fences_content_decides_and_only_time_refuses() {
    let now = base();
    let mut table = unfenced_table(now);
    let [one, two, three] = ask(&mut table, [1, 2, 3], now);
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Inconclusive(one.id));
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Unknown);
    assert_eq!(table.on_response(&Say::Echo(3), now), Verdict::Matched(three.id));
    assert_eq!(table.on_response(&Say::Echo(3), now), Verdict::Duplicate);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
    assert_eq!(table.on_response(&Say::Echo(9), now), Verdict::Unsolicited);
    assert!(matches!(table.on_fence(three.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_fence(three.fence, now), FenceVerdict::Unknown);
    let limit = now + Config::default().expire_after;
    assert_eq!(table.expire(limit), [two.id]);
    assert_eq!(table.on_fence(two.fence, limit), FenceVerdict::Inconclusive(two.id));
    assert_eq!(table.on_response(&Say::Echo(2), limit), Verdict::Late(two.id));
    assert_eq!(table.on_response(&Say::Echo(2), limit), Verdict::Duplicate);
}

#[test]
fn without_fences_one_request_per_key_is_in_flight() {
    let now = base();
    let mut table = unfenced_table(now);
    let [one] = ask(&mut table, [1], now);
    let refused = RegisterError::KeyInFlight { in_flight: one.id };
    assert_eq!(table.register(Ask { echo: 1 }, now), Err(refused));
    table.abandon(one.id);
    // Nobody waits for the first any more: whichever answer comes serves the second.
    let [again] = ask(&mut table, [1], now);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(again.id));
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Late(one.id));
}

#[test]
fn collisions_left_from_the_fenced_time_are_ambiguous_and_end() {
    let (mut table, now) = (table(), base());
    let [zero, _, two, three, four] = ask(&mut table, [0, 1, 2, 2, 3], now);
    let _ = table.on_fence(zero.fence, now);
    assert_eq!(table.on_response(&Say::Echo(0), now), Verdict::Late(zero.id));
    assert!(!table.is_fenced());
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Ambiguous(vec![two.id, three.id]));
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Late(two.id));
    assert_eq!(table.on_response(&Say::Echo(3), now), Verdict::Matched(four.id));
    // The key is free again.
    let [again] = ask(&mut table, [2], now);
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(again.id));
}

#[test]
fn a_full_table_refuses_until_a_fence_comes_back() {
    let now = base();
    let mut table = PendingTable::new(&Config { max_pending: 2, ..Config::default() }, 7).unwrap();
    let [one, two] = ask(&mut table, [1, 2], now);
    table.abandon(two.id);
    assert_eq!(table.register(Ask { echo: 3 }, now), Err(RegisterError::Full { limit: 2 }));
    assert_eq!(table.on_fence(one.fence, now), FenceVerdict::Refused(one.id));
    assert!(table.register(Ask { echo: 3 }, now).is_ok());
}

#[test]
fn closing_ends_what_is_waited_for_and_refuses_more() {
    let (mut table, now) = (table(), base());
    let [one, two, three, four] = ask(&mut table, [1, 2, 3, 4], now);
    assert_eq!(table.on_response(&Say::Echo(1), now), Verdict::Matched(one.id));
    table.abandon(three.id);
    assert_eq!(table.close(), [two.id, four.id]);
    assert_eq!(table.close(), []);
    assert_eq!(table.register(Ask { echo: 1 }, now), Err(RegisterError::Closed));
    assert_eq!((table.in_flight(), table.next_expiry()), (0, None));
}

#[test]
fn nonces_follow_from_the_seed_and_differ_between_seeds() {
    let nonces = |seed| {
        let mut table = PendingTable::new(&Config::default(), seed).unwrap();
        ask(&mut table, [1; 10], base()).map(|registration| registration.fence)
    };
    assert_eq!(nonces(1), nonces(1));
    for nonce in nonces(1) {
        assert!(nonce != 0 && !nonces(2).contains(&nonce));
    }
}

#[test]
fn an_answer_repeated_behind_a_swallowed_request_says_nothing_of_that_request() {
    let (mut table, now) = (table(), base());
    let [one, two, three] = ask(&mut table, [1, 2, 3], now);
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Matched(two.id));
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Duplicate);
    assert_eq!(table.lost_before(two.fence), [one.id]);
    assert!(matches!(table.on_fence(two.fence, now), FenceVerdict::Answered { .. }));
    assert_eq!(table.on_response(&Say::Echo(2), now), Verdict::Duplicate);
    assert_eq!(table.on_fence(three.fence, now), FenceVerdict::Refused(three.id));
    assert!(table.is_fenced());
}

#[test]
fn a_fence_tells_which_of_several_requests_a_held_answer_is_for() {
    let config = Config { hold_ambiguous: true, ..Config::default() };
    for (swallowed, answered) in [(0, 0), (1, 1), (2, 2)] {
        let (mut table, now) = (PendingTable::new(&config, 7).unwrap(), base());
        let asked = ask(&mut table, [5, 5, 5], now);
        assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Held);
        assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Duplicate);
        let lost: Vec<RequestId> = asked[..swallowed].iter().map(|asked| asked.id).collect();
        assert_eq!(table.lost_before(asked[answered].fence), lost);
        let (id, elapsed) = (asked[answered].id, Duration::ZERO);
        assert_eq!(table.on_fence(asked[answered].fence, now), FenceVerdict::Matched { id, elapsed });
        assert!(table.is_fenced() && !table.is_holding());
        assert_eq!(table.in_flight(), 2 - answered);
    }
}

#[test]
fn a_caller_whose_answer_went_to_a_swallowed_request_like_it_is_told_that_it_is_lost() {
    let (mut table, now) = (table(), base());
    let [one, two] = ask(&mut table, [5, 5], now);
    assert_eq!(table.on_response(&Say::Echo(5), now), Verdict::Matched(one.id));
    assert_eq!(table.lost_before(two.fence), [two.id]);
    assert!(matches!(table.on_fence(two.fence, now), FenceVerdict::Answered { id, .. } if id == two.id));
    assert!(table.is_fenced());
    assert_eq!(table.in_flight(), 0);
}
