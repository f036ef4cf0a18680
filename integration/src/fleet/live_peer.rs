use serde::Serialize;

use super::peer_summary::Peer;
use crate::discovery::Standing;

/// A peer as it is at this moment, beside what it has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivePeer {
    /// What it has done so far.
    #[serde(flatten)]
    pub peer: Peer,
    /// Whether it may be asked; if not, why.
    pub standing: Standing,
    /// Requests that it has now.
    pub in_flight: usize,
    /// Requests that it may have now, 0 while there is no connection.
    pub slots: usize,
    /// Bytes per second of its larger answers, as measured; absent before the first of them.
    pub bytes_per_second: Option<f64>,
    /// Height that it claimed when it connected; absent while there is no connection.
    pub claimed_height: Option<u32>,
    /// Height of the chain that it has shown; absent before that. Unlike `claimed_height` it is that of now.
    pub height: Option<u32>,
    /// Seconds since it was last connected and usable, 0 while it is; absent if it never was.
    pub seen_seconds: Option<f64>,
    /// Its software, as it says; absent while there is no connection.
    pub user_agent: Option<String>,
}
