//! A peer that keeps order: whatever it does with a request, every message is attributed as a list of
//! what it did says, though contents collide all the time.

use std::collections::{BTreeSet, VecDeque};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Ask for one of three contents; the peer will refuse, answer, or answer several times.
    Ask { echo: u8, answers: usize },
    /// The next message of the stream arrives.
    Arrive,
    /// The waiter of the n-th open request goes.
    Abandon(usize),
    /// Time passes; requests may expire long before the peer comes to them.
    Wait(Duration),
}

enum Message {
    Answer { id: RequestId, echo: u8, nth: usize },
    Fence { id: RequestId, nonce: u64, answered: bool },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3, 0usize..3).prop_map(|(echo, answers)| Step::Ask { echo, answers }),
        8 => Just(Step::Arrive),
        1 => (0usize..8).prop_map(Step::Abandon),
        1 => (0u64..40).prop_map(|secs| Step::Wait(Duration::from_secs(secs))),
    ]
}

proptest! {
    #[test]
    fn nothing_is_misattributed_though_contents_collide(steps in prop::collection::vec(any_step(), 0..200)) {
        // The grace for a fence is as long as that for an answer, and this peer only keeps order, not time.
        let config = Config { max_history: 4, ..Config::default() };
        let mut table: PendingTable<Ask> = PendingTable::new(&config, 7).unwrap();
        let mut now = base();
        let mut stream: VecDeque<Message> = VecDeque::new();
        // What is still waited for, by the peer's own account.
        let mut open: BTreeSet<RequestId> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Ask { echo, answers } => match table.register(Ask { echo }, now) {
                    Ok(Registration { id, fence }) => {
                        open.insert(id);
                        stream.extend((0..answers).map(|nth| Message::Answer { id, echo, nth }));
                        stream.push_back(Message::Fence { id, nonce: fence, answered: answers > 0 });
                    }
                    Err(error) => prop_assert_eq!(error, RegisterError::Full { limit: config.max_pending }),
                },
                Step::Arrive => match stream.pop_front() {
                    Some(Message::Answer { id, echo, nth }) => {
                        let expected = match nth {
                            0 if open.remove(&id) => Verdict::Matched(id),
                            0 => Verdict::Late(id),
                            _ => Verdict::Duplicate,
                        };
                        prop_assert_eq!(table.on_response(&Say::Echo(echo), now), expected);
                    }
                    Some(Message::Fence { id, nonce, answered }) => match table.on_fence(nonce, now) {
                        FenceVerdict::Answered { id: of, .. } => prop_assert!(answered && of == id),
                        FenceVerdict::Refused(of) => {
                            prop_assert!(!answered && of == id);
                            open.remove(&id);
                        }
                        other => prop_assert!(false, "{:?} for the fence of {}", other, id),
                    },
                    None => {}
                },
                Step::Abandon(nth) => {
                    if let Some(&id) = open.iter().nth(nth) {
                        table.abandon(id);
                        open.remove(&id);
                    }
                }
                Step::Wait(time) => {
                    // An answered request's fence is never kept back beyond the grace.
                    while matches!(stream.front(), Some(Message::Answer { nth: 1.., .. } | Message::Fence { answered: true, .. })) {
                        match stream.pop_front() {
                            Some(Message::Answer { echo, .. }) => {
                                prop_assert_eq!(table.on_response(&Say::Echo(echo), now), Verdict::Duplicate);
                            }
                            Some(Message::Fence { nonce, .. }) => {
                                let verdict = table.on_fence(nonce, now);
                                let answered = matches!(verdict, FenceVerdict::Answered { .. });
                                prop_assert!(answered, "{:?}", verdict);
                            }
                            None => {}
                        }
                    }
                    now += time;
                    for id in table.expire(now) {
                        prop_assert!(open.remove(&id), "{} expired after it had ended", id);
                    }
                }
            }
            prop_assert!(table.is_fenced());
        }
        prop_assert_eq!(table.close(), open.into_iter().collect::<Vec<_>>());
    }
}
