use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use spv_executor::{
    Candidate, ConfigError, Executor, ExpectedCompletion, LeastLoaded, LowestLatency, PeerSelector,
    RoundRobin, Sample,
};

use super::book::PeerBook;
use super::transport::PoolTransport;
use crate::config::Selector;

/// An executor that selects peers in the configured way, and tells the book of each choice. Equal seeds make equal
/// choices.
pub(super) fn executor(
    selector: Selector,
    transport: PoolTransport,
    book: Arc<PeerBook>,
    seed: u64,
    config: spv_executor::Config,
) -> Result<Executor<PoolTransport>, ConfigError> {
    let inner: Box<dyn PeerSelector<SocketAddr>> = match selector {
        Selector::ExpectedCompletion => Box::new(ExpectedCompletion::new(seed)),
        Selector::LeastLoaded => Box::new(LeastLoaded),
        Selector::LowestLatency => Box::new(LowestLatency::new(seed)),
        Selector::RoundRobin => Box::new(RoundRobin),
    };
    Executor::with_selector(transport, Booked { inner, book }, config)
}

/// Tells the book which peer was chosen at the moment of the choice: the next one must know that the one request is under
/// way which shows whether a peer that rested does better.
struct Booked {
    inner: Box<dyn PeerSelector<SocketAddr>>,
    book: Arc<PeerBook>,
}

impl PeerSelector<SocketAddr> for Booked {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, SocketAddr>]) -> &'c Candidate<'c, SocketAddr> {
        self.inner.select(candidates)
    }

    fn on_sent(&mut self, peer: &SocketAddr, now: Instant) {
        self.book.on_sent(peer, now);
        self.inner.on_sent(peer, now);
    }

    fn on_completed(&mut self, peer: &SocketAddr, answer: &Sample, now: Instant) {
        self.inner.on_completed(peer, answer, now);
    }

    fn on_failed(&mut self, peer: &SocketAddr, now: Instant) {
        self.inner.on_failed(peer, now);
    }

    fn on_removed(&mut self, peer: &SocketAddr) {
        self.inner.on_removed(peer);
    }
}
