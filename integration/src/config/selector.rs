use serde::{Deserialize, Serialize};

/// Who among the peers with a free slot gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// `expected-completion`, the default: by chance one of the few that would be done first, by round trip, what they
    /// have to do and what such requests took. Now and then any other, so that nobody is forgotten.
    #[default]
    ExpectedCompletion,
    /// `least-loaded`: who has the smallest share of its slots in use. Without measuring anything, a slow peer gets less,
    /// but as much as a quick one wherever there is one request at a time.
    LeastLoaded,
    /// `lowest-latency`: the better of two by recent times of answers, whatever was asked.
    LowestLatency,
    /// `round-robin`: everybody in turn. A slow peer gets as much as a quick one, and the others wait for it.
    RoundRobin,
}
