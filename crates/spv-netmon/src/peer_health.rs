use std::{collections::BTreeMap, time::Duration};

use crate::reliability::Reliability;

/// What is known of one peer at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerHealth<K> {
    /// Smoothed round trip; `None` before the first sample.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round trip; `None` before the first sample.
    pub rttvar: Option<Duration>,
    /// Smallest round trip seen; `None` before the first sample.
    pub min_rtt: Option<Duration>,
    /// Time after which a ping should be taken for lost: `srtt + 4 * rttvar` within the configured bounds.
    pub rto: Duration,
    /// Bytes per second of answers large enough to tell; `None` before the first of them.
    pub throughput: Option<f64>,
    /// Recent successes and failures, as of the last report about this peer.
    pub reliability: Reliability,
    /// Per kind of request, what an answer takes beyond the round trip, smoothed: queue, work and transfer.
    pub service_time: BTreeMap<K, Duration>,
    /// Requests answered.
    pub answers: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Requests failed.
    pub failures: u64,
    /// Bytes of all answers.
    pub bytes: u64,
}
