use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Peers;
use crate::clock::now;
use crate::fleet::live_peer::LivePeer;
use crate::fleet::peer_report::PeerReport;
use crate::fleet::peer_summary::Peer;

impl Peers {
    /// What every peer did, and what it is doing now.
    pub(crate) fn live(&self) -> Vec<LivePeer> {
        let loads: BTreeMap<_, _> = self.executor.peers().into_iter().map(|load| (load.peer, load)).collect();
        let now = now();
        let live = |(address, report): (&SocketAddr, &PeerReport)| {
            let load = loads.get(address);
            let connection = load.and_then(|_| self.pool.connection(address));
            let health = self.pool.monitor().health(address);
            LivePeer {
                peer: Peer::new(*address, report),
                standing: self.standing_with(address, load),
                in_flight: load.map_or(0, |load| load.in_flight),
                slots: load.map_or(0, |load| load.adapted_depth.get()),
                bytes_per_second: health.and_then(|health| health.throughput),
                claimed_height: connection.as_ref().map(|connection| connection.info().start_height),
                height: self.book.heard(address).map(|heard| heard.chain.tip_height()),
                seen_seconds: match report.left_at {
                    Some(left) => Some(now.saturating_duration_since(left).as_secs_f64()),
                    None => report.connected.then_some(0.0),
                },
                user_agent: connection.map(|connection| connection.info().user_agent.clone()),
            }
        };
        self.reports().iter().map(live).collect()
    }
}
