use std::time::Duration;

/// Exponentially weighted mean of the bytes per second of real answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throughput {
    bytes_per_second: Option<f64>,
}

impl Throughput {
    /// `elapsed` runs from request to answer, and all of it but the round trip is transfer time. Returns whether the answer
    /// said something: one that is nearly all round trip does not, because then the rest is mostly the error of
    /// the estimated round trip, and would make bandwidth endless.
    pub(crate) fn record(&mut self, bytes: u64, elapsed: Duration, round_trip: Duration) -> bool {
        let transfer = elapsed.saturating_sub(round_trip);
        if transfer < elapsed / LEAST_TRANSFER {
            return false;
        }
        let sample = as_f64(bytes) / transfer.max(RESOLUTION).as_secs_f64();
        self.bytes_per_second =
            Some(self.bytes_per_second.map_or(sample, |old| old + WEIGHT * (sample - old)));
        true
    }

    pub(crate) const fn bytes_per_second(&self) -> Option<f64> {
        self.bytes_per_second
    }
}

/// One answer in a burst counts for a quarter: quick enough for a link that changes, slow enough for noise.
const WEIGHT: f64 = 0.25;

/// The smallest part of the time that has to be transfer: round trips are not estimated better than this.
const LEAST_TRANSFER: u32 = 8;

/// Shorter times are below what a clock read around a socket can tell.
const RESOLUTION: Duration = Duration::from_micros(1);

#[expect(clippy::cast_precision_loss, reason = "one part in 2^53 does not matter to an estimate")]
pub(crate) const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_whole_round_trip_is_discounted_and_what_is_nearly_nothing_else_says_nothing() {
        for (elapsed, round_trip, expected) in [
            (ms(500), ms(0), Some(2_000_000.0)),
            (ms(500), ms(100), Some(2_500_000.0)),
            // 10 MB/s over a long way.
            (ms(320), ms(220), Some(10_000_000.0)),
            (ms(800), ms(700), Some(10_000_000.0)),
            (ms(800), ms(701), None),
            (ms(500), ms(499), None),
            (ms(500), Duration::MAX, None),
        ] {
            let mut throughput = Throughput::default();
            let said = throughput.record(1_000_000, elapsed, round_trip);
            assert_eq!((said, throughput.bytes_per_second()), (expected.is_some(), expected));
        }
    }

    #[test]
    fn a_change_of_speed_shows_within_a_few_answers() {
        let mut throughput = Throughput::default();
        throughput.record(100_000, ms(100), ms(0));
        for _ in 0..10 {
            throughput.record(100_000, ms(1000), ms(0));
        }
        let rate = throughput.bytes_per_second().unwrap();
        assert!((100_000.0..160_000.0).contains(&rate), "{rate}");
    }

    proptest! {
        #[test]
        fn no_input_makes_the_rate_meaningless(
            answers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 1..20),
        ) {
            let mut throughput = Throughput::default();
            for (bytes, elapsed, round_trip) in answers {
                throughput.record(bytes, Duration::from_secs(elapsed), Duration::from_secs(round_trip));
                throughput.record(bytes, Duration::from_nanos(elapsed), Duration::from_nanos(round_trip));
            }
            prop_assert!(throughput.bytes_per_second().is_none_or(|rate| rate.is_finite() && rate >= 0.0));
        }
    }
}
