use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    confidence::Confidence,
    config::Config,
    min_rtt::WindowedMin,
    pace::Way,
    peer_health::{KindHealth, PeerHealth},
    reliability::OutcomeWindow,
    rtt::{self, RttEstimator},
    throughput::Throughput,
};

/// All measurements of one peer. No clock and no lock: time is passed in.
#[derive(Clone, Debug)]
pub(crate) struct PeerRecord<K> {
    rtt: RttEstimator,
    min_rtt: WindowedMin,
    rtt_confidence: Confidence,
    throughput: Throughput,
    throughput_confidence: Confidence,
    outcomes: OutcomeWindow,
    kinds: BTreeMap<K, KindHealth>,
    last_report: Instant,
    /// What the peer was found to be when it was last compared with the others.
    pub(crate) was_slow: bool,
}

impl<K: Ord + Clone> PeerRecord<K> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rtt: RttEstimator::default(),
            min_rtt: WindowedMin::default(),
            rtt_confidence: Confidence::default(),
            throughput: Throughput::default(),
            throughput_confidence: Confidence::default(),
            outcomes: OutcomeWindow::default(),
            kinds: BTreeMap::new(),
            last_report: now,
            was_slow: false,
        }
    }

    pub(crate) fn on_rtt(&mut self, sample: Duration, now: Instant, config: &Config) {
        self.last_report = now;
        self.rtt.record(sample);
        self.min_rtt.record(sample, now, config.min_rtt_window);
        self.rtt_confidence.sampled(now);
    }

    pub(crate) fn on_answer(
        &mut self,
        kind: K,
        bytes: u64,
        elapsed: Duration,
        now: Instant,
        config: &Config,
    ) {
        self.last_report = now;
        let round_trip = self.rtt.estimate().map_or(Duration::ZERO, |estimate| estimate.smoothed);
        if bytes >= config.throughput_min_bytes && self.throughput.record(bytes, elapsed, round_trip) {
            self.throughput_confidence.sampled(now);
        }
        let service = elapsed.saturating_sub(round_trip);
        let of_kind = self.kinds.entry(kind).or_default();
        let mean = of_kind.service_time.map_or(service, |mean| rtt::step(mean, service, SERVICE_WEIGHT));
        of_kind.service_time = Some(mean);
        of_kind.confidence.sampled(now);
        of_kind.bytes = of_kind.bytes.saturating_add(bytes);
    }

    pub(crate) fn on_accepted(&mut self, kind: K, now: Instant, config: &Config) {
        self.last_report = now;
        self.outcomes.record(true, now, config.reliability_window, config.reliability_horizon);
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.accepted = of_kind.accepted.saturating_add(1);
    }

    pub(crate) fn on_refusal(&mut self, kind: K, now: Instant) {
        self.last_report = now;
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.refusals = of_kind.refusals.saturating_add(1);
    }

    pub(crate) fn on_failure(&mut self, kind: K, now: Instant, config: &Config) {
        self.last_report = now;
        self.outcomes.record(false, now, config.reliability_window, config.reliability_horizon);
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.failures = of_kind.failures.saturating_add(1);
    }

    pub(crate) const fn last_report(&self) -> Instant {
        self.last_report
    }

    /// The round trip, if it was measured lately.
    pub(crate) fn way(&self, now: Instant, config: &Config) -> Option<Way> {
        let age = self.rtt_confidence.age(now)?;
        let smoothed = self.rtt.estimate()?.smoothed;
        (age <= config.stale_after).then_some(Way { smoothed, min: self.min_rtt.get()? })
    }

    pub(crate) fn health(&self, now: Instant, config: &Config) -> PeerHealth<K> {
        let rtt = self.rtt.estimate();
        let sum = |of: fn(&KindHealth) -> u64| {
            self.kinds.values().map(of).fold(0, |sum: u64, count| sum.saturating_add(count))
        };
        PeerHealth {
            srtt: rtt.map(|rtt| rtt.smoothed),
            rttvar: rtt.map(|rtt| rtt.variation),
            min_rtt: self.min_rtt.get(),
            rtt_confidence: self.rtt_confidence,
            rto: self.rtt.rto(config),
            throughput: self.throughput.bytes_per_second(),
            throughput_confidence: self.throughput_confidence,
            reliability: self.outcomes.reliability(now, config.reliability_horizon),
            kinds: self.kinds.clone(),
            answers: sum(|kind| kind.confidence.samples),
            accepted: sum(|kind| kind.accepted),
            refusals: sum(|kind| kind.refusals),
            failures: sum(|kind| kind.failures),
            bytes: sum(|kind| kind.bytes),
        }
    }
}

/// One answer in this many replaces the mean of a kind's service time.
const SERVICE_WEIGHT: u32 = 8;
