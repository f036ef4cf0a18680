use std::cell::RefCell;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{advance, timeout};

use super::*;

#[derive(Debug, PartialEq)]
struct Ask(u8);

#[derive(Debug, PartialEq)]
struct Say(u8);

impl Expectation for Ask {
    type Response = Say;
    type Content = u8;
    type Key = u8;

    fn content(response: &Say) -> u8 {
        READ.with_borrow_mut(|(times, of)| {
            *times += 1;
            assert!(of.as_ref().is_none_or(|of| !of.shared.state.is_locked()), "decoded under the lock");
        });
        response.0
    }

    fn accepts(&self, content: &u8) -> bool {
        self.0 == *content
    }

    fn key(&self) -> u8 {
        self.0
    }
}

thread_local! {
    /// How often the content of a response was read, and the correlator that must not be locked meanwhile.
    static READ: RefCell<(usize, Option<Correlator<Ask>>)> = const { RefCell::new((0, None)) };
}

fn correlator() -> Correlator<Ask> {
    Correlator::new(&Config::default(), 7).unwrap()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn undelivered(response: u8, verdict: Verdict) -> Delivery<Say> {
    Delivery::Undelivered { response: Say(response), verdict }
}

#[tokio::test(start_paused = true)]
async fn the_ticket_resolves_to_its_answer_and_the_time_it_took() {
    let correlator = correlator();
    let (one, first_fence) = correlator.register(Ask(5)).unwrap();
    let (two, second_fence) = correlator.register(Ask(5)).unwrap();
    advance(ms(20)).await;
    assert_eq!(correlator.on_fence(first_fence), FenceVerdict::Refused(one.id()));
    advance(ms(20)).await;
    assert_eq!(correlator.on_response(Say(5)), Delivery::Delivered(two.id()));
    advance(ms(5)).await;
    let answered = FenceVerdict::Answered { id: two.id(), elapsed: ms(45) };
    assert_eq!(correlator.on_fence(second_fence), answered);
    assert_eq!(one.await, Err(CorrelationError::Refused { after: ms(20) }));
    assert_eq!(two.await, Ok(Answer { response: Say(5), elapsed: ms(40) }));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_is_woken() {
    let correlator = correlator();
    let (ticket, _) = correlator.register(Ask(1)).unwrap();
    let task = tokio::spawn(ticket);
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    assert!(matches!(correlator.on_response(Say(1)), Delivery::Delivered(_)));
    assert_eq!(task.await.unwrap().unwrap().response, Say(1));
}

#[tokio::test(start_paused = true)]
async fn undelivered_responses_are_handed_back() {
    let correlator = correlator();
    let (one, _) = correlator.register(Ask(1)).unwrap();
    let id = one.id();
    assert_eq!(correlator.on_response(Say(9)), undelivered(9, Verdict::Mismatched(id)));
    assert_eq!(correlator.on_response(Say(1)), undelivered(1, Verdict::Late(id)));
    assert_eq!(correlator.on_response(Say(1)), undelivered(1, Verdict::Duplicate));
    assert_eq!(correlator.on_response(Say(9)), undelivered(9, Verdict::Unsolicited));
    assert_eq!(one.await, Err(CorrelationError::Mismatched));
}

#[tokio::test(start_paused = true)]
async fn ambiguous_answers_end_every_request_they_fit() {
    let correlator = correlator();
    let (_other, first_fence) = correlator.register(Ask(1)).unwrap();
    let (two, _) = correlator.register(Ask(2)).unwrap();
    let (three, _) = correlator.register(Ask(2)).unwrap();
    // An answer behind its fence: this peer keeps no order.
    assert!(matches!(correlator.on_fence(first_fence), FenceVerdict::Refused(_)));
    assert!(matches!(
        correlator.on_response(Say(1)),
        Delivery::Undelivered { verdict: Verdict::Late(_), .. }
    ));
    let verdict = Verdict::Ambiguous(vec![two.id(), three.id()]);
    assert_eq!(correlator.on_response(Say(2)), undelivered(2, verdict));
    assert!(!correlator.is_fenced());
    assert_eq!(two.await, Err(CorrelationError::Ambiguous));
    assert_eq!(three.await, Err(CorrelationError::Ambiguous));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_ticket_abandons_but_keeps_its_place() {
    let correlator = correlator();
    let (one, first_fence) = correlator.register(Ask(5)).unwrap();
    let (two, _) = correlator.register(Ask(5)).unwrap();
    let first = one.id();
    drop(one);
    assert_eq!(correlator.in_flight(), 2);
    assert_eq!(correlator.on_response(Say(5)), undelivered(5, Verdict::Late(first)));
    assert!(matches!(correlator.on_fence(first_fence), FenceVerdict::Answered { .. }));
    assert_eq!(correlator.on_response(Say(5)), Delivery::Delivered(two.id()));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_ticket_leaves_no_trace() {
    let correlator = correlator();
    let (one, fence) = correlator.register(Ask(5)).unwrap();
    one.withdraw();
    assert_eq!(format!("{correlator:?}"), "Correlator { waiting: 0, fenced: true, .. }");
    assert_eq!((correlator.in_flight(), correlator.next_expiry()), (0, None));
    assert_eq!(correlator.on_fence(fence), FenceVerdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_outlives_a_soft_timeout() {
    let correlator = correlator();
    let (mut ticket, _) = correlator.register(Ask(1)).unwrap();
    assert!(timeout(ms(100), &mut ticket).await.is_err());
    assert!(matches!(correlator.on_response(Say(1)), Delivery::Delivered(_)));
    assert_eq!(ticket.await.unwrap().elapsed, ms(100));
}

#[tokio::test(start_paused = true)]
async fn requests_expire_when_their_time_has_come() {
    let correlator = correlator();
    let start = tokio::time::Instant::now();
    let expire_after = Config::default().expire_after;
    let (ticket, _) = correlator.register(Ask(1)).unwrap();
    assert_eq!(correlator.next_expiry(), Some(start + expire_after));
    advance(expire_after - ms(1)).await;
    assert_eq!(correlator.expire(), 0);
    advance(ms(1)).await;
    assert_eq!(correlator.expire(), 1);
    assert_eq!(correlator.expire(), 0);
    let id = ticket.id();
    assert_eq!(ticket.await, Err(CorrelationError::Expired { after: expire_after }));
    assert_eq!(correlator.on_response(Say(1)), undelivered(1, Verdict::Late(id)));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_ticket() {
    let correlator = correlator();
    let (one, _) = correlator.register(Ask(1)).unwrap();
    let (two, _) = correlator.register(Ask(2)).unwrap();
    assert!(matches!(correlator.on_response(Say(1)), Delivery::Delivered(_)));
    correlator.clone().close();
    assert!(one.await.is_ok(), "an answer that arrived is not lost");
    assert_eq!(two.await, Err(CorrelationError::Disconnected));
    assert_eq!(correlator.register(Ask(3)).unwrap_err(), RegisterError::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_every_ticket() {
    let correlator = correlator();
    let (ticket, _) = correlator.register(Ask(1)).unwrap();
    drop(correlator);
    assert_eq!(ticket.await, Err(CorrelationError::Disconnected));
}

#[tokio::test(start_paused = true)]
async fn metrics_count_verdicts_outcomes_and_what_is_pending() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    crate::describe_metrics();
    let correlator = correlator();
    let (_answered, first_fence) = correlator.register(Ask(1)).unwrap();
    assert!(matches!(correlator.on_response(Say(1)), Delivery::Delivered(_)));
    advance(ms(500)).await;
    assert!(matches!(correlator.on_fence(first_fence), FenceVerdict::Answered { .. }));
    let (_refused, second_fence) = correlator.register(Ask(2)).unwrap();
    assert!(matches!(correlator.on_fence(second_fence), FenceVerdict::Refused(_)));
    let late = correlator.on_response(Say(2));
    assert!(matches!(late, Delivery::Undelivered { verdict: Verdict::Late(_), .. }));
    let (abandoned, _) = correlator.register(Ask(3)).unwrap();
    drop(abandoned);
    let (_waiting, _) = correlator.register(Ask(4)).unwrap();

    let mut seen: Vec<(String, DebugValue)> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, description, value)| {
            assert!(description.is_some(), "{key:?} has no help text");
            let labels: Vec<_> = key.key().labels().map(|label| label.value()).collect();
            (format!("{}{labels:?}", key.key().name()), value)
        })
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let zeros = seen.extract_if(.., |(_, value)| *value == DebugValue::Counter(0)).count();
    // Five further outcomes and six further verdicts are there, though they have not happened.
    assert_eq!(zeros, 11);
    let expected = [
        ("spv_correlation_fence_seconds[]", DebugValue::Histogram(vec![0.5.into()])),
        ("spv_correlation_pending_requests[]", DebugValue::Gauge(1.0.into())),
        ("spv_correlation_requests_total[\"abandoned\"]", DebugValue::Counter(1)),
        ("spv_correlation_requests_total[\"answered\"]", DebugValue::Counter(1)),
        ("spv_correlation_requests_total[\"refused\"]", DebugValue::Counter(1)),
        ("spv_correlation_responses_total[\"late\"]", DebugValue::Counter(1)),
        ("spv_correlation_responses_total[\"matched\"]", DebugValue::Counter(1)),
        ("spv_correlation_unfenced_peers_total[]", DebugValue::Counter(1)),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[tokio::test(start_paused = true)]
async fn a_response_is_decoded_once_and_not_under_the_lock() {
    let config = Config { max_pending: 100, ..Config::default() };
    let correlator = Correlator::new(&config, 7).unwrap();
    READ.set((0, Some(correlator.clone())));
    let tickets: Vec<_> = (0..100).map(|ask| correlator.register(Ask(ask)).unwrap()).collect();
    for (_, fence) in &tickets[..50] {
        let _ = correlator.on_fence(*fence);
    }
    assert_eq!(correlator.on_response(Say(200)), undelivered(200, Verdict::Mismatched(tickets[50].0.id())));
    assert_eq!(READ.take().0, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_remembered_while_it_is_outstanding_and_after() {
    let correlator = correlator();
    let asked = |ask| correlator.remembers(move |request| request.0 == ask);
    let (ticket, fence) = correlator.register(Ask(1)).unwrap();
    assert_eq!((asked(1), asked(2)), (true, false));
    drop(ticket);
    assert!(asked(1), "abandoned");
    let _ = correlator.on_fence(fence);
    assert!(asked(1), "refused");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_swallowed_with_its_ping_ends_as_lost() {
    let correlator = correlator();
    let (one, _) = correlator.register(Ask(1)).unwrap();
    let (two, _) = correlator.register(Ask(2)).unwrap();
    let probe = correlator.probe().unwrap();
    advance(ms(30)).await;
    assert_eq!(correlator.on_fence(probe), FenceVerdict::Unknown);
    let lost = CorrelationError::Lost { after: ms(30) };
    assert_eq!((one.await, two.await), (Err(lost), Err(lost)));
    assert!(lost.is_transient() && correlator.is_fenced());
}

#[tokio::test(start_paused = true)]
async fn a_held_answer_is_delivered_with_its_fence_and_dropped_where_nobody_waits() {
    let config = Config { hold_ambiguous: true, ..Config::default() };
    let correlator = Correlator::new(&config, 7).unwrap();
    let (one, _) = correlator.register(Ask(5)).unwrap();
    let (two, second_fence) = correlator.register(Ask(5)).unwrap();
    let (three, third_fence) = correlator.register(Ask(5)).unwrap();
    let (_four, _) = correlator.register(Ask(5)).unwrap();
    let (second, third) = (two.id(), three.id());
    advance(ms(20)).await;
    assert_eq!(correlator.on_response(Say(5)), Delivery::Held);
    advance(ms(1)).await;
    assert_eq!(correlator.on_fence(second_fence), FenceVerdict::Matched { id: second, elapsed: ms(21) });
    assert_eq!(two.await, Ok(Answer { response: Say(5), elapsed: ms(20) }));
    assert_eq!(one.await, Err(CorrelationError::Lost { after: ms(21) }));
    drop(three);
    assert_eq!(correlator.on_response(Say(5)), Delivery::Held);
    assert!(matches!(correlator.on_fence(third_fence), FenceVerdict::Matched { id, .. } if id == third));
    assert!(correlator.shared.state.lock().held.is_none());
}

/// Panics over some answers.
struct Fragile;

impl Expectation for Fragile {
    type Response = u8;
    type Content = u8;
    type Key = ();

    fn content(response: &u8) -> u8 {
        assert_ne!(*response, 1, "as written");
        *response
    }

    fn accepts(&self, content: &u8) -> bool {
        assert_ne!(*content, 2, "as written");
        true
    }

    fn key(&self) {}
}

#[tokio::test(start_paused = true)]
async fn an_expectation_that_panics_takes_no_request_with_it() {
    let correlator = Correlator::<Fragile>::new(&Config::default(), 7).unwrap();
    let (one, _) = correlator.register(Fragile).unwrap();
    let (two, _) = correlator.register(Fragile).unwrap();
    for response in [1, 2] {
        let reading = correlator.clone();
        let read = tokio::spawn(async move { reading.on_response(response) });
        assert!(read.await.unwrap_err().is_panic());
    }
    assert_eq!(correlator.in_flight(), 2);
    assert_eq!(correlator.on_response(3), Delivery::Delivered(one.id()));
    assert_eq!(one.await.unwrap().response, 3);
    correlator.close();
    assert_eq!(two.await, Err(CorrelationError::Disconnected));
}
