use std::time::{Duration, Instant};

/// Number and age of the samples of an estimate. With few or old samples it means little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confidence {
    /// Number of samples in the estimate.
    pub samples: u64,
    /// Time of the last sample; `None` if there was none.
    pub last: Option<Instant>,
}

impl Confidence {
    /// Returns the age of the last sample, or `None` if there was none.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| now.saturating_duration_since(last))
    }

    pub(crate) const fn sampled(&mut self, now: Instant) {
        self.samples = self.samples.saturating_add(1);
        self.last = Some(now);
    }
}
