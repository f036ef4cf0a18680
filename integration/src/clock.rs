//! Wall-clock time, which only headers and the handshake depend on.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 on a clock before that, the largest value on one after 2106.
#[expect(clippy::disallowed_methods, reason = "the one place where wall-clock time enters")]
pub(crate) fn unix_time() -> u32 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
}
