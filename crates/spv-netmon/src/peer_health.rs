use std::{collections::BTreeMap, time::Duration};

use crate::{confidence::Confidence, reliability::Reliability};

/// What is known of one peer at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerHealth<K> {
    /// Smoothed round trip; `None` before the first sample.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round trip; `None` before the first sample.
    pub rttvar: Option<Duration>,
    /// Smallest round trip of the last [`Config::min_rtt_window`](crate::Config::min_rtt_window), or of the latest
    /// time there were any: the way without queues. `None` before the first sample.
    pub min_rtt: Option<Duration>,
    /// What the three rest on.
    pub rtt_confidence: Confidence,
    /// Time after which a ping should be taken for lost: `srtt + 4 * rttvar` within the configured bounds.
    pub rto: Duration,
    /// Bytes per second, after the round trip, of answers large enough to tell and not nearly all round trip; `None` before
    /// the first of them.
    pub throughput: Option<f64>,
    /// What it rests on.
    pub throughput_confidence: Confidence,
    /// Recent accepted answers and failures, as of the last report about this peer.
    pub reliability: Reliability,
    /// The same per kind of request.
    pub kinds: BTreeMap<K, KindHealth>,
    /// Requests answered, rightly or not.
    pub answers: u64,
    /// Answers accepted.
    pub accepted: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Requests failed.
    pub failures: u64,
    /// Bytes of all answers.
    pub bytes: u64,
}

/// What is known of one peer and one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindHealth {
    /// What an answer takes beyond the round trip, smoothed: queue, work and transfer. `None` before the first.
    pub service_time: Option<Duration>,
    /// What it rests on; its samples are the requests answered.
    pub confidence: Confidence,
    /// Answers accepted.
    pub accepted: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Requests failed.
    pub failures: u64,
    /// Bytes of all answers.
    pub bytes: u64,
}
