use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::conditions::Conditions;

const RTT: &str = "spv_netmon_rtt_seconds";
const CONDITION: &str = "spv_netmon_condition";
const OUTCOMES: &str = "spv_netmon_outcomes_total";
const PEERS: &str = "spv_netmon_tracked_peers";

const KINDS: [&str; 3] = ["accepted", "refused", "failed"];

/// Registers the help texts of this crate's metrics with the installed recorder.
pub fn describe() {
    describe_histogram!(RTT, Unit::Seconds, "Round trip samples of all peers");
    describe_gauge!(CONDITION, "1 while the condition holds for the pool, else 0");
    describe_counter!(OUTCOMES, Unit::Count, "Requests by outcome");
    describe_gauge!(PEERS, Unit::Count, "Peers with measurements");
    // What has not happened yet is exported as zero: a rate can then see its first event.
    KINDS.iter().for_each(|outcome| counter!(OUTCOMES, "outcome" => *outcome).increment(0));
}

pub(crate) fn record_rtt(sample: Duration) {
    histogram!(RTT).record(sample);
}

pub(crate) fn record_outcome(outcome: &'static str) {
    debug_assert!(KINDS.contains(&outcome), "{outcome}");
    counter!(OUTCOMES, "outcome" => outcome).increment(1);
}

pub(crate) fn record_conditions(conditions: Conditions) {
    let Conditions { high_latency, low_bandwidth, unstable, slow_link } = conditions;
    for (condition, holds) in [
        ("high_latency", high_latency),
        ("low_bandwidth", low_bandwidth),
        ("unstable", unstable),
        ("slow_link", slow_link),
    ] {
        gauge!(CONDITION, "condition" => condition).set(f64::from(u8::from(holds)));
    }
}

pub(crate) fn record_tracked_peers(peers: usize) {
    gauge!(PEERS).set(u32::try_from(peers).unwrap_or(u32::MAX));
}
