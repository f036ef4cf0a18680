use std::collections::BTreeMap;
use std::time::Duration;

use bitcoin_hashes::sha256;
use serde::{Deserialize, Serialize};

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

/// The seed for what is drawn for this request when the node is asked for the `attempt`-th time, counted from 0.
pub(crate) fn draw_seed(seed: u64, request: &[u8], attempt: u32) -> u64 {
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
}
