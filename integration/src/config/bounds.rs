//! Which values a setting can have, one constant for each kind of setting.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The values that a kind of setting can have, with the text for its error. NaN is never among them.
#[derive(Debug)]
pub(super) struct Bounds<T> {
    range: RangeInclusive<T>,
    pub(super) said: &'static str,
}

impl<T: PartialOrd> Bounds<T> {
    const fn new(least: T, most: T, said: &'static str) -> Self {
        Self { range: RangeInclusive::new(least, most), said }
    }

    pub(super) fn allow(&self, value: &T) -> bool {
        self.range.contains(value)
    }
}

const DAY: u64 = 24 * 3_600;

/// No ban is longer. One that says so was written with a clock that was ahead.
pub(crate) const LONGEST_BAN: Duration = Duration::from_secs(30 * DAY);

/// Time that something may take, or after which it is done again. Far longer ones would not fit a clock.
pub(super) const TIME: Bounds<Duration> = Bounds::new(
    Duration::from_millis(1),
    Duration::from_secs(365 * DAY),
    "must be from 1 ms to a year (365 days)",
);

/// For how long a node is avoided.
pub(super) const BAN: Bounds<Duration> = Bounds::new(Duration::ZERO, LONGEST_BAN, "must be at most 30 days");

/// Requests ahead of the lowest missing list. Memory holds as many answers.
pub(super) const WINDOW: Bounds<usize> = Bounds::new(1, 16_384, "must be from 1 to 16384");

/// Size of one answer in bytes: those of real nodes reach a few MiB.
pub(super) const PAYLOAD: Bounds<usize> =
    Bounds::new(4 << 20, 256 << 20, "must be from 4 MiB, the size of real answers, to 256 MiB");

/// Connections that are kept.
pub(super) const CONNECTIONS: Bounds<usize> = Bounds::new(3, 64, "must be from 3 to 64");

/// Clients of the API at one time.
pub(super) const CLIENTS: Bounds<usize> = Bounds::new(8, 65_536, "must be from 8 to 65536");

/// Maximum number of remembered addresses.
pub(super) const ADDRESSES: Bounds<usize> = Bounds::new(64, 20_000, "must be from 64 to 20000");

/// Addresses in one network.
pub(super) const OF_NETWORK: Bounds<usize> = Bounds::new(1, 20_000, "must be from 1 to 20000");

/// Part of a whole.
pub(super) const SHARE: Bounds<f64> = Bounds::new(0.0, 1.0, "must be from 0 to 1");

/// Lists in memory; one of mainnet's takes 2 MB.
pub(super) const CACHED_LISTS: Bounds<usize> = Bounds::new(0, 1_024, "must be at most 1024");

/// Lookups at one time.
pub(super) const LOOKUPS: Bounds<usize> = Bounds::new(1, 65_536, "must be from 1 to 65536");

/// Targets that there are: the crates that log.
pub(super) const LOG_TARGETS: [&str; 8] = [
    "qrsync",
    "spv_integration",
    "spv_executor",
    "spv_scheduler",
    "spv_recovery",
    "spv_correlation",
    "spv_netmon",
    "spv_simnet",
];

/// Levels that there are.
pub(super) const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_in_no_bounds() {
        for (share, allowed) in
            [(0.0, true), (1.0, true), (1.1, false), (f64::NAN, false), (f64::INFINITY, false)]
        {
            assert_eq!(SHARE.allow(&share), allowed, "{share}");
        }
        assert!(TIME.allow(&Duration::from_secs(365 * DAY)) && !TIME.allow(&Duration::MAX));
        assert!(!TIME.allow(&Duration::ZERO));
    }
}
