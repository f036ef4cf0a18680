use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chain::{BlockId, HeaderChain};

/// Wait before a peer is asked for headers again that brought nothing new once; doubles each time, ...
const FRUITLESS_BASE: Duration = Duration::from_secs(2);

/// ... up to this: a peer that brings nothing is asked five times in the first minute, and once a minute after that.
const FRUITLESS_CAP: Duration = Duration::from_secs(60);

/// What a peer has shown to hold of the header chain, by the headers that it sent.
#[derive(Debug, Clone)]
pub(crate) struct HeardChain {
    /// The validated chain up to the last block that the peer is known to have.
    pub(crate) chain: Arc<HeaderChain>,
    /// Whether the peer had no more when it answered.
    pub(crate) is_complete: bool,
}

/// The peers that have answered a ping, by whether they can be asked for the list of a block.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// May have the block.
    pub(crate) ready: Vec<SocketAddr>,
    /// May have it, but have refused as often as they may on one connection.
    pub(crate) spent: Vec<SocketAddr>,
    /// Are known to lack it.
    pub(crate) others: Vec<SocketAddr>,
}

impl HeardChain {
    /// Whether the peer may have this block. It may as well where nothing speaks against it.
    pub(crate) fn may_hold(&self, block: &BlockId) -> bool {
        if block.height > self.chain.tip_height() {
            return !self.is_complete;
        }
        self.chain.hash(block.height).is_none_or(|hash| hash == block.hash)
    }

    /// Whether the peer has shown this block.
    pub(crate) fn holds(&self, block: &BlockId) -> bool {
        self.chain.hash(block.height) == Some(block.hash)
    }
}

/// When a peer may be asked for headers again: the more rarely, the more often it brought nothing new.
#[derive(Debug, Default)]
pub(super) struct HeaderPace {
    fruitless: u32,
    not_before: Option<Instant>,
}

impl HeaderPace {
    /// The answer told something new.
    pub(super) const fn on_news(&mut self) {
        (self.fruitless, self.not_before) = (0, None);
    }

    /// The answer told nothing that was not known of this peer before.
    pub(super) fn on_nothing_new(&mut self, now: Instant) {
        let wait = FRUITLESS_BASE.saturating_mul(1 << self.fruitless.min(16)).min(FRUITLESS_CAP);
        self.fruitless = self.fruitless.saturating_add(1);
        self.not_before = Some(now + wait);
    }

    /// How long to wait before the peer is asked; `None` when it may be asked now.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.not_before.map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_brings_nothing_is_asked_ever_more_rarely() {
        let start = tokio::time::Instant::now().into_std();
        let (mut pace, mut now, mut asked) = (HeaderPace::default(), start, 0);
        while now < start + Duration::from_secs(60) {
            asked += 1;
            pace.on_nothing_new(now);
            now += pace.wait(now).unwrap();
        }
        assert_eq!(asked, 5);
        (0..100).for_each(|_| pace.on_nothing_new(now));
        assert_eq!(pace.wait(now), Some(FRUITLESS_CAP));
        pace.on_news();
        assert_eq!(pace.wait(now), None);
    }
}
