//! A peer without any order: answers, announcements and fences come as they like, again and again.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Respond(u8),
    Announce(u8),
    /// The fence of the n-th request ever made, or a forgery.
    Fence(usize),
    Abandon(usize),
    Withdraw(usize),
    Wait(Duration),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..4).prop_map(Step::Ask),
        3 => (0u8..6).prop_map(Step::Respond),
        1 => (0u8..6).prop_map(Step::Announce),
        3 => (0usize..40).prop_map(Step::Fence),
        1 => (0usize..40).prop_map(Step::Abandon),
        1 => (0usize..40).prop_map(Step::Withdraw),
        1 => (0u64..80).prop_map(|secs| Step::Wait(Duration::from_secs(secs))),
    ]
}

/// Who is waited for, kept apart from the table.
#[derive(Default)]
struct Waiting(BTreeMap<RequestId, u8>);

impl Waiting {
    fn end(&mut self, id: RequestId) -> Result<u8, TestCaseError> {
        self.0.remove(&id).ok_or_else(|| TestCaseError::fail(format!("{id} ended twice")))
    }
}

proptest! {
    #[test]
    fn every_request_ends_once_and_memory_is_bounded(steps in prop::collection::vec(any_step(), 0..200), hold_ambiguous: bool) {
        let config = Config { max_pending: 5, max_history: 6, hold_ambiguous, ..Config::default() };
        let mut table: PendingTable<Ask> = PendingTable::new(&config, 7).unwrap();
        let mut now = base();
        let mut made: Vec<Registration> = Vec::new();
        let mut waiting = Waiting::default();
        let mut unfenced_before = false;
        for step in steps {
            match step {
                Step::Ask(echo) => {
                    let same_key = waiting.0.values().any(|&other| other == echo);
                    match table.register(Ask { echo }, now) {
                        Ok(registration) => {
                            prop_assert!(table.is_fenced() || !same_key);
                            prop_assert!(made.iter().all(|old| old.id < registration.id));
                            waiting.0.insert(registration.id, echo);
                            made.push(registration);
                        }
                        Err(RegisterError::KeyInFlight { in_flight }) => {
                            prop_assert!(!table.is_fenced());
                            prop_assert_eq!(waiting.0.get(&in_flight), Some(&echo));
                        }
                        Err(error) => prop_assert_eq!(error, RegisterError::Full { limit: 5 }),
                    }
                }
                Step::Respond(echo) => match table.on_response(&Say::Echo(echo), now) {
                    Verdict::Matched(id) => prop_assert_eq!(waiting.end(id)?, echo),
                    Verdict::Ambiguous(ids) => {
                        prop_assert!(!table.is_fenced() && ids.len() > 1);
                        for id in ids {
                            prop_assert_eq!(waiting.end(id)?, echo);
                        }
                    }
                    Verdict::Mismatched(id) => {
                        prop_assert!(table.is_fenced());
                        prop_assert!(waiting.0.remove(&id) != Some(echo));
                    }
                    Verdict::Late(id) => prop_assert!(!waiting.0.contains_key(&id)),
                    Verdict::Duplicate => {}
                    Verdict::Held => prop_assert!(table.is_fenced() && table.is_holding()),
                    Verdict::Unsolicited => prop_assert!(waiting.0.values().all(|&other| other != echo)),
                },
                Step::Announce(echo) => {
                    let fenced = table.is_fenced();
                    match table.on_response(&Say::Announce(echo), now) {
                        Verdict::Matched(id) => prop_assert_eq!(waiting.end(id)?, echo),
                        Verdict::Mismatched(id) => prop_assert!(false, "{} mismatched by an announcement", id),
                        Verdict::Ambiguous(ids) => {
                            for id in ids {
                                prop_assert_eq!(waiting.end(id)?, echo);
                            }
                        }
                        Verdict::Late(_) | Verdict::Duplicate | Verdict::Unsolicited | Verdict::Held => {}
                    }
                    prop_assert_eq!(table.is_fenced(), fenced);
                }
                Step::Fence(nth) => {
                    let asked = made.get(nth).copied();
                    match table.on_fence(asked.map_or(1, |asked| asked.fence), now) {
                        FenceVerdict::Refused(id) => {
                            prop_assert!(table.is_fenced());
                            prop_assert_eq!(Some(id), asked.map(|asked| asked.id));
                            waiting.0.remove(&id);
                        }
                        FenceVerdict::Answered { id, .. } => {
                            prop_assert_eq!(Some(id), asked.map(|asked| asked.id));
                            prop_assert!(!waiting.0.contains_key(&id));
                        }
                        FenceVerdict::Matched { id, .. } => {
                            prop_assert!(table.is_fenced() && !table.is_holding());
                            prop_assert_eq!(Some(id), asked.map(|asked| asked.id));
                            waiting.0.remove(&id);
                        }
                        FenceVerdict::Inconclusive(id) => {
                            prop_assert!(!table.is_fenced());
                            prop_assert_eq!(Some(id), asked.map(|asked| asked.id));
                        }
                        FenceVerdict::Unknown => {}
                    }
                }
                Step::Abandon(nth) => {
                    if let Some(asked) = made.get(nth) {
                        table.abandon(asked.id);
                        waiting.0.remove(&asked.id);
                    }
                }
                Step::Withdraw(nth) => {
                    if let Some(asked) = made.get(nth) {
                        table.withdraw(asked.id);
                        waiting.0.remove(&asked.id);
                    }
                }
                Step::Wait(time) => {
                    now += time;
                    for id in table.expire(now) {
                        waiting.end(id)?;
                    }
                    prop_assert!(table.next_expiry().is_none_or(|expiry| expiry > now));
                }
            }
            prop_assert!(table.entries.len() <= 5 && table.history.len() <= 6);
            prop_assert!(table.in_flight() <= table.entries.len());
            prop_assert!(table.is_fenced() || !table.is_holding());
            prop_assert!(!(unfenced_before && table.is_fenced()), "fenced again");
            unfenced_before = !table.is_fenced();
        }
        prop_assert_eq!(table.close(), waiting.0.into_keys().collect::<Vec<_>>());
    }
}
