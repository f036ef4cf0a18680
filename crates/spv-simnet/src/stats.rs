use std::net::SocketAddr;

use serde::Serialize;

/// What one simulated node counted since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeerStats {
    /// Where the node listens.
    pub address: SocketAddr,
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// Data requests received.
    pub requests: RequestCounts,
    /// Data requests that were answered, wrongly or late ones included.
    pub answered: RequestCounts,
    /// Data requests that were refused: nothing but the pong, and a point of misbehaviour.
    pub refused: RequestCounts,
    /// Data requests on which the node did something wrong on purpose; refusals on purpose included.
    pub faults: u64,
    /// Highest misbehaviour score of any connection; 100 disconnects.
    pub max_misbehaviour: u32,
    /// Connections that the node closed because of their misbehaviour.
    pub banned: u64,
    /// Data requests in flight now, over all connections; see [`max_in_flight`](Self::max_in_flight).
    pub in_flight: u64,
    /// Most data requests that were in flight on one connection at any instant: received, queued ones included, and
    /// the answer (or the place in the stream where it is missing) not yet written.
    pub max_in_flight: u32,
    /// Pings received, handled or not.
    pub pings: u64,
    /// Bytes received, as whole messages.
    pub bytes_received: u64,
    /// Bytes sent, as whole messages.
    pub bytes_sent: u64,
}

impl PeerStats {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connections: 0,
            open_connections: 0,
            requests: RequestCounts::default(),
            answered: RequestCounts::default(),
            refused: RequestCounts::default(),
            faults: 0,
            max_misbehaviour: 0,
            banned: 0,
            in_flight: 0,
            max_in_flight: 0,
            pings: 0,
            bytes_received: 0,
            bytes_sent: 0,
        }
    }
}

/// Data requests by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RequestCounts {
    /// `getheaders`
    pub getheaders: u64,
    /// `getheaders2`
    pub getheaders2: u64,
    /// `getmnlistd`
    pub getmnlistd: u64,
    /// `getqrinfo`
    pub getqrinfo: u64,
}

impl RequestCounts {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.getheaders + self.getheaders2 + self.getmnlistd + self.getqrinfo
    }
}
