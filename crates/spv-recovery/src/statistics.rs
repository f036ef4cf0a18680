use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::failure::FailureKind;

/// Recent outcomes by kind. The window slides in steps of a tenth of its length.
#[derive(Debug, Clone)]
pub struct Statistics {
    step: Duration,
    origin: Option<Instant>,
    /// Oldest first, at most `STEPS`, without those in which nothing happened.
    steps: VecDeque<Step>,
}

impl Statistics {
    pub(crate) fn new(window: Duration) -> Self {
        Self { step: window / u32::from(STEPS), origin: None, steps: VecDeque::new() }
    }

    /// Returns the number of successes in the window before `now`.
    #[must_use]
    pub fn successes(&self, now: Instant) -> u64 {
        self.recent(now).map(|step| step.successes).sum()
    }

    /// Returns the number of failures of one kind in the window before `now`. Requests that one disconnect ended count
    /// once.
    #[must_use]
    pub fn failures(&self, kind: FailureKind, now: Instant) -> u64 {
        self.recent(now).map(|step| step.failures[kind as usize]).sum()
    }

    /// Returns the share of answers that failed through a peer's fault, 0 to 1, or `None` if there are fewer than 20
    /// outcomes. Refusals, missing peers and failures of our own side say nothing about the network and do not count.
    #[must_use]
    pub fn failure_rate(&self, now: Instant) -> Option<f64> {
        let blamed = FailureKind::ALL.into_iter().filter(|kind| kind.blames_peer());
        let failed: u64 = blamed.map(|kind| self.failures(kind, now)).sum();
        let total = failed + self.successes(now);
        (total >= MIN_OUTCOMES).then(|| failed as f64 / total as f64)
    }

    /// Returns the share of requests without a useful answer, for any reason including refusals, 0 to 1, or `None` if
    /// there are fewer than 20. Missing peers and local failures do not count as requests.
    #[must_use]
    pub fn loss_rate(&self, now: Instant) -> Option<f64> {
        let lost =
            FailureKind::ALL.into_iter().filter(|kind| kind.blames_peer() || *kind == FailureKind::Refused);
        let lost: u64 = lost.map(|kind| self.failures(kind, now)).sum();
        let total = lost + self.successes(now);
        (total >= MIN_OUTCOMES).then(|| lost as f64 / total as f64)
    }

    pub(crate) fn record_success(&mut self, now: Instant) {
        self.current(now).successes += 1;
    }

    /// Takes back a success that was recorded at `at`, unless it has left the window.
    pub(crate) fn take_back_success(&mut self, at: Instant, now: Instant) {
        let (index, oldest) = (self.index(at), self.oldest(now));
        if let Some(step) = self.steps.iter_mut().find(|step| step.index == index && index >= oldest) {
            step.successes = step.successes.saturating_sub(1);
        }
    }

    pub(crate) fn record_failure(&mut self, kind: FailureKind, now: Instant) {
        self.current(now).failures[kind as usize] += 1;
    }

    fn recent(&self, now: Instant) -> impl Iterator<Item = &Step> {
        let oldest = self.oldest(now);
        self.steps.iter().filter(move |step| step.index >= oldest)
    }

    /// The first step of the window that ends at `now`.
    fn oldest(&self, now: Instant) -> u128 {
        (self.index(now) + 1).saturating_sub(u128::from(STEPS))
    }

    fn current(&mut self, now: Instant) -> &mut Step {
        self.origin.get_or_insert(now);
        let index = self.index(now);
        if self.steps.back().is_none_or(|newest| newest.index < index) {
            if self.steps.len() == usize::from(STEPS) {
                self.steps.pop_front();
            }
            self.steps.push_back(Step { index, ..Step::default() });
        }
        self.steps.back_mut().expect("a step was pushed if there was none")
    }

    fn index(&self, now: Instant) -> u128 {
        self.origin
            .map_or(0, |origin| now.saturating_duration_since(origin).as_nanos() / self.step.as_nanos())
    }
}

#[derive(Debug, Clone, Default)]
struct Step {
    index: u128,
    successes: u64,
    failures: [u64; FailureKind::ALL.len()],
}

const STEPS: u8 = 10;
const MIN_OUTCOMES: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind::{Invalid, NoPeer, Refused, Timeout};

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn outcomes_leave_with_the_window() {
        let (t0, second) = (start(), Duration::from_secs(1));
        let mut statistics = Statistics::new(10 * second);
        for s in 0..100 {
            statistics.record_failure(Timeout, t0 + s * second);
            statistics.record_success(t0 + s * second);
        }
        let now = t0 + 99 * second;
        assert_eq!((statistics.failures(Timeout, now), statistics.successes(now)), (10, 10));
        assert_eq!(statistics.failure_rate(now), Some(0.5));
        assert_eq!(statistics.failures(Timeout, now + 4 * second), 6);
        assert_eq!(statistics.failures(Timeout, now + 10 * second), 0);
        assert_eq!(statistics.steps.len(), usize::from(STEPS));
    }

    #[test]
    fn the_rate_counts_what_peers_did_and_needs_enough_of_it() {
        let now = start();
        let mut statistics = Statistics::new(Duration::from_secs(60));
        for _ in 0..100 {
            statistics.record_failure(Refused, now);
            statistics.record_failure(NoPeer, now);
        }
        for _ in 0..19 {
            statistics.record_failure(Invalid, now);
        }
        assert_eq!(statistics.failure_rate(now), None);
        statistics.record_success(now);
        assert_eq!(statistics.failure_rate(now), Some(0.95));
    }
}
