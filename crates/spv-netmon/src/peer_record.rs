use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    config::Config,
    peer_health::PeerHealth,
    reliability::OutcomeWindow,
    rtt::{self, RttEstimator},
    throughput::Throughput,
};

/// All measurements of one peer. No clock and no lock: time is passed in.
#[derive(Clone, Debug)]
pub(crate) struct PeerRecord<K> {
    rtt: RttEstimator,
    throughput: Throughput,
    outcomes: OutcomeWindow,
    service_time: BTreeMap<K, Duration>,
    answers: u64,
    refusals: u64,
    failures: u64,
    bytes: u64,
    last_report: Instant,
}

impl<K: Ord + Clone> PeerRecord<K> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rtt: RttEstimator::default(),
            throughput: Throughput::default(),
            outcomes: OutcomeWindow::default(),
            service_time: BTreeMap::new(),
            answers: 0,
            refusals: 0,
            failures: 0,
            bytes: 0,
            last_report: now,
        }
    }

    pub(crate) fn on_rtt(&mut self, sample: Duration, now: Instant) {
        self.last_report = now;
        self.rtt.record(sample);
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
        self.answers = self.answers.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.outcomes.record(true, now, config.reliability_window, config.reliability_horizon);
        let round_trip = self.rtt.estimate().map_or(Duration::ZERO, |estimate| estimate.smoothed);
        if bytes >= config.throughput_min_bytes {
            self.throughput.record(bytes, elapsed, round_trip);
        }
        let service = elapsed.saturating_sub(round_trip);
        self.service_time
            .entry(kind)
            .and_modify(|mean| *mean = rtt::step(*mean, service, SERVICE_WEIGHT))
            .or_insert(service);
    }

    pub(crate) fn on_refusal(&mut self, now: Instant) {
        self.last_report = now;
        self.refusals = self.refusals.saturating_add(1);
    }

    pub(crate) fn on_failure(&mut self, now: Instant, config: &Config) {
        self.last_report = now;
        self.failures = self.failures.saturating_add(1);
        self.outcomes.record(false, now, config.reliability_window, config.reliability_horizon);
    }

    pub(crate) const fn last_report(&self) -> Instant {
        self.last_report
    }

    pub(crate) fn health(&self, now: Instant, config: &Config) -> PeerHealth<K> {
        let rtt = self.rtt.estimate();
        PeerHealth {
            srtt: rtt.map(|rtt| rtt.smoothed),
            rttvar: rtt.map(|rtt| rtt.variation),
            min_rtt: rtt.map(|rtt| rtt.min),
            rto: self.rtt.rto(config),
            throughput: self.throughput.bytes_per_second(),
            reliability: self.outcomes.reliability(now, config.reliability_horizon),
            service_time: self.service_time.clone(),
            answers: self.answers,
            refusals: self.refusals,
            failures: self.failures,
            bytes: self.bytes,
        }
    }
}

/// One answer in this many replaces the mean of a kind's service time.
const SERVICE_WEIGHT: u32 = 8;
