use std::{collections::BTreeMap, time::Duration};

use crate::{confidence::Confidence, reliability::Reliability};

/// Estimates of one peer at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerHealth<K> {
    /// Smoothed round trip; `None` before the first sample.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round trip; `None` before the first sample.
    pub rttvar: Option<Duration>,
    /// Smallest round trip of the last [`Config::min_rtt_window`](crate::Config::min_rtt_window), or of the latest
    /// period with samples: the path without queues. `None` before the first sample.
    pub min_rtt: Option<Duration>,
    /// Confidence of the three estimates of the round trip.
    pub rtt_confidence: Confidence,
    /// Time after which a ping should count as lost: `srtt + 4 * rttvar` within the configured bounds.
    pub rto: Duration,
    /// Bytes per second in the time after the round trip, of answers that are large enough and take clearly longer than
    /// the round trip; `None` before the first of them.
    pub throughput: Option<f64>,
    /// Confidence of the throughput.
    pub throughput_confidence: Confidence,
    /// Recent accepted answers and failures, as of the last report about this peer.
    pub reliability: Reliability,
    /// The same per kind of request.
    pub kinds: BTreeMap<K, KindHealth>,
    /// Number of answered requests, whether right or wrong.
    pub answers: u64,
    /// Number of accepted answers.
    pub accepted: u64,
    /// Number of refused requests.
    pub refusals: u64,
    /// Number of failed requests.
    pub failures: u64,
    /// Bytes of all answers.
    pub bytes: u64,
}

/// Estimates of one peer for one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindHealth {
    /// Smoothed time that an answer takes beyond the round trip: queue, work and transfer. `None` before the first
    /// answer.
    pub service_time: Option<Duration>,
    /// Confidence of the service time; its samples are the answered requests.
    pub confidence: Confidence,
    /// Number of accepted answers.
    pub accepted: u64,
    /// Number of refused requests.
    pub refusals: u64,
    /// Number of failed requests.
    pub failures: u64,
    /// Bytes of all answers.
    pub bytes: u64,
}
