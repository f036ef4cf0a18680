//! Where time comes from: the runtime's clock, and wall-clock time, which only headers, the handshake and what is
//! remembered of peers depend on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Time since 1970, in UTC and without leap seconds.
pub(crate) type UnixTime = Duration;

/// The time of tokio's clock, which obeys paused time, for the mechanism crates, which know no tokio.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Wall-clock time.
pub(crate) fn unix_now() -> UnixTime {
    Duration::from_secs(unix_seconds().into())
}

/// Wall-clock time as the protocol writes it, in seconds since 1970; 0 on a clock before that, the largest value on one after 2106.
/// Where tokio's clock is paused, what it was advanced by has passed here too.
#[expect(clippy::disallowed_methods, reason = "the one place where wall-clock time enters")]
pub(crate) fn unix_seconds() -> u32 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let advanced = now().saturating_duration_since(std::time::Instant::now());
    u32::try_from(elapsed.saturating_add(advanced).as_secs()).unwrap_or(u32::MAX)
}

/// A wall clock that is read once and goes on with tokio's, so that paused time drives it and nobody sets it back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnixClock {
    at_start: UnixTime,
    started: Instant,
}

impl UnixClock {
    /// Reads the time.
    pub(crate) fn start() -> Self {
        Self { at_start: unix_now(), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.at_start + self.started.elapsed()
    }
}
