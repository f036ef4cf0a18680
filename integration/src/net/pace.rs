use std::time::Duration;

use tokio::time::Instant;

/// Bytes per second that a message which was begun has to grow by at least. The slowest lines in use bring twice as much.
const LEAST_PER_SECOND: u32 = 1_024;

/// Whether a message that was begun goes on: within each grace it is to grow as much as the least pace amounts to.
#[derive(Debug)]
pub(super) struct Pace {
    grace: Duration,
    since: Instant,
    grown: usize,
}

impl Pace {
    pub(super) const fn new(grace: Duration, now: Instant) -> Self {
        Self { grace, since: now, grown: 0 }
    }

    /// So many bytes came.
    pub(super) fn grew(&mut self, count: usize, now: Instant) {
        self.grown += count;
        if self.grown as u128 * 1_000 >= u128::from(LEAST_PER_SECOND) * self.grace.as_millis() {
            *self = Self::new(self.grace, now);
        }
    }

    /// Nothing could come for so long, because this side did not read.
    pub(super) fn excuse(&mut self, time: Duration) {
        self.since += time;
    }

    /// When the message is too slow, unless something comes.
    pub(super) fn ends(&self) -> Instant {
        self.since + self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(20);

    /// After how many seconds a message of a mebibyte that grows by so much per second is given up.
    fn given_up(per_second: usize) -> Option<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(GRACE, start);
        (1..=(1 << 20) / per_second as u64).find(|second| {
            let now = start + Duration::from_secs(*second);
            let is_late = now > pace.ends();
            pace.grew(per_second, now);
            is_late
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_line_in_use_is_quick_enough_and_a_trickle_is_not() {
        assert_eq!(given_up(1), Some(21));
        assert_eq!(given_up(1_000), Some(21));
        assert_eq!(given_up(2_000), None);
        assert_eq!(given_up(1_024), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_was_read_is_not_counted() {
        let mut pace = Pace::new(GRACE, Instant::now());
        let before = pace.ends();
        pace.excuse(GRACE);
        assert_eq!(pace.ends(), before + GRACE);
    }
}
