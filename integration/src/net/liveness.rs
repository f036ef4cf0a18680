use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Unanswered pings that are remembered; far more than are ever under way to a node that answers.
const MAX_PINGS: usize = 64;

/// Whether a node still answers: each ping, of whatever kind, is to have its pong within the limit.
///
/// A large answer holds up the pongs behind it, so that time does not count in which an answer is coming. Nor does time in
/// which this side does not read.
#[derive(Debug)]
pub(super) struct Liveness {
    limit: Duration,
    /// Pings without pong and when they were sent, oldest first.
    pings: VecDeque<(u64, Instant)>,
    /// Until when the node was excused.
    excused_until: Instant,
    /// Whether this side is not reading.
    is_deaf: bool,
}

impl Liveness {
    pub(super) const fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, pings: VecDeque::new(), excused_until: now, is_deaf: false }
    }

    pub(super) fn pinged(&mut self, nonce: u64, now: Instant) {
        // The oldest one decides.
        if self.pings.len() < MAX_PINGS {
            self.pings.push_back((nonce, now));
        }
    }

    /// A pong came. Pings before this one were swallowed. Whether it answers any.
    pub(super) fn ponged(&mut self, nonce: u64) -> bool {
        let index = self.pings.iter().position(|(sent, _)| *sent == nonce);
        if let Some(index) = index {
            self.pings.drain(..=index);
        }
        index.is_some()
    }

    /// Whether the pong of this ping is still waited for.
    pub(super) fn awaits(&self, nonce: u64) -> bool {
        self.pings.iter().any(|(sent, _)| *sent == nonce)
    }

    /// Whether any pong is waited for.
    pub(super) fn awaits_any(&self) -> bool {
        !self.pings.is_empty()
    }

    /// A part of an answer came.
    pub(super) const fn answering(&mut self, now: Instant) {
        self.excused_until = now;
    }

    /// This side stops reading, or goes on.
    pub(super) const fn deaf(&mut self, is_deaf: bool, now: Instant) {
        (self.is_deaf, self.excused_until) = (is_deaf, now);
    }

    /// When the node is given up unless something comes; `None` while no pong is waited for.
    pub(super) fn ends(&self, now: Instant) -> Option<Instant> {
        let (_, sent) = self.pings.front()?;
        let since = if self.is_deaf { now } else { self.excused_until };
        Some((*sent).max(since) + self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_ping_without_pong_counts() {
        let now = Instant::now();
        let mut liveness = Liveness::new(LIMIT, now);
        assert_eq!(liveness.ends(now), None);
        (1..=3).for_each(|nonce| liveness.pinged(nonce, now + s(nonce)));
        assert_eq!(liveness.ends(now + s(5)), Some(now + s(21)));
        assert!(!liveness.ponged(7));
        assert_eq!(liveness.ends(now + s(5)), Some(now + s(21)), "of no ping");
        assert!(liveness.ponged(2));
        assert_eq!(liveness.ends(now + s(5)), Some(now + s(23)), "the first was swallowed");
        assert!(!liveness.awaits(1) && liveness.awaits(3));
        assert!(liveness.ponged(3) && !liveness.awaits_any());
        assert_eq!(liveness.ends(now + s(5)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_on_their_way_and_our_own_deafness_excuse() {
        let now = Instant::now();
        let mut liveness = Liveness::new(LIMIT, now);
        liveness.pinged(1, now);
        liveness.answering(now + s(19));
        assert_eq!(liveness.ends(now + s(19)), Some(now + s(39)));
        liveness.deaf(true, now + s(30));
        assert_eq!(liveness.ends(now + s(100)), Some(now + s(120)));
        liveness.deaf(false, now + s(100));
        assert_eq!(liveness.ends(now + s(119)), Some(now + s(120)));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_that_are_remembered_are_bounded() {
        let now = Instant::now();
        let mut liveness = Liveness::new(LIMIT, now);
        (0..1_000).for_each(|nonce| liveness.pinged(nonce, now + s(nonce)));
        assert_eq!((liveness.pings.len(), liveness.ends(now)), (MAX_PINGS, Some(now + LIMIT)));
    }
}
