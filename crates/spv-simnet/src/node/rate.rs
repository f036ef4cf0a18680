use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How many more requests of a connection are answered now: a bucket that holds a second's worth.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: NonZeroU32,
    /// When the bucket will be full, if nothing comes.
    full_at: Option<Instant>,
}

impl Rate {
    pub(super) const fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, full_at: None }
    }

    /// Whether one more is answered.
    pub(super) fn takes(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / self.per_second.get();
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + each;
        let fits = full_at <= now + Duration::from_secs(1);
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_at_once_and_then_as_time_goes_by() {
        let mut rate = Rate::new(NonZeroU32::new(4).unwrap());
        let start = crate::node::clock::now();
        let mut answered = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            (0..10).filter(|_| rate.takes(now)).count()
        };
        assert_eq!(
            [answered(0), answered(0), answered(250), answered(260), answered(1_000)],
            [4, 0, 1, 0, 3]
        );
        assert_eq!(answered(60_000), 4);
    }
}
