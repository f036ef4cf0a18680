use serde::Serialize;

use super::peer_summary::Peer;

/// A peer as it is at this moment, beside what it has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivePeer {
    /// What it has done so far.
    #[serde(flatten)]
    pub peer: Peer,
    /// Whether it can be asked.
    pub state: PeerState,
    /// Requests that it has now.
    pub in_flight: usize,
    /// Requests that it may have now, 0 while there is no connection.
    pub slots: usize,
    /// Bytes per second of its larger answers, as measured; absent before the first of them.
    pub bytes_per_second: Option<f64>,
    /// Height that it claimed when it connected; absent while there is no connection.
    pub claimed_height: Option<u32>,
    /// Its software, as it says; absent while there is no connection.
    pub user_agent: Option<String>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// There is none; it is tried again and again.
    Connecting,
    /// The node has greeted and is asked for headers alone.
    Greeted,
    /// The node has answered a ping and is asked for anything.
    Ready,
}

impl PeerState {
    /// Name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Greeted => "greeted",
            Self::Ready => "ready",
        }
    }
}
