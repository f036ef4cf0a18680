use std::collections::BTreeMap;
use std::time::Duration;

use bitcoin_hashes::sha256;
use serde::{Deserialize, Serialize};

use crate::config::PeerConfig;
use crate::faults::FaultPlan;

/// What a node's faults and service times are drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Luck {
    /// The order in which requests arrive.
    #[default]
    ByOrder,
    /// The request and how often this node was asked it before, so that clients that ask in different orders have the
    /// same luck. The node remembers every request, so this is for runs that end. Schedules that count requests still
    /// go by order.
    ByRequest,
}

/// What happens to a request where luck goes by request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Time that the node's handler spends on it.
    pub service: Duration,
    /// Whether the node does something wrong with it.
    pub faulty: bool,
}

impl PeerConfig {
    /// What happens when this node is asked something for the `attempt`-th time, counted from 0, with luck by request.
    /// `request` is the payload of the message.
    pub fn fate(&self, request: &[u8], attempt: u32) -> Fate {
        let mut plan = FaultPlan::new(self.faults.clone(), draw_seed(self.seed, request, attempt));
        let jitter = plan.time_below(self.service_jitter);
        Fate { service: self.service_time + jitter, faulty: plan.next(false).is_some() }
    }
}

/// How often each request was seen.
#[derive(Debug, Default)]
pub(crate) struct Attempts(BTreeMap<[u8; 32], u32>);

impl Attempts {
    /// The seed for what is drawn for this request now.
    pub(crate) fn next_seed(&mut self, seed: u64, request: &[u8]) -> u64 {
        let attempts = self.0.entry(sha256::hash(request).to_byte_array()).or_default();
        let attempt = *attempts;
        *attempts += 1;
        draw_seed(seed, request, attempt)
    }
}

fn draw_seed(seed: u64, request: &[u8], attempt: u32) -> u64 {
    let bytes = [&seed.to_le_bytes(), &attempt.to_le_bytes()[..], request].concat();
    let [a, b, c, d, e, f, g, h, ..] = sha256::hash(&bytes).to_byte_array();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_request_and_its_repetition_alone() {
        let mut forwards = Attempts::default();
        let mut backwards = Attempts::default();
        let requests: Vec<[u8; 1]> = (0..10).map(|byte| [byte]).collect();
        let one: Vec<u64> = requests.iter().map(|request| forwards.next_seed(7, request)).collect();
        let mut two: Vec<u64> =
            requests.iter().rev().map(|request| backwards.next_seed(7, request)).collect();
        two.reverse();
        assert_eq!(one, two);
        assert_ne!(forwards.next_seed(7, &[0]), one[0], "the second time is another draw");
        assert_ne!(Attempts::default().next_seed(8, &[0]), one[0], "another node, another draw");
    }

    #[test]
    fn fates_follow_the_schedule_and_the_jitter() {
        let peer = PeerConfig {
            service_time: Duration::from_millis(10),
            service_jitter: Duration::from_millis(20),
            faults: "drop=0.3".parse().unwrap(),
            ..PeerConfig::default()
        };
        let fates: Vec<Fate> = (0..2_000_u32).map(|n| peer.fate(&n.to_le_bytes(), 0)).collect();
        let faulty = fates.iter().filter(|fate| fate.faulty).count();
        assert!((500..700).contains(&faulty), "{faulty} of 2000");
        let within = Duration::from_millis(10)..Duration::from_millis(30);
        assert!(fates.iter().all(|fate| within.contains(&fate.service)));
        let mean = fates.iter().map(|fate| fate.service).sum::<Duration>() / 2_000;
        assert!(mean.abs_diff(Duration::from_millis(20)) < Duration::from_millis(1));
    }
}
