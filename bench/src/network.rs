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
                let (at, length) = (Duration::from_millis(rng.u64(150..300)), Duration::from_secs(60));
                let event = |up| move |peer| Event { at: if up { at + length } else { at }, peer, up };
                instance.events = (0..count).map(event(false)).chain((0..count).map(event(true))).collect();
                instance.outage = Some((at, length));
            }
            Self::N8 => {
                let mut at = Duration::ZERO;
                let mut up = vec![true; count];
                // Churn ends some time, for the sake of contestants that would never.
                while at < Duration::from_secs(120) {
                    at += Duration::from_millis(rng.u64(100..600));
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
