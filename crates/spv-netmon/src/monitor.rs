use std::{
    fmt,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::{
    conditions::{Conditions, PoolMedians},
    config::Config,
    error::ConfigError,
    median::{median_duration, median_f64},
    metrics,
    pace::{Baseline, Pace},
    peer_health::PeerHealth,
    peer_record::PeerRecord,
};

/// Estimates the quality of each peer from measurements that the program reports.
///
/// A cheap handle, to be cloned into every task that talks to a peer. `P` names a peer and `K` a kind of
/// request; kinds should be few, each peer keeps one entry per kind. It reads no clock: every report comes
/// with its time.
pub struct Monitor<P: Eq + Hash, K> {
    shared: Arc<Shared<P, K>>,
}

impl<P, K> Monitor<P, K>
where
    P: Clone + Eq + Hash + Ord,
    K: Clone + Ord,
{
    /// Creates a monitor without peers.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is out of range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let (peers, conditions) = (DashMap::new(), Mutex::new(Conditions::default()));
        Ok(Self { shared: Arc::new(Shared { config, peers, conditions }) })
    }

    /// Reports a measured round trip, preferably of a ping while no other request was in the peer's queue.
    pub fn on_rtt(&self, peer: &P, sample: Duration, now: Instant) {
        metrics::record_rtt(sample);
        self.update(peer, now, |record| record.on_rtt(sample, now, &self.shared.config));
    }

    /// Reports an answer that is not verified yet. `elapsed` is the time from sending the request to the last of the
    /// `bytes`. This measures the peer and the path to it; report the result of the verification by
    /// [`on_accepted`](Self::on_accepted) or [`on_failure`](Self::on_failure).
    pub fn on_answer(&self, peer: &P, kind: K, bytes: u64, elapsed: Duration, now: Instant) {
        self.update(peer, now, |record| record.on_answer(kind, bytes, elapsed, now, &self.shared.config));
    }

    /// Reports that an answer was verified and useful, which makes the peer more reliable. Answers that were never
    /// checked, because another copy arrived first, are neither accepted nor failed.
    pub fn on_accepted(&self, peer: &P, kind: &K, now: Instant) {
        metrics::record_outcome("accepted");
        self.update(peer, now, |record| record.on_accepted(kind.clone(), now, &self.shared.config));
    }

    /// Reports a refused request. It is counted but does not make the peer less reliable, because the peer handled it,
    /// and may be on another branch or lack old data.
    pub fn on_refusal(&self, peer: &P, kind: &K, now: Instant) {
        metrics::record_outcome("refused");
        self.update(peer, now, |record| record.on_refusal(kind.clone(), now));
    }

    /// Reports a failed request: no answer in time, a lost connection, or an answer that proved wrong.
    pub fn on_failure(&self, peer: &P, kind: &K, now: Instant) {
        metrics::record_outcome("failed");
        self.update(peer, now, |record| record.on_failure(kind.clone(), now, &self.shared.config));
    }

    /// Forgets a peer and returns whether it was known. A later report about it starts afresh.
    pub fn remove(&self, peer: &P) -> bool {
        let known = self.shared.peers.remove(peer).is_some();
        metrics::record_tracked_peers(self.shared.peers.len());
        known
    }

    /// Returns the estimates of a peer as of the last report about it, or `None` if there was none.
    #[must_use]
    pub fn health(&self, peer: &P) -> Option<PeerHealth<K>> {
        let record = self.shared.peers.get(peer)?;
        Some(record.health(record.last_report(), &self.shared.config))
    }

    /// Returns the known peers, in order.
    #[must_use]
    pub fn peers(&self) -> Vec<P> {
        let mut peers: Vec<P> = self.shared.peers.iter().map(|entry| entry.key().clone()).collect();
        peers.sort_unstable();
        peers
    }

    /// Returns the conditions of the pool, judged by its median peer, without peers that had no report for
    /// [`Config::stale_after`]. A condition that has begun holds until its second threshold is crossed, or until no
    /// peer with recent reports is left.
    #[must_use]
    pub fn conditions(&self, now: Instant) -> Conditions {
        self.judge(&self.medians(now))
    }

    /// Tells whether this peer is slow at the moment compared with the others, or whether the link that all of them
    /// share is slow.
    ///
    /// A peer that is slow even beside others on a slow link is a [`SlowPeer`](Pace::SlowPeer). Each finding holds
    /// until it is clearly over.
    #[must_use]
    pub fn pace(&self, peer: &P, now: Instant) -> Pace {
        let (pool, config) = (self.medians(now), &self.shared.config);
        let link_is_slow = self.judge(&pool).slow_link;
        let Some(baseline) = pool.baseline else { return Pace::Unknown };
        let Some(mut record) = self.shared.peers.get_mut(peer) else { return Pace::Unknown };
        let Some(way) = record.way(now, config) else { return Pace::Unknown };
        record.was_slow = baseline.peer_is_slow(way, record.was_slow, config);
        match (record.was_slow, link_is_slow) {
            (true, _) => Pace::SlowPeer,
            (false, true) => Pace::SlowLink,
            (false, false) => Pace::Usual,
        }
    }

    fn judge(&self, pool: &PoolMedians) -> Conditions {
        let mut conditions = self.shared.conditions.lock();
        conditions.update(pool, &self.shared.config);
        metrics::record_conditions(*conditions);
        *conditions
    }

    fn update(&self, peer: &P, now: Instant, report: impl FnOnce(&mut PeerRecord<K>)) {
        let peers = &self.shared.peers;
        if let Some(mut record) = peers.get_mut(peer) {
            return report(&mut record);
        }
        self.make_room();
        report(&mut peers.entry(peer.clone()).or_insert_with(|| PeerRecord::new(now)));
        metrics::record_tracked_peers(peers.len());
    }

    /// Reports can come in after `remove`; the bound keeps such leftovers from piling up.
    fn make_room(&self) {
        let peers = &self.shared.peers;
        while peers.len() >= self.shared.config.max_peers {
            let oldest = peers.iter().map(|entry| (entry.last_report(), entry.key().clone())).min();
            let Some((_, peer)) = oldest else { return };
            peers.remove(&peer);
        }
    }

    fn medians(&self, now: Instant) -> PoolMedians {
        let config = &self.shared.config;
        let mut round_trips = Vec::new();
        let mut rates = Vec::new();
        let mut ratios = Vec::new();
        let mut ways = Vec::new();
        for record in &self.shared.peers {
            if now.saturating_duration_since(record.last_report()) > config.stale_after {
                continue;
            }
            let health = record.health(now, config);
            ways.extend(record.way(now, config));
            round_trips.extend(health.srtt);
            rates.extend(health.throughput);
            if health.reliability.samples > 0 {
                ratios.push(health.reliability.ratio);
            }
        }
        PoolMedians {
            round_trip: median_duration(round_trips),
            bytes_per_second: median_f64(rates),
            reliability: median_f64(ratios),
            baseline: Baseline::new(&ways),
        }
    }
}

impl<P: Eq + Hash, K> Clone for Monitor<P, K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<P: Eq + Hash, K> fmt::Debug for Monitor<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("peers", &self.shared.peers.len()).finish_non_exhaustive()
    }
}

struct Shared<P: Eq + Hash, K> {
    config: Config,
    peers: DashMap<P, PeerRecord<K>>,
    conditions: Mutex<Conditions>,
}

#[cfg(test)]
mod tests;
