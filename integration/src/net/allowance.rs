use std::time::Duration;

use tokio::time::Instant;

/// What a connection may bring that nobody asked for, at once ...
const BURST: u32 = 1_000;

/// ... and per second from then on. A message costs one, and one more for each begun [`PAYLOAD_PER_TOKEN`] of its payload.
/// Nodes announce a block every two and a half minutes, ping every two minutes, and send a few `inv` per second at most.
const PER_SECOND: u32 = 20;

/// The same where they announce transactions and InstantSend locks: of those the busiest day had dozens per second.
const PER_SECOND_WITH_TRANSACTIONS: u32 = 200;

/// Bytes of payload that cost as much as one more message.
const PAYLOAD_PER_TOKEN: usize = 4 * 1024;

/// Bytes of an answer that came before that cost as much as one more message: several of the largest are no fault.
const REPETITION_PER_TOKEN: usize = 64 * 1024;

/// What a message costs that cannot be decoded, or whose checksum is wrong.
const BROKEN: u32 = 50;

/// The bounded amount of messages that a node may send unasked: a bucket of tokens that refills.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When it will be full again.
    full_at: Instant,
    /// Time in which it gets one token.
    interval: Duration,
}

/// That a node sends more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Allowance {
    /// For a node that announces transactions, or does not.
    pub(super) fn new(with_transactions: bool, now: Instant) -> Self {
        let per_second = if with_transactions { PER_SECOND_WITH_TRANSACTIONS } else { PER_SECOND };
        Self { full_at: now, interval: Duration::from_secs(1) / per_second }
    }

    /// A message that nobody asked for, with a payload of so many bytes.
    pub(super) fn unasked(&mut self, payload: usize, now: Instant) -> Result<(), Exhausted> {
        self.take(1 + tokens(payload, PAYLOAD_PER_TOKEN), now)
    }

    /// An answer that had come before.
    pub(super) fn repeated(&mut self, payload: usize, now: Instant) -> Result<(), Exhausted> {
        self.take(1 + tokens(payload, REPETITION_PER_TOKEN), now)
    }

    /// A message that cannot be read.
    pub(super) fn broken(&mut self, now: Instant) -> Result<(), Exhausted> {
        self.take(BROKEN, now)
    }

    fn take(&mut self, tokens: u32, now: Instant) -> Result<(), Exhausted> {
        let full_at = self.full_at.max(now) + self.interval * tokens;
        if full_at - now > self.interval * BURST {
            return Err(Exhausted);
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// Larger payloads than the type counts are refused before.
fn tokens(payload: usize, per_token: usize) -> u32 {
    u32::try_from(payload.div_ceil(per_token)).unwrap_or(BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these are taken at once, and how many in the hour after.
    fn taken(mut take: impl FnMut(&mut Allowance, Instant) -> Result<(), Exhausted>) -> (usize, usize) {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(false, now);
        let at_once = (0..10_000).take_while(|_| take(&mut allowance, now).is_ok()).count();
        let mut later = 0;
        for _ in 0..3_600 {
            now += Duration::from_secs(1);
            while take(&mut allowance, now).is_ok() {
                later += 1;
            }
        }
        (at_once, later)
    }

    #[tokio::test(start_paused = true)]
    async fn honest_traffic_is_far_below_and_floods_are_above() {
        assert_eq!(taken(|allowance, now| allowance.unasked(8, now)), (500, 36_000), "pings");
        assert_eq!(taken(|allowance, now| allowance.unasked(162_001, now)), (24, 1_756), "full headers");
        assert_eq!(taken(|allowance, now| allowance.unasked(1_800_003, now)).0, 2, "full inventories");
        assert_eq!(taken(|allowance, now| allowance.broken(now)), (20, 1_440), "broken messages");
        assert_eq!(taken(|allowance, now| allowance.repeated(4 << 20, now)).0, 15, "large answers once more");
        assert!(Allowance::new(false, Instant::now()).repeated(32 << 20, Instant::now()).is_ok());
    }
}
