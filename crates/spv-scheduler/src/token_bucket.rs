use std::time::{Duration, Instant};

use crate::error::{ConfigError, ensure};

/// A rate limit with at most `capacity` tokens, which are refilled continuously at a fixed rate. The bucket is full at
/// the start.
///
/// In any window of length `w` at most `capacity + w * rate` tokens are given out. There is no timer: the level
/// follows from `now`, in whole nanoseconds, so nothing drifts. [`TokenBuckets`](crate::TokenBuckets) holds one
/// per peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBucket {
    /// Time in which one token grows.
    interval: Duration,
    /// Time in which an empty bucket fills.
    depth: Duration,
    /// When the bucket will be full again. One instant says everything about the level.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// Creates a full bucket of `capacity` tokens (1 to 1000000), refilled `per_second` (0.001 to 1000000).
    ///
    /// # Errors
    /// Names `burst` or `per_second`, as [`Config`](crate::Config) calls them, if out of range.
    pub fn new(capacity: u32, per_second: f64) -> Result<Self, ConfigError> {
        validate_rate(capacity, per_second)?;
        Ok(Self::full(capacity, per_second))
    }

    /// A full bucket of a rate that is known to be valid.
    pub(crate) fn full(capacity: u32, per_second: f64) -> Self {
        let interval = Duration::from_secs_f64(per_second.recip());
        Self { interval, depth: interval * capacity, full_at: None }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The instant from which a token can be had, if there is none now. Nothing is taken then.
    pub fn try_take(&mut self, now: Instant) -> Result<(), Instant> {
        let ready_at = self.ready_at(now);
        if ready_at > now {
            return Err(ready_at);
        }
        self.full_at = Some(self.full_at(now) + self.interval);
        Ok(())
    }

    /// Returns when a token will be available; `now` if there is one.
    #[must_use]
    pub fn ready_at(&self, now: Instant) -> Instant {
        let missing = self.full_at(now).duration_since(now) + self.interval;
        now + missing.saturating_sub(self.depth)
    }

    /// When the bucket will be full; `now` if it is.
    pub(crate) fn full_at(&self, now: Instant) -> Instant {
        self.full_at.map_or(now, |at| at.max(now))
    }
}

/// The range of every rate of this crate. The fields are named alike in each configuration that has one.
pub(crate) fn validate_rate(burst: u32, per_second: f64) -> Result<(), ConfigError> {
    let rates = MIN_PER_SECOND..=MAX_PER_SECOND;
    ensure((1..=MAX_CAPACITY).contains(&burst), "burst", "must be from 1 to 1000000")?;
    ensure(rates.contains(&per_second), "per_second", "must be from 0.001 to 1000000")
}

const MAX_CAPACITY: u32 = 1_000_000;
const MIN_PER_SECOND: f64 = 0.001;
const MAX_PER_SECOND: f64 = 1_000_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn an_empty_bucket_says_exactly_when_the_next_token_is_there() {
        let (t0, ms) = (start(), Duration::from_millis);
        let mut bucket = TokenBucket::new(2, 10.0).unwrap();
        assert_eq!(bucket.try_take(t0), Ok(()));
        assert_eq!(bucket.try_take(t0), Ok(()));
        assert_eq!(bucket.try_take(t0), Err(t0 + ms(100)));
        assert_eq!(bucket.try_take(t0 + ms(60)), Err(t0 + ms(100)), "asking costs nothing");
        assert_eq!(bucket.try_take(t0 + ms(99)), Err(t0 + ms(100)));
        assert_eq!(bucket.try_take(t0 + ms(100)), Ok(()));
        assert_eq!(bucket.try_take(t0 + ms(100)), Err(t0 + ms(200)));
    }

    #[test]
    fn a_bucket_emptied_once_fills_again_but_never_beyond_its_capacity() {
        let t0 = start();
        let mut bucket = TokenBucket::new(3, 1.0).unwrap();
        let later = t0 + Duration::from_secs(3600);
        for now in [t0, later] {
            let taken = (0..10).filter(|_| bucket.try_take(now).is_ok()).count();
            assert_eq!(taken, 3);
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_extra_token() {
        let t0 = start() + Duration::from_secs(10);
        let mut bucket = TokenBucket::new(1, 1.0).unwrap();
        assert_eq!(bucket.try_take(t0), Ok(()));
        assert_eq!(bucket.try_take(t0 - Duration::from_secs(5)), Err(t0 + Duration::from_secs(1)));
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        for (capacity, rate) in [(MAX_CAPACITY, MIN_PER_SECOND), (1, MAX_PER_SECOND)] {
            let mut bucket = TokenBucket::new(capacity, rate).unwrap();
            assert_eq!(bucket.try_take(start()), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_capacity_plus_rate(
            capacity in 1_u32..20,
            interval_ms in 1_u32..200,
            steps in proptest::collection::vec(0_u64..300, 1..150),
        ) {
            let t0 = start();
            let mut bucket = TokenBucket::new(capacity, 1000.0 / f64::from(interval_ms)).unwrap();
            let mut taken = Vec::new();
            let mut ms = 0;
            for step in steps {
                ms += step;
                if bucket.try_take(t0 + Duration::from_millis(ms)).is_ok() {
                    taken.push(ms);
                }
            }
            for (i, from) in taken.iter().enumerate() {
                for (j, to) in taken.iter().enumerate().skip(i) {
                    let allowed = u64::from(capacity) + (to - from) / u64::from(interval_ms);
                    prop_assert!((j - i + 1) as u64 <= allowed);
                }
            }
        }

        #[test]
        fn the_promised_instant_is_kept_and_is_the_earliest(
            capacity in 1_u32..5, rate in 1_u32..1000, offset_us in 0_u64..5_000,
        ) {
            let t0 = start();
            let mut bucket = TokenBucket::new(capacity, f64::from(rate)).unwrap();
            let at = (0..=capacity).find_map(|_| bucket.try_take(t0).err()).unwrap();
            let early = at - Duration::from_nanos(1);
            prop_assert_eq!(bucket.try_take(early), Err(at));
            let ask = t0 + Duration::from_micros(offset_us);
            prop_assert_eq!(bucket.try_take(ask).is_ok(), ask >= at);
        }
    }
}
