use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

/// What is to happen on a connection's sending side, and when.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Not before this.
    pub(super) due: Instant,
    /// Whether a data request is no longer in flight from then on.
    pub(super) completes_request: bool,
    pub(super) action: Action,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Write a message.
    Send(Bytes),
    /// Write nothing: here an answer is missing.
    Nothing,
    /// Close the connection.
    Close,
    /// Write nothing: the handshake is behind from here on.
    Establish,
}

/// Holds back what is not due yet. Equal due times keep their order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<(Instant, u64), Outgoing>,
    pushed: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.waiting.insert((outgoing.due, self.pushed), outgoing);
        self.pushed += 1;
    }

    /// The first that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Outgoing> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next will be due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn comes_out_by_due_time_and_equal_times_in_order() {
        let now = tokio::time::Instant::now().into_std();
        let mut outbox = Outbox::default();
        for (name, after) in [("late", 9), ("first", 1), ("second", 1), ("third", 2)] {
            let action = Action::Send(Bytes::from_static(name.as_bytes()));
            outbox.push(Outgoing { due: now + Duration::from_secs(after), completes_request: false, action });
        }
        assert!(outbox.pop(now).is_none());
        assert_eq!(outbox.next_due(), Some(now + Duration::from_secs(1)));
        let mut pop = |after| match outbox.pop(now + Duration::from_secs(after))?.action {
            Action::Send(bytes) => Some(bytes),
            _ => None,
        };
        let popped = [pop(2), pop(2), pop(2), pop(2), pop(9)];
        let names = popped.map(|bytes| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
        assert_eq!(
            names.each_ref().map(Option::as_deref),
            [Some("first"), Some("second"), Some("third"), None, Some("late")]
        );
    }
}
