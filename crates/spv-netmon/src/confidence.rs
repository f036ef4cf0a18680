use std::time::{Duration, Instant};

/// How much an estimate rests on. With few samples or after a long time it means little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confidence {
    /// Samples that went into the estimate.
    pub samples: u64,
    /// When the last of them was taken; `None` when there was none.
    pub last: Option<Instant>,
}

impl Confidence {
    /// How old the last sample is; `None` when there was none.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| now.saturating_duration_since(last))
    }

    pub(crate) const fn sampled(&mut self, now: Instant) {
        self.samples = self.samples.saturating_add(1);
        self.last = Some(now);
    }
}
