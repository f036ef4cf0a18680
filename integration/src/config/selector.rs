use serde::{Deserialize, Serialize};

/// The rule by which a peer with a free slot gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// `expected-completion`, the default: a random one of the few peers that would finish first, by round trip, load
    /// and the time of such requests. Occasionally it selects any other peer, so that no peer is forgotten.
    #[default]
    ExpectedCompletion,
    /// `least-loaded`: the peer with the smallest share of its slots in use. It measures nothing. A slow peer gets
    /// fewer requests, but as many as a quick one if there is only one request at a time.
    LeastLoaded,
    /// `lowest-latency`: the better of two random peers by the recent times of their answers, whatever was requested.
    LowestLatency,
    /// `round-robin`: all peers in turn. A slow peer gets as many requests as a quick one, and the others wait for it.
    RoundRobin,
}
