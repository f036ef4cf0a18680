use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use fastrand::Rng;
use spv_simnet::{Faults, InMemoryNetwork, Luck, PeerConfig};

use crate::workload::Workload;

/// A kind of network; prior art names them N1 to N8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Net {
    /// Equal nodes.
    N1,
    /// Nodes twentyfold apart in round trip and service time.
    N2,
    /// One node refuses everything, silently but for its pong.
    N3,
    /// 30 % of all answers are lost: half of them leave the following pong, half take it with them, so that half the
    /// losses can be seen at once by who looks, and the others by nobody.
    N4a,
    /// The same with 50 %.
    N4b,
    /// Two of five nodes send corrupted or wrong answers only.
    N5,
    /// A mobile client: one slow line for all, long and uneven delays.
    N6,
    /// All nodes are away for a minute.
    N7,
    /// Nodes go and come back.
    N8,
}

/// One network as a seed makes it: equal for all contestants.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// The nodes.
    pub(crate) peers: Vec<PeerConfig>,
    /// Bytes per second that reach the client, over all connections.
    pub(crate) client_line: Option<NonZeroU64>,
    /// Nodes going and coming, since the start.
    pub(crate) events: Vec<Event>,
    /// Time in which nobody answers, and when it begins.
    pub(crate) outage: Option<(Duration, Duration)>,
}

/// A node goes or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// Since the start.
    pub(crate) at: Duration,
    /// Index of the node.
    pub(crate) peer: usize,
    /// Whether it comes back.
    pub(crate) up: bool,
}

impl Net {
    /// All of them.
    pub(crate) const ALL: [Self; 9] =
        [Self::N1, Self::N2, Self::N3, Self::N4a, Self::N4b, Self::N5, Self::N6, Self::N7, Self::N8];

    /// Name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::N1 => "N1",
            Self::N2 => "N2",
            Self::N3 => "N3",
            Self::N4a => "N4a",
            Self::N4b => "N4b",
            Self::N5 => "N5",
            Self::N6 => "N6",
            Self::N7 => "N7",
            Self::N8 => "N8",
        }
    }

    /// What it is.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::N1 => "equal nodes",
            Self::N2 => "nodes twentyfold apart",
            Self::N3 => "one node refuses everything",
            Self::N4a => "30 % of answers lost",
            Self::N4b => "50 % of answers lost",
            Self::N5 => "two of five nodes lie",
            Self::N6 => "mobile client: one slow line, uneven delays",
            Self::N7 => "all nodes away for 60 s",
            Self::N8 => "nodes go and come back",
        }
    }

    /// The network of this seed, with so many nodes.
    pub(crate) fn instance(self, workload: Workload, count: usize, seed: u64) -> Instance {
        // Networks of one seed are different, workloads in one network are not.
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000) + self as u64);
        let rtt = Duration::from_millis(rng.u64(60..140));
        let service = workload.service_time();
        let mut peers: Vec<PeerConfig> = (0..count)
            .map(|_| PeerConfig {
                rtt,
                service_time: service.mul_f64(0.8),
                service_jitter: service.mul_f64(0.4),
                bandwidth: NonZeroU64::new(PEER_BANDWIDTH),
                seed: rng.u64(..),
                luck: Luck::ByRequest,
                ..PeerConfig::default()
            })
            .collect();
        let special = rng.usize(..count);
        let mut instance =
            Instance { peers: Vec::new(), client_line: None, events: Vec::new(), outage: None };
        match self {
            Self::N1 => {}
            Self::N2 => {
                // From a quarter to five times, spread evenly on a logarithmic scale.
                for (rank, index) in shuffled(count, &mut rng).into_iter().enumerate() {
                    let share = ratio(rank, count.saturating_sub(1).max(1));
                    let factor = 0.25 * 20_f64.powf(share);
                    let peer = &mut peers[index];
                    peer.rtt = peer.rtt.mul_f64(factor);
                    peer.service_time = peer.service_time.mul_f64(factor);
                    peer.service_jitter = peer.service_jitter.mul_f64(factor);
                }
            }
            Self::N3 => peers[special].faults.refuse_all = true,
            Self::N4a => peers.iter_mut().for_each(|peer| peer.faults = faults("drop=0.1633,stall=0.1633")),
            Self::N4b => peers.iter_mut().for_each(|peer| peer.faults = faults("drop=0.2929,stall=0.2929")),
            Self::N5 => {
                peers[special].faults = faults("corrupt=1");
                peers[(special + 1) % count].faults = faults("wrong=1");
            }
            Self::N6 => {
                instance.client_line = NonZeroU64::new(CLIENT_LINE);
                for peer in &mut peers {
                    peer.rtt = Duration::from_millis(rng.u64(150..350));
                    peer.faults = faults("delay=0.2:250ms");
                }
            }
            Self::N7 => {
                let length = Duration::from_secs(60);
                let at = match workload.interval() {
                    None => Duration::from_millis(rng.u64(150..300)),
                    // So that a request falls due meanwhile.
                    Some(interval) => interval * rng.u32(1..workload.count()) - length.mul_f64(rng.f64()),
                };
                let event = |up| move |peer| Event { at: if up { at + length } else { at }, peer, up };
                instance.events = (0..count).map(event(false)).chain((0..count).map(event(true))).collect();
                instance.outage = Some((at, length));
            }
            Self::N8 => {
                let mut at = Duration::ZERO;
                let mut up = vec![true; count];
                // Churn ends some time, for the sake of contestants that would never.
                let (pace, end) = match workload.interval() {
                    None => (1, Duration::from_secs(120)),
                    Some(interval) => (SLOW_PACE, interval * workload.count()),
                };
                while at < end {
                    at += Duration::from_millis(rng.u64(100..600)) * pace;
                    let peer = rng.usize(..count);
                    up[peer] = !up[peer];
                    instance.events.push(Event { at, peer, up: up[peer] });
                }
                instance.events.extend((0..count).map(|peer| Event { at, peer, up: true }));
            }
        }
        Instance { peers, ..instance }
    }
}

