use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use dashcore::network::message_network::PROTOCOL_VERSION;
use serde::{Deserialize, Serialize};

use crate::faults::{Asked, FaultPlan, Faults};
use crate::luck::{Fate, Luck, draw_seed};

/// A simulated network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The peers, each a node with its own listener. Default: one honest peer. At least one.
    pub peers: Vec<PeerConfig>,
    /// Where the first peer listens; the others take the ports that follow. Port 0, the default, gives each peer
    /// a free port of the system's choice. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { peers: vec![PeerConfig::default()], listen: (Ipv4Addr::LOCALHOST, 0).into() }
    }
}

/// One simulated node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerConfig {
    /// Round-trip time that is added to the real one, half in each direction. Default 0, at most 1 h.
    #[serde(with = "humantime_serde")]
    pub rtt: Duration,
    /// Bytes per second that the node can send, over all its connections. `None`, the default, is unlimited.
    pub bandwidth: Option<NonZeroU64>,
    /// Time that the node's only message handler spends on each data request. Default 0, at most 1 h.
    #[serde(with = "humantime_serde")]
    pub service_time: Duration,
    /// At random, up to so much is added to the service time of each request. Default 0, at most 1 h.
    #[serde(with = "humantime_serde")]
    pub service_jitter: Duration,
    /// Protocol version that the node speaks. Below 70236 it builds `qrinfo` with independent bases, from there on
    /// with chained ones; below 70235 its `headers2` have 2,000 headers at most, from there on 8,000. Default 70240; at least 70230, the oldest version with today's layout.
    pub protocol_version: i32,
    /// What the node does wrong. Default: nothing.
    pub faults: Faults,
    /// Height at which the node's chain ends; `None`, the default, is the world's tip.
    pub tip: Option<u32>,
    /// Seed of the node's faults and nonces. Default 0; equal seeds make nodes fail in the same places.
    pub seed: u64,
    /// What faults and service times are drawn by. Default: the order of requests.
    pub luck: Luck,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            rtt: Duration::ZERO,
            bandwidth: None,
            service_time: Duration::ZERO,
            service_jitter: Duration::ZERO,
            protocol_version: PROTOCOL_VERSION,
            faults: Faults::default(),
            tip: None,
            seed: 0,
            luck: Luck::ByOrder,
        }
    }
}

impl PeerConfig {
    /// What happens when this node is asked something for the `attempt`-th time, counted from 0, with luck by request.
    /// `request` is the payload of the message.
    pub fn fate(&self, request: &[u8], attempt: u32) -> Fate {
        let mut plan = FaultPlan::new(self.faults.clone(), draw_seed(self.seed, request, attempt));
        let jitter = plan.time_below(self.service_jitter);
        Fate { service: self.service_time + jitter, faulty: plan.next(Asked::Lists).is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
