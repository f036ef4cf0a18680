use std::time::Duration;

use spv_simnet::PeerConfig;

/// Round trips before the first list can be asked for: connect, handshake, headers.
const ROUND_TRIPS_BEFORE: u32 = 3;

/// No client can be faster with these nodes: `requests` equal requests over nodes that work one after the other, at most
/// `depth` in flight at each, plus the round trips that come before. Transfer times are left out, which only lowers it.
pub(crate) fn lower_bound(peers: &[PeerConfig], requests: u64, depth: usize) -> Option<Duration> {
    let fastest = peers.iter().map(|peer| peer.rtt).min()?;
    let mut lanes: Vec<Lane> = peers.iter().map(|peer| Lane::new(peer, depth)).collect();
    let mut last = Duration::ZERO;
    for _ in 0..requests {
        let lane = lanes.iter_mut().min_by_key(|lane| lane.next())?;
        last = last.max(lane.serve());
    }
    Some(fastest * ROUND_TRIPS_BEFORE + last)
}

/// One node: each request is sent when an earlier answer has arrived, and built when the one before is built.
struct Lane {
    half: Duration,
    service: Duration,
    built: Duration,
    arrivals: Vec<Duration>,
    depth: usize,
}

impl Lane {
    fn new(peer: &PeerConfig, depth: usize) -> Self {
        let half = peer.rtt / 2;
        Self { half, service: peer.service_time, built: Duration::ZERO, arrivals: Vec::new(), depth }
    }

    /// When the next answer would arrive.
    fn next(&self) -> Duration {
        let sent = match self.arrivals.len().checked_sub(self.depth) {
            Some(index) => self.arrivals[index],
            None => Duration::ZERO,
        };
        self.built.max(sent + self.half) + self.service + self.half
    }

    fn serve(&mut self) -> Duration {
        let arrival = self.next();
        self.built = arrival - self.half;
        self.arrivals.push(arrival);
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(rtt: u64, service: u64) -> PeerConfig {
        PeerConfig {
            rtt: Duration::from_millis(rtt),
            service_time: Duration::from_millis(service),
            ..PeerConfig::default()
        }
    }

    #[test]
    fn one_node_one_at_a_time_takes_the_plain_sum() {
        let bound = lower_bound(&[peer(100, 10)], 7, 1).unwrap();
        assert_eq!(bound, Duration::from_millis(3 * 100 + 7 * 110));
    }

    #[test]
    fn depth_hides_the_round_trip_until_service_dominates() {
        let bound = lower_bound(&[peer(100, 10)], 6, 3).unwrap();
        // Three answers 10 ms apart, then three more a round trip and a service later.
        assert_eq!(bound, Duration::from_millis(300 + 130 + 110));
        let busy = lower_bound(&[peer(100, 200)], 6, 3).unwrap();
        assert_eq!(busy, Duration::from_millis(300 + 100 + 6 * 200));
    }

    #[test]
    fn nobody_has_no_bound() {
        assert_eq!(lower_bound(&[], 3, 2), None);
    }
}
