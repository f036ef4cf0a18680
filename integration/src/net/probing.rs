use std::time::Duration;

use tokio::time::Instant;

/// When to send one more ping behind requests for which neither an answer nor a pong has come: a node that swallowed a
/// request may have swallowed its ping too, and only a later pong tells.
#[derive(Debug)]
pub(super) struct Probing {
    /// Usual time from a request to its answer or pong, and its mean deviation.
    usual: Option<(Duration, Duration)>,
    /// The oldest request that is waited for, and pings sent since it is.
    waiting_since: Option<Instant>,
    sent: u32,
    last: Instant,
}

impl Probing {
    pub(super) fn new(now: Instant) -> Self {
        Self { usual: None, waiting_since: None, sent: 0, last: now }
    }

    /// An answer or a refusal took so long.
    pub(super) fn took(&mut self, elapsed: Duration) {
        self.usual = Some(match self.usual {
            None => (elapsed, elapsed / 2),
            Some((mean, deviation)) => {
                ((mean * 7 + elapsed) / 8, (deviation * 3 + mean.abs_diff(elapsed)) / 4)
            }
        });
    }

    /// When the next ping is due, with the oldest request without answer or pong sent at `waiting_since`.
    pub(super) fn due(&mut self, waiting_since: Option<Instant>) -> Option<Instant> {
        if self.waiting_since != waiting_since {
            (self.waiting_since, self.sent) = (waiting_since, 0);
        }
        // Each ping takes the place of the one before, whose pong must have had the time to come.
        let after = self.patience().saturating_mul(1 << self.sent.min(MAX_DOUBLINGS));
        Some(waiting_since?.max(self.last) + after)
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.last = now;
        self.sent = self.sent.saturating_add(1);
    }

    /// Longer than nearly all answers take, where that is known.
    fn patience(&self) -> Duration {
        self.usual.map_or(UNMEASURED, |(mean, deviation)| (mean + deviation * 4).clamp(LEAST, MOST))
    }
}

const UNMEASURED: Duration = Duration::from_millis(500);
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(10);
const MAX_DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_due_once_nearly_all_answers_would_have_come() {
        let now = Instant::now();
        let mut probing = Probing::new(now);
        assert_eq!(probing.due(None), None);
        assert_eq!(probing.due(Some(now)), Some(now + ms(500)), "not measured");
        probing.took(ms(80));
        assert_eq!(probing.due(Some(now)), Some(now + ms(240)));
        (0..50).for_each(|_| probing.took(ms(80)));
        assert_eq!(probing.due(Some(now)), Some(now + ms(100)), "the least");
        probing.took(ms(100_000));
        assert_eq!(probing.due(Some(now)), Some(now + ms(10_000)), "the most");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_pings_become_rarer_until_another_request_is_waited_for() {
        let now = Instant::now();
        let mut probing = Probing::new(now);
        let mut at = now;
        for after in [500, 1_000, 2_000, 4_000, 8_000, 8_000] {
            assert_eq!(probing.due(Some(now)), Some(at + ms(after)));
            at += ms(after);
            probing.sent(at);
        }
        assert_eq!(probing.due(Some(now + ms(1))), Some(at + ms(500)));
    }
}
