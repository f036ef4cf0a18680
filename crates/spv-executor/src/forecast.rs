use std::time::Duration;

/// When a peer that serves one request after the other would answer further ones, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Nanoseconds, of which some centuries are enough: until it would have answered one more request, behind those that
    /// it has.
    first_answer: u64,
    /// From that answer to the next one, and so on.
    interval: u64,
}

impl Forecast {
    /// The first answer after so long, and then one after each `interval`, or `depth` in each `round` if that is slower.
    pub(crate) fn new(first_answer: Duration, interval: Duration, round: Duration, depth: u64) -> Self {
        let interval = nanos(interval.max(RESOLUTION)).max(nanos(round) / depth.max(1));
        Self { first_answer: nanos(first_answer), interval }
    }

    pub(crate) const fn first_answer(&self) -> Duration {
        Duration::from_nanos(self.first_answer)
    }

    /// How many more requests it would have answered before so long.
    pub(crate) fn answered_before(&self, time: Duration) -> u64 {
        nanos(time).checked_sub(self.first_answer).map_or(0, |more| more.div_ceil(self.interval))
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into())
}

/// Times below this cannot be told from none.
const RESOLUTION: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_takes_the_way_and_the_others_follow_it() {
        let forecast = Forecast::new(
            Duration::from_millis(100),
            Duration::from_millis(20),
            Duration::from_millis(60),
            3,
        );
        for (ms, answered) in [(0, 0), (100, 0), (101, 1), (120, 1), (121, 2), (300, 10)] {
            assert_eq!(forecast.answered_before(Duration::from_millis(ms)), answered, "{ms}");
        }
        let instant = Forecast::new(Duration::ZERO, Duration::ZERO, Duration::ZERO, 1);
        assert_eq!(instant.answered_before(Duration::from_micros(3)), 3);
    }
}
