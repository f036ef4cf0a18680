use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The line over which a node sends: bytes leave it one after the other, over all connections.
#[derive(Debug)]
pub(super) struct Uplink {
    bytes_per_second: Option<NonZeroU64>,
    /// When everything that was handed to it has left.
    free_at: Option<Instant>,
}

impl Uplink {
    pub(super) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, free_at: None }
    }

    /// Takes so many bytes; the time at which the last of them has left.
    pub(super) fn send(&mut self, bytes: usize, now: Instant) -> Instant {
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        let end = start + self.time_for(bytes as u64);
        self.free_at = Some(end);
        end
    }

    /// From when on so little is waiting that the node handles messages again.
    pub(super) fn accepts_at(&self) -> Option<Instant> {
        self.free_at.and_then(|free_at| free_at.checked_sub(self.time_for(MAX_WAITING_BYTES)))
    }

    fn time_for(&self, bytes: u64) -> Duration {
        self.bytes_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(bytes) / clamp(rate))
    }
}

/// Bytes that may wait to be sent before a node stops handling messages (Dash Core `DEFAULT_MAXSENDBUFFER`, net.h).
const MAX_WAITING_BYTES: u64 = 1_000_000;

/// Rates above 4 GB/s make no difference to any message.
fn clamp(rate: NonZeroU64) -> u32 {
    u32::try_from(rate.get()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_one_after_the_other() {
        let now = tokio::time::Instant::now().into_std();
        let mut uplink = Uplink::new(NonZeroU64::new(1_000));
        assert_eq!(uplink.send(500, now), now + Duration::from_millis(500));
        assert_eq!(uplink.send(500, now), now + Duration::from_secs(1));
        let later = now + Duration::from_secs(3);
        assert_eq!(uplink.send(100, later), later + Duration::from_millis(100), "idle time is not saved up");
    }

    #[test]
    fn handling_waits_while_more_than_a_megabyte_is_unsent() {
        let now = tokio::time::Instant::now().into_std();
        let mut uplink = Uplink::new(NonZeroU64::new(1_000_000));
        uplink.send(3_000_000, now);
        assert_eq!(uplink.accepts_at(), Some(now + Duration::from_secs(2)));
        let mut unlimited = Uplink::new(None);
        assert_eq!(unlimited.send(3_000_000, now), now);
    }
}
