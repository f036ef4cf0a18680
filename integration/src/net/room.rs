use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::metrics;

/// Bytes of a message that need no room: nearly all answers are smaller.
pub(super) const FREE: usize = 1024 * 1024;

/// Bytes beyond [`FREE`] that connections may hold together of messages which have not come whole.
const TOTAL: usize = 32 * 1024 * 1024;

/// Room for messages that are coming, of all connections of a pool. One that finds none waits, and so does the node behind
/// it, until others have come whole. The message that has had room for longest may always go on, so that one of them always does.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Bytes of messages by the order in which they first needed room.
    held: BTreeMap<u64, usize>,
}

/// The room of one message, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    room: Room,
    order: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(TOTAL)
    }
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(total: usize) -> Self {
        Self(Arc::new(Shared { total, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Takes a place in the line, and no room yet.
    pub(super) fn join(&self) -> Held {
        let mut state = self.0.state.lock();
        let order = state.next;
        state.next += 1;
        state.held.insert(order, 0);
        Held { room: self.clone(), order }
    }
}

impl State {
    fn total(&self) -> usize {
        self.held.values().sum()
    }

    /// Takes room where there is some.
    fn take(&mut self, order: u64, bytes: usize, total: usize) -> bool {
        let is_first = self.held.first_key_value().is_some_and(|(first, _)| *first == order);
        let fits = is_first || self.total() + bytes <= total;
        if let Some(held) = self.held.get_mut(&order).filter(|_| fits) {
            *held += bytes;
        }
        fits
    }
}

impl Held {
    /// Takes so much more room if there is some; whether it did.
    pub(super) fn try_grow(&self, bytes: usize) -> bool {
        let mut state = self.room.0.state.lock();
        let took = state.take(self.order, bytes, self.room.0.total);
        metrics::incoming(state.total());
        took
    }

    /// Takes so much more room, and waits for it where there is none.
    ///
    /// # Cancel safety
    /// Cancel safe: the room is taken in the step that returns.
    pub(super) async fn grow(&self, bytes: usize) {
        loop {
            let mut freed = std::pin::pin!(self.room.0.freed.notified());
            // Before looking, so that what is given back meanwhile is not missed.
            freed.as_mut().enable();
            if self.try_grow(bytes) {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.room.0.state.lock();
        state.held.remove(&self.order);
        metrics::incoming(state.total());
        drop(state);
        self.room.0.freed.notify_waiters();
    }
}

#[cfg(test)]
impl Room {
    pub(super) fn taken(&self) -> usize {
        self.0.state.lock().total()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_first_message_always_goes_on_and_the_others_within_the_total() {
        let room = Room::default();
        let [first, second, third] = std::array::from_fn(|_| room.join());
        assert!(second.try_grow(TOTAL));
        assert!(!third.try_grow(1));
        assert!(first.try_grow(TOTAL), "though there is none");
        drop(first);
        assert!(!third.try_grow(1));
        assert!(second.try_grow(1), "the first by now");
        drop(second);
        assert!(third.try_grow(TOTAL));
    }

    #[test]
    fn who_waits_goes_on_when_others_have_finished() {
        let room = Room::default();
        let [first, second, third] = std::array::from_fn(|_| room.join());
        assert!(first.try_grow(1) && second.try_grow(TOTAL - 1));
        let mut waiting = std::pin::pin!(third.grow(TOTAL));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        drop(first);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        drop(second);
        assert_eq!(waiting.as_mut().now_or_never(), Some(()));
    }

    #[test]
    fn who_gives_up_takes_no_room() {
        let room = Room::default();
        let [first, second] = std::array::from_fn(|_| room.join());
        assert!(first.try_grow(TOTAL));
        assert_eq!(second.grow(1).now_or_never(), None);
        drop((first, second));
        assert_eq!(room.taken(), 0);
    }
}
