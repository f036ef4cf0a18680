use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The client of a connection. The connections of one origin are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A process of this machine, at the socket in the data directory.
    Socket,
    Address(IpAddr),
}

/// All connections. A new one that finds no place takes that of the one that has waited longest for its client to say
/// something. A client that opens many and sends nothing loses its own.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_of_one: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Counts events, as an order of time.
    now: u64,
    by_id: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    /// Since when it waits for a request; `None` while one is answered.
    waits_since: Option<u64>,
    ended: CancellationToken,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    /// Cancelled when another connection has taken the place.
    pub(super) ended: CancellationToken,
}

impl Connections {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, open: Mutex::default() })
    }

    /// A place; `None` when all are busy.
    pub(super) fn enter(self: &Arc<Self>, origin: Origin) -> Option<Place> {
        let mut open = self.open.lock();
        let of_one = open.by_id.values().filter(|entry| entry.origin == origin).count();
        let is_free = if of_one >= self.most_of_one {
            open.end_longest_waiting(|entry| entry.origin == origin)
        } else {
            open.by_id.len() < self.most || open.end_longest_waiting(|_| true)
        };
        if !is_free {
            return None;
        }
        let (id, ended) = (open.tick(), CancellationToken::new());
        let entry = Entry { origin, waits_since: Some(id), ended: ended.clone() };
        open.by_id.insert(id, entry);
        Some(Place { connections: self.clone(), id, ended })
    }
}

impl Open {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Whether there was one.
    fn end_longest_waiting(&mut self, of: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.by_id.iter().filter(|(_, entry)| of(entry));
        let waiting = waiting.filter_map(|(id, entry)| Some((entry.waits_since?, *id)));
        let Some((_, id)) = waiting.min() else { return false };
        if let Some(entry) = self.by_id.remove(&id) {
            entry.ended.cancel();
        }
        true
    }
}

impl Place {
    /// A request has come.
    pub(super) fn is_busy(&self) {
        self.set(|_| None);
    }

    /// The request is answered.
    pub(super) fn waits(&self) {
        self.set(Some);
    }

    fn set(&self, waits_since: impl FnOnce(u64) -> Option<u64>) {
        let mut open = self.connections.open.lock();
        let now = open.tick();
        if let Some(entry) = open.by_id.get_mut(&self.id) {
            entry.waits_since = waits_since(now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.lock().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Origin = Origin::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const OTHER: Origin = Origin::Socket;

    fn count(connections: &Connections) -> usize {
        connections.open.lock().by_id.len()
    }

    #[test]
    fn who_opens_many_and_says_nothing_loses_his_own() {
        let connections = Connections::new(4, 2);
        let [first, second] = [ONE, ONE].map(|origin| connections.enter(origin).unwrap());
        first.is_busy();
        first.waits();
        // The second has waited longer than the first, which has just been answered.
        let third = connections.enter(ONE).unwrap();
        assert!(second.ended.is_cancelled() && !first.ended.is_cancelled());
        drop(second);
        assert_eq!(count(&connections), 2);
        let others = [OTHER, OTHER].map(|origin| connections.enter(origin).unwrap());
        assert_eq!(count(&connections), 4);
        // All places are taken: the longest waiting of all makes way, whosever it is.
        let fifth = connections.enter(Origin::Address([10, 0, 0, 1].into())).unwrap();
        assert!(first.ended.is_cancelled() && !third.ended.is_cancelled());
        drop((others, fifth));
    }

    #[test]
    fn who_is_being_answered_keeps_his_place() {
        let connections = Connections::new(2, 2);
        let busy = [ONE, OTHER].map(|origin| connections.enter(origin).unwrap());
        busy.iter().for_each(Place::is_busy);
        assert!(connections.enter(ONE).is_none() && connections.enter(OTHER).is_none());
        busy[0].waits();
        assert!(connections.enter(OTHER).is_some());
        assert!(busy[0].ended.is_cancelled() && !busy[1].ended.is_cancelled());
    }
}
