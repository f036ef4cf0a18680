use std::{collections::BTreeMap, time::Instant};

use crate::{
    error::{ConfigError, ensure},
    token_bucket::{TokenBucket, validate_rate},
};

/// Rate limit of each key of [`TokenBuckets`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct TokenBucketsConfig {
    /// Maximum number of tokens of one key that can be taken at the same time after a quiet period. Default 8, range 1
    /// to 1000000.
    pub burst: u32,
    /// Tokens of one key per second in the long run. Default 20, range 0.001 to 1000000.
    pub per_second: f64,
    /// Maximum number of remembered keys. Default 1024, range 1 and up. Only a key whose bucket is full again is
    /// forgotten; while all places are taken by others, a new key has to wait.
    pub max_keys: usize,
}

impl TokenBucketsConfig {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ensure((1..=1_000_000).contains(&self.max_keys), "max_keys", "must be from 1 to 1000000")?;
        validate_rate(self.burst, self.per_second)
    }
}

impl Default for TokenBucketsConfig {
    fn default() -> Self {
        Self { burst: 8, per_second: 20.0, max_keys: 1024 }
    }
}

/// A [`TokenBucket`] for each key, for example each peer, in bounded memory. A new key has a full bucket.
#[derive(Debug, Clone)]
pub struct TokenBuckets<K> {
    full: TokenBucket,
    max_keys: usize,
    by_key: BTreeMap<K, TokenBucket>,
}

impl<K: Ord + Clone> TokenBuckets<K> {
    /// Creates full buckets for all keys.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: &TokenBucketsConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let full = TokenBucket::full(config.burst, config.per_second);
        Ok(Self { full, max_keys: config.max_keys, by_key: BTreeMap::new() })
    }

    /// Takes one token of this key.
    ///
    /// # Errors
    /// The instant from which it is worth asking again. Nothing is taken then.
    pub fn try_take(&mut self, key: &K, now: Instant) -> Result<(), Instant> {
        if let Some(bucket) = self.by_key.get_mut(key) {
            return bucket.try_take(now);
        }
        if self.by_key.len() >= self.max_keys {
            self.by_key.retain(|_, bucket| bucket.full_at(now) > now);
        }
        let place_at = self.place_at(now);
        if place_at > now {
            return Err(place_at);
        }
        let mut bucket = self.full.clone();
        bucket.try_take(now)?;
        self.by_key.insert(key.clone(), bucket);
        Ok(())
    }

    /// Returns when a token of this key will be available; `now` if there is one.
    #[must_use]
    pub fn ready_at(&self, key: &K, now: Instant) -> Instant {
        self.by_key.get(key).map_or_else(|| self.place_at(now), |bucket| bucket.ready_at(now))
    }

    /// Returns the remembered keys without an available token, in order.
    pub fn exhausted(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.by_key.iter().filter(move |(_, bucket)| bucket.ready_at(now) > now).map(|(key, _)| key)
    }

    /// When there is a place for one more key. A full bucket needs none: it is like one that was never used.
    fn place_at(&self, now: Instant) -> Instant {
        if self.by_key.len() < self.max_keys {
            return now;
        }
        self.by_key.values().map(|bucket| bucket.full_at(now)).min().unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn buckets(burst: u32, per_second: f64, max_keys: usize) -> TokenBuckets<u8> {
        TokenBuckets::new(&TokenBucketsConfig { burst, per_second, max_keys }).unwrap()
    }

    #[test]
    fn each_key_has_its_own_rate() {
        let (t0, mut buckets) = (start(), buckets(2, 1.0, 10));
        let next = t0 + Duration::from_secs(1);
        let taken = [1, 1, 1, 2, 2, 2].map(|key| buckets.try_take(&key, t0));
        assert_eq!(taken, [Ok(()), Ok(()), Err(next), Ok(()), Ok(()), Err(next)]);
        assert_eq!((buckets.ready_at(&1, t0), buckets.ready_at(&3, t0)), (next, t0));
        assert_eq!(buckets.exhausted(t0).collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(buckets.exhausted(next).count(), 0);
    }

    #[test]
    fn a_key_beyond_the_bound_waits_for_a_bucket_to_fill_and_erases_none() {
        let (t0, mut buckets) = (start(), buckets(2, 1.0, 2));
        let seconds = |s| t0 + Duration::from_secs(s);
        for key in [1, 1, 2] {
            assert_eq!(buckets.try_take(&key, t0), Ok(()));
        }
        assert_eq!((buckets.try_take(&3, t0), buckets.ready_at(&3, t0)), (Err(seconds(1)), seconds(1)));
        assert_eq!(buckets.try_take(&1, t0), Err(seconds(1)), "a crowd of keys wins nobody a token");
        assert_eq!(buckets.try_take(&3, seconds(1)), Ok(()));
        assert_eq!(buckets.by_key.keys().collect::<Vec<_>>(), [&1, &3]);
    }

    #[test]
    fn each_bad_field_is_named() {
        let base = TokenBucketsConfig::default;
        for (field, config) in [
            ("burst", TokenBucketsConfig { burst: 0, ..base() }),
            ("per_second", TokenBucketsConfig { per_second: f64::NAN, ..base() }),
            ("max_keys", TokenBucketsConfig { max_keys: 0, ..base() }),
        ] {
            assert_eq!(TokenBuckets::<u8>::new(&config).unwrap_err().field, field);
        }
    }

    proptest! {
        #[test]
        fn no_key_ever_gets_more_than_a_bucket_of_its_own_would_give(
            max_keys in 1_usize..6, steps in proptest::collection::vec((0_u64..400, 0_u8..8), 1..300),
        ) {
            let (t0, mut bounded) = (start(), buckets(3, 5.0, max_keys));
            let mut own: BTreeMap<u8, TokenBucket> = BTreeMap::new();
            let mut ms = 0;
            for (step, key) in steps {
                ms += step;
                let now = t0 + Duration::from_millis(ms);
                let promised = bounded.ready_at(&key, now);
                let taken = bounded.try_take(&key, now);
                prop_assert_eq!(taken, if promised == now { Ok(()) } else { Err(promised) });
                // Refused for want of a place, the key takes nothing from its own bucket either.
                let own = own.entry(key).or_insert_with(|| TokenBucket::new(3, 5.0).unwrap());
                if taken.is_ok() || max_keys == 5 && bounded.by_key.len() < 5 {
                    prop_assert_eq!(own.try_take(now), taken);
                }
                prop_assert!(bounded.by_key.len() <= max_keys);
            }
        }
    }
}
