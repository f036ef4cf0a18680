use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Instant;

/// Messages of all connections that wait for the only handler. Each connection is strictly first in, first out; the
/// connections take turns, one message each (Dash Core `CConnman::ThreadMessageHandler`, net.cpp).
#[derive(Debug)]
pub(super) struct Inboxes<M> {
    queues: BTreeMap<u64, VecDeque<(Instant, M)>>,
    last_served: u64,
}

/// What the handler is to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Next<M> {
    /// Handle this message of this connection.
    Handle(u64, M),
    /// Nothing has arrived yet; something will at this time.
    WaitUntil(Instant),
    /// Nothing is on its way.
    Idle,
}

impl<M> Inboxes<M> {
    pub(super) fn new() -> Self {
        Self { queues: BTreeMap::new(), last_served: 0 }
    }

    pub(super) fn open(&mut self, connection: u64) {
        self.queues.insert(connection, VecDeque::new());
    }

    /// Forgets a connection with all that waits.
    pub(super) fn close(&mut self, connection: u64) {
        self.queues.remove(&connection);
    }

    /// Adds a message that arrives at `due`, not before the earlier ones of its connection.
    pub(super) fn push(&mut self, connection: u64, due: Instant, message: M) {
        if let Some(queue) = self.queues.get_mut(&connection) {
            queue.push_back((due, message));
        }
    }

    /// The next message by turns, leaving out connections that are `paused`.
    pub(super) fn next(&mut self, now: Instant, paused: impl Fn(u64) -> bool) -> Next<M> {
        let after = (Bound::Excluded(self.last_served), Bound::Unbounded);
        let turns = self.queues.range(after).chain(self.queues.range(..=self.last_served));
        let ready = turns
            .filter(|(connection, _)| !paused(**connection))
            .find(|(_, queue)| queue.front().is_some_and(|(due, _)| *due <= now))
            .map(|(connection, _)| *connection);
        if let Some(connection) = ready
            && let Some((_, message)) = self.queues.get_mut(&connection).and_then(VecDeque::pop_front)
        {
            self.last_served = connection;
            return Next::Handle(connection, message);
        }
        let waiting = self.queues.iter().filter(|(connection, _)| !paused(**connection));
        let arrivals = waiting.filter_map(|(_, queue)| queue.front().map(|(due, _)| *due));
        arrivals.min().map_or(Next::Idle, Next::WaitUntil)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn inboxes(messages: &[(u64, u64, &'static str)]) -> (Inboxes<&'static str>, Instant) {
        let now = tokio::time::Instant::now().into_std();
        let mut inboxes = Inboxes::new();
        for connection in 0..3 {
            inboxes.open(connection);
        }
        for (connection, after, message) in messages {
            inboxes.push(*connection, now + Duration::from_secs(*after), *message);
        }
        (inboxes, now)
    }

    #[test]
    fn connections_take_turns_and_each_is_first_in_first_out() {
        let (mut inboxes, now) =
            inboxes(&[(0, 0, "a"), (0, 0, "b"), (0, 0, "c"), (1, 0, "x"), (2, 0, "y"), (2, 0, "z")]);
        let mut order = Vec::new();
        while let Next::Handle(_, message) = inboxes.next(now, |_| false) {
            order.push(message);
        }
        assert_eq!(order, ["x", "y", "a", "z", "b", "c"]);
        assert_eq!(inboxes.next(now, |_| false), Next::Idle);
    }

    #[test]
    fn a_message_is_handled_when_it_has_arrived() {
        let (mut inboxes, now) = inboxes(&[(0, 5, "far"), (1, 2, "near")]);
        assert_eq!(inboxes.next(now, |_| false), Next::WaitUntil(now + Duration::from_secs(2)));
        assert_eq!(inboxes.next(now + Duration::from_secs(2), |_| false), Next::Handle(1, "near"));
    }

    #[test]
    fn paused_and_closed_connections_are_left_out() {
        let (mut inboxes, now) = inboxes(&[(0, 0, "a"), (1, 0, "x"), (2, 0, "y")]);
        inboxes.close(1);
        assert_eq!(inboxes.next(now, |connection| connection == 2), Next::Handle(0, "a"));
        assert_eq!(inboxes.next(now, |connection| connection == 2), Next::Idle);
        assert_eq!(inboxes.next(now, |_| false), Next::Handle(2, "y"));
    }
}
