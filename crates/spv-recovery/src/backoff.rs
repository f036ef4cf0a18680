use std::time::Duration;

use fastrand::Rng;

/// Exponential backoff with full jitter: round `n` waits a uniformly random time in `[0, min(cap, base * 2^n)]`.
///
/// Full jitter spreads clients over the whole range, at any length; a fixed extra second would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// Creates a backoff that starts at `base` and grows to `cap`.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// Returns the longest wait of round `n`, counted from 0. Saturates for every `n`.
    #[must_use]
    pub fn ceiling(&self, n: u32) -> Duration {
        let factor = 1_u32.checked_shl(n).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Returns a random wait for round `n`, counted from 0.
    pub fn delay(&self, n: u32, rng: &mut Rng) -> Duration {
        let nanos = u64::try_from(self.ceiling(n).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rng.u64(0..=nanos))
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_never_overflows() {
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let ms = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|n| backoff.ceiling(n).as_millis());
        assert_eq!(ms, [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).ceiling(u32::MAX), Duration::MAX);
    }

    #[test]
    fn delays_fill_the_whole_range() {
        let (backoff, mut rng) =
            (Backoff::new(Duration::from_secs(1), Duration::from_secs(8)), Rng::with_seed(1));
        let delays: Vec<_> = (0..1000).map(|_| backoff.delay(10, &mut rng)).collect();
        assert!(delays.iter().any(|d| d.as_millis() < 200) && delays.iter().any(|d| d.as_millis() > 7_800));
    }

    proptest! {
        #[test]
        fn every_delay_is_within_its_bounds(
            base in any::<Duration>(), cap in any::<Duration>(), n in any::<u32>(), seed in any::<u64>(),
        ) {
            let backoff = Backoff::new(base, cap);
            let delay = backoff.delay(n, &mut Rng::with_seed(seed));
            let exact = 2_u128.checked_pow(n).and_then(|factor| base.as_nanos().checked_mul(factor));
            prop_assert!(delay <= cap);
            prop_assert!(exact.is_none_or(|exact| delay.as_nanos() <= exact));
        }
    }
}
