use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
};

/// Identifies one caller of a [`FlightTable`]. A table never uses an id twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(u64);

/// The task of a caller that joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Role {
    /// Do the work and [`land`](FlightTable::land).
    Leads(CallerId),
    /// Wait for the result, or for the notice to lead.
    Waits(CallerId),
}

/// The limit of callers that lead or wait is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} callers is reached")]
pub struct TooManyCallers {
    /// The configured limit.
    pub limit: usize,
}

/// Decides which caller does the work of a key, and which callers wait for its result: single flight without clock,
/// task or lock.
///
/// The first caller of a key leads, later ones wait. When the leader lands, all get the result. When it leaves instead,
/// the one that has waited longest leads.
#[derive(Debug)]
pub struct FlightTable<K> {
    /// Callers of each key in order of arrival; the first one leads. Never empty.
    flights: BTreeMap<K, VecDeque<CallerId>>,
    callers: BTreeMap<CallerId, K>,
    limit: usize,
    next_id: u64,
}

impl<K: Ord + Clone> FlightTable<K> {
    /// Creates an empty table for at most `limit` callers at a time, leaders and waiters of all keys together.
    #[must_use]
    pub const fn new(limit: NonZeroUsize) -> Self {
        Self { flights: BTreeMap::new(), callers: BTreeMap::new(), limit: limit.get(), next_id: 0 }
    }

    /// Adds a caller that wants the result of this key.
    ///
    /// # Errors
    ///
    /// When the table is full.
    pub fn join(&mut self, key: K) -> Result<Role, TooManyCallers> {
        if self.callers.len() >= self.limit {
            return Err(TooManyCallers { limit: self.limit });
        }
        let id = CallerId(self.next_id);
        self.next_id += 1;
        let flight = self.flights.entry(key.clone()).or_default();
        flight.push_back(id);
        let role = if flight.len() == 1 { Role::Leads(id) } else { Role::Waits(id) };
        self.callers.insert(id, key);
        Ok(role)
    }

    /// Reports that the leader has the result. Ends the flight and returns the callers that wait for it, in order of
    /// arrival. Does nothing for a caller that does not lead.
    #[must_use = "whoever waits must be told"]
    pub fn land(&mut self, leader: CallerId) -> Vec<CallerId> {
        let Some(key) = self.callers.get(&leader) else { return Vec::new() };
        if self.flights.get(key).and_then(|flight| flight.front()) != Some(&leader) {
            return Vec::new();
        }
        let flight = self.flights.remove(key).unwrap_or_default();
        for caller in &flight {
            self.callers.remove(caller);
        }
        flight.into_iter().skip(1).collect()
    }

    /// Reports that a caller gave up without a result. If it was the leader and another caller waits, returns that
    /// caller, which leads now.
    #[must_use = "the new leader must be told"]
    pub fn leave(&mut self, caller: CallerId) -> Option<CallerId> {
        let key = self.callers.remove(&caller)?;
        let flight = self.flights.get_mut(&key)?;
        let led = flight.front() == Some(&caller);
        flight.retain(|&other| other != caller);
        let next = flight.front().copied();
        if next.is_none() {
            self.flights.remove(&key);
        }
        next.filter(|_| led)
    }

    /// Returns the number of callers that lead or wait.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// Returns the number of keys with a leader.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(limit: usize) -> FlightTable<u8> {
        FlightTable::new(NonZeroUsize::new(limit).unwrap())
    }

    fn id(role: Role) -> CallerId {
        let (Role::Leads(id) | Role::Waits(id)) = role;
        id
    }

    #[test]
    fn the_first_leads_and_all_others_get_its_result() {
        let mut table = table(10);
        let callers = [1, 1, 2, 1].map(|key| table.join(key).unwrap());
        let [one, two, other, three] = callers.map(id);
        assert_eq!(callers, [Role::Leads(one), Role::Waits(two), Role::Leads(other), Role::Waits(three)]);
        assert_eq!(table.land(two), [], "only the leader lands");
        assert_eq!(table.land(one), [two, three]);
        assert_eq!(table.land(one), []);
        assert_eq!((table.callers(), table.flights()), (1, 1));
        assert!(matches!(table.join(1), Ok(Role::Leads(_))), "a landed flight is over");
    }

    #[test]
    fn a_leader_that_leaves_hands_over_to_the_longest_waiting() {
        let mut table = table(10);
        let [one, two, three] = [1, 1, 1].map(|key| id(table.join(key).unwrap()));
        assert_eq!(table.leave(two), None, "a waiter that leaves changes nothing");
        assert_eq!(table.leave(one), Some(three));
        assert_eq!(table.leave(one), None);
        assert_eq!(table.leave(three), None);
        assert_eq!((table.callers(), table.flights()), (0, 0));
    }

    #[test]
    fn callers_are_bounded() {
        let mut table = table(2);
        let one = id(table.join(1).unwrap());
        let _ = table.join(1).unwrap();
        assert_eq!(table.join(2), Err(TooManyCallers { limit: 2 }));
        assert_eq!(table.land(one).len(), 1);
        assert!(table.join(2).is_ok());
    }

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Join(u8),
        Land(usize),
        Leave(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0_u8..4).prop_map(Op::Join),
            1 => (0_usize..100).prop_map(Op::Land),
            2 => (0_usize..100).prop_map(Op::Leave),
        ]
    }

    proptest! {
        /// The model is one list of all callers in order of arrival; the first of a key leads.
        #[test]
        fn each_key_has_one_leader_and_each_caller_ends_once(ops in prop::collection::vec(op(), 0..200)) {
            let mut table = table(12);
            let mut model: Vec<(CallerId, u8)> = Vec::new();
            let mut ever: Vec<CallerId> = Vec::new();
            let leader = |model: &[(CallerId, u8)], key| model.iter().find(|(_, k)| *k == key).map(|(id, _)| *id);
            for op in ops {
                match op {
                    Op::Join(key) => {
                        let full = model.len() == 12;
                        let joined = table.join(key);
                        prop_assert_eq!(joined.is_err(), full);
                        if let Ok(role) = joined {
                            prop_assert_eq!(matches!(role, Role::Leads(_)), leader(&model, key).is_none());
                            prop_assert!(!ever.contains(&id(role)));
                            ever.push(id(role));
                            model.push((id(role), key));
                        }
                    }
                    Op::Land(nth) => {
                        let Some(&caller) = ever.get(nth) else { continue };
                        let key = model.iter().find(|(id, _)| *id == caller).map(|(_, key)| *key);
                        let told = table.land(caller);
                        match key.filter(|&key| leader(&model, key) == Some(caller)) {
                            Some(key) => {
                                let waiting = model.iter().filter(|(id, k)| *k == key && *id != caller);
                                prop_assert_eq!(told, waiting.map(|(id, _)| *id).collect::<Vec<_>>());
                                model.retain(|(_, k)| *k != key);
                            }
                            None => prop_assert_eq!(told, []),
                        }
                    }
                    Op::Leave(nth) => {
                        let Some(&caller) = ever.get(nth) else { continue };
                        let key = model.iter().find(|(id, _)| *id == caller).map(|(_, key)| *key);
                        let led = key.is_some_and(|key| leader(&model, key) == Some(caller));
                        model.retain(|(id, _)| *id != caller);
                        let next = key.filter(|_| led).and_then(|key| leader(&model, key));
                        prop_assert_eq!(table.leave(caller), next);
                    }
                }
                let keys: std::collections::BTreeSet<_> = model.iter().map(|(_, key)| key).collect();
                prop_assert_eq!((table.callers(), table.flights()), (model.len(), keys.len()));
            }
        }
    }
}
