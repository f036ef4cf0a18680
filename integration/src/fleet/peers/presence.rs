use std::time::Duration;

use tokio::time::Instant;

use super::Peers;
use crate::timer::sleep_until;

/// An address that failed this often in a row is not expected to be reached.
const UNREACHABLE_AFTER: u32 = 3;

/// Once the first peer has greeted, the others get this long at least before a sync may end without having heard them.
const MIN_GRACE: Duration = Duration::from_millis(20);

/// Since when there are peers, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presence {
    /// When connecting began.
    started: Instant,
    first_greeting: Option<Instant>,
    /// Since when nobody can be asked.
    deserted_since: Option<Instant>,
    /// Whether nobody ever could be.
    from_the_start: bool,
    /// How long to wait for somebody.
    patience: Duration,
}

/// What became of there being peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The first one has greeted, this long after connecting began.
    First(Duration),
    /// Nobody is left who can be asked.
    Deserted,
    /// There is a peer again; the time without one.
    Back(Duration),
}

impl Presence {
    pub(super) fn new(patience: Duration) -> Self {
        let started = Instant::now();
        Self { started, first_greeting: None, deserted_since: Some(started), from_the_start: true, patience }
    }

    /// So many peers have greeted now, and so many of them have answered a ping.
    pub(super) fn update(&mut self, greeted: usize, proven: usize, now: Instant) -> Option<Change> {
        let is_first = greeted > 0 && self.first_greeting.is_none();
        if is_first {
            self.first_greeting = Some(now);
        }
        if proven > 0 {
            let since = self.deserted_since.take().filter(|_| !self.from_the_start);
            self.from_the_start = false;
            return since
                .map(|since| Change::Back(now - since))
                .or_else(|| is_first.then(|| Change::First(now - self.started)));
        }
        let is_new = self.deserted_since.is_none();
        self.deserted_since.get_or_insert(now);
        match is_first {
            true => Some(Change::First(now - self.started)),
            false => is_new.then_some(Change::Deserted),
        }
    }

    fn patience_ends(&self) -> Option<Instant> {
        self.deserted_since.map(|since| since + self.patience)
    }
}

/// Waiting for peers.
impl Peers {
    /// Whether it is no use to wait for a peer: nobody could be asked for as long as patience lasts, or nobody ever could
    /// and every address has failed again and again.
    pub(crate) fn none_expected(&self) -> bool {
        let presence = *self.presence.lock();
        let Some(ends) = presence.patience_ends() else { return false };
        let all_unreachable = || match self.pool.discovery() {
            Some(discovery) => discovery.is_hopeless(),
            None => self.book.all_unreachable(UNREACHABLE_AFTER),
        };
        // A name that cannot be looked up is a peer that cannot be reached.
        let no_name_expected = || self.book.all_unresolvable(UNREACHABLE_AFTER);
        Instant::now() >= ends || presence.from_the_start && all_unreachable() && no_name_expected()
    }

    /// Resolves when patience ends; never while somebody can be asked.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn out_of_patience(&self) {
        let ends = self.presence.lock().patience_ends();
        sleep_until(ends).await;
    }

    /// Waits until a peer has greeted; returns whether there is one.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ready(&self) -> bool {
        let mut changed = self.changed.subscribe();
        while *changed.borrow_and_update() == 0 {
            if self.none_expected() {
                return false;
            }
            tokio::select! {
                biased;
                // Cannot fail: the sender is a field of `self`.
                _ = changed.changed() => {}
                () = self.out_of_patience() => {}
            }
        }
        true
    }

    /// Resolves when every address has greeted, or has had a little more time for it than the first one took.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn gathered(&self) {
        let mut changed = self.changed.subscribe();
        // Cannot fail: the sender is a field of `self`.
        changed.wait_for(|_| self.presence.lock().first_greeting.is_some()).await.ok();
        let Presence { started, first_greeting, .. } = *self.presence.lock();
        let first = first_greeting.unwrap_or(started);
        let grace = ((first - started) / 4).max(MIN_GRACE);
        let everybody = match self.pool.discovery() {
            Some(discovery) => discovery.expected(),
            None => self.book.len(),
        };
        // Elapses when some peer does not come in time. Whoever comes later joins in what is left.
        tokio::time::timeout_at(first + grace, changed.wait_for(|&greeted| greeted >= everybody)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_peer_the_loss_of_all_and_their_return_are_told_once_each() {
        let second = Duration::from_secs(1);
        let mut presence = Presence::new(second * 100);
        let mut after = async |greeted, proven| {
            tokio::time::advance(second).await;
            presence.update(greeted, proven, Instant::now())
        };
        assert_eq!(after(0, 0).await, None, "an attempt that failed");
        assert_eq!(after(1, 0).await, Some(Change::First(second * 2)));
        assert_eq!(after(1, 1).await, None, "the first one is usable");
        assert_eq!(after(2, 1).await, None);
        assert_eq!(after(0, 0).await, Some(Change::Deserted));
        assert_eq!(after(1, 0).await, None, "it has not answered yet");
        assert_eq!(after(1, 1).await, Some(Change::Back(second * 2)));
        assert_eq!(after(1, 1).await, None);
    }
}
