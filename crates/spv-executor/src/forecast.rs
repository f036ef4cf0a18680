use std::time::Duration;

/// When a peer that serves one request after the other would answer further ones, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Until it would have answered one more request, behind those that it has.
    pub(crate) first_answer: Duration,
    /// From that answer to the next one, and so on.
    pub(crate) interval: Duration,
}

impl Forecast {
    /// How many more requests it would have answered before so long.
    pub(crate) fn answered_before(&self, time: Duration) -> u128 {
        match time.checked_sub(self.first_answer) {
            Some(more) => more.as_nanos().div_ceil(self.interval.max(RESOLUTION).as_nanos()),
            None => 0,
        }
    }
}

/// Times below this cannot be told from none.
const RESOLUTION: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_takes_the_way_and_the_others_follow_it() {
        let forecast =
            Forecast { first_answer: Duration::from_millis(100), interval: Duration::from_millis(20) };
        for (ms, answered) in [(0, 0), (100, 0), (101, 1), (120, 1), (121, 2), (300, 10)] {
            assert_eq!(forecast.answered_before(Duration::from_millis(ms)), answered, "{ms}");
        }
        let instant = Forecast { first_answer: Duration::ZERO, interval: Duration::ZERO };
        assert_eq!(instant.answered_before(Duration::from_micros(3)), 3);
    }
}