impl Instance {
    /// How long from this time on, which is since the start, all nodes are away.
    pub(crate) fn deserted(&self, from: Duration) -> Duration {
        let mut up = vec![true; self.peers.len()];
        let mut until = from;
        for event in &self.events {
            if event.at > from && up.contains(&true) {
                break;
            }
            up[event.peer] = event.up;
            until = until.max(event.at);
        }
        until - from
    }

    /// Lets nodes go and come back, until the last event.
    pub(crate) async fn play(&self, network: &InMemoryNetwork, addresses: &[SocketAddr]) {
        let started = tokio::time::Instant::now();
        for event in &self.events {
            tokio::time::sleep_until(started + event.at).await;
            let address = addresses[event.peer];
            if event.up {
                network.bring_up(address);
            } else {
                network.take_down(address);
            }
        }
    }
}

/// So many times slower do nodes come and go where requests are minutes apart: each every minute or so. With more, all of
/// them are away for the two minutes after which our client gives up a download, which one that follows begins again.
const SLOW_PACE: u32 = 30;
/// Bytes per second of a node's line.
const PEER_BANDWIDTH: u64 = 2_000_000;
/// Bytes per second of a mobile client's line: 1 MB/s for answers of mainnet's size, which are about ten times those of
/// this world.
const CLIENT_LINE: u64 = 100_000;

fn shuffled(count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    rng.shuffle(&mut order);
    order
}

#[expect(clippy::cast_precision_loss, reason = "a handful of nodes")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn faults(text: &str) -> Faults {
    text.parse().expect("the faults of the networks are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn nodes_come_and_go_as_long_as_work_lasts() {
        for seed in 0..20 {
            let events = |workload| Net::N8.instance(workload, 5, seed).events;
            let (short, day) = (events(Workload::W3), events(Workload::W4));
            assert_eq!(events(Workload::W1), short, "the same for all that lasts minutes");
            assert!(short.last().unwrap().at < Duration::from_secs(121));
            assert!(day.last().unwrap().at >= DAY);
            let per_node = DAY / (u32::try_from(day.len()).unwrap() / 5);
            assert!((Duration::from_secs(40)..Duration::from_secs(80)).contains(&per_node), "{per_node:?}");
        }
    }

    #[test]
    fn a_request_falls_due_while_all_nodes_are_away() {
        let interval = Workload::W4.interval().unwrap();
        for seed in 0..50 {
            let instance = Net::N7.instance(Workload::W4, 5, seed);
            let waits = (0..Workload::W4.count()).map(|number| instance.deserted(interval * number));
            let waits: Vec<Duration> = waits.filter(|wait| !wait.is_zero()).collect();
            assert!(matches!(waits[..], [wait] if wait <= Duration::from_secs(60)), "{seed}: {waits:?}");
        }
    }

    #[test]
    fn a_network_is_deserted_from_the_last_to_go_to_the_first_to_come() {
        let mut instance = Net::N1.instance(Workload::W4, 2, 0);
        let event = |at, peer, up| Event { at: Duration::from_secs(at), peer, up };
        instance.events = vec![event(1, 0, false), event(3, 1, false), event(7, 0, true), event(9, 1, true)];
        for (from, wait) in [(0, 0), (1, 0), (2, 0), (3, 4), (6, 1), (7, 0), (8, 0), (20, 0)] {
            assert_eq!(instance.deserted(Duration::from_secs(from)).as_secs(), wait, "from {from}");
        }
    }
}
