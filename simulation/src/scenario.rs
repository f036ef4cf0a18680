use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use spv_integration::session::EndState;
use spv_simnet::{Faults, GeneratedSpec, InMemoryNetwork, PeerConfig, World};

/// A kind of network.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The chain that is synced.
    pub(crate) chain: Chain,
    /// Its nodes, drawn from a seeded generator.
    pub(crate) peers: fn(&mut Rng) -> Vec<PeerConfig>,
    /// Height from which lists are wanted. Of the first cycles nobody serves rotation info, as on an old stretch of a real
    /// chain; on a long chain, waiting for that would only hide the pace.
    pub(crate) from: u32,
    /// Works that the client may have open; `None` is its default.
    pub(crate) window: Option<usize>,
    /// What happens to the nodes while the client works.
    pub(crate) script: Script,
    /// How a run may end.
    pub(crate) allowed: fn(&EndState) -> bool,
    /// Whether so much fails that only single probes may be sent for a while.
    pub(crate) opens_the_pool: bool,
    /// Nodes that answer everything in time; the lower bound is that of using these alone.
    pub(crate) honest: fn(&PeerConfig) -> bool,
}

/// What happens to the nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Nothing.
    Calm,
    /// All nodes are down for a while, soon after the start.
    Outage(Duration),
    /// Nodes go and come back, one after the other.
    Churn,
    /// All nodes but one go and stay away.
    LastOne,
    /// One node goes and comes back every few hundred milliseconds.
    Flapping,
    /// Three of five nodes go at the same moment, as if one host held them, and come back together; again and again.
    Correlated,
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    calm("equal", "five equal nodes", |_| peers(5, |_, _| {})),
    calm("uneven", "five nodes, twentyfold apart in round trip and service time", |rng| {
        peers(5, |index, peer| {
            peer.rtt = Duration::from_millis(20 + 95 * index);
            peer.service_time = Duration::from_millis(rng.u64(1..=20) * (index + 1));
        })
    }),
    calm("refuser", "one node refuses everything", |_| {
        peers(5, |index, peer| {
            if index == 0 {
                peer.faults.refuse_all = true;
            }
        })
    }),
    calm("silent", "one node is silent after its handshake", |_| {
        peers(5, |index, peer| {
            if index == 0 {
                peer.faults.silent = true;
            }
        })
    }),
    calm("third-fails", "30 % of all answers are lost, refused, late, corrupted or wrong", |_| failing(0.3)),
    calm("half-fails", "half of all answers are lost, refused, late, corrupted or wrong", |_| failing(0.5)),
    calm("loss-30", "30 % of all answers are lost, and nothing else is wrong", |_| {
        peers(5, |_, peer| peer.faults = faults("drop=0.3"))
    }),
    calm("loss-50", "half of all answers are lost, and nothing else is wrong", |_| {
        peers(5, |_, peer| peer.faults = faults("drop=0.5"))
    }),
    Scenario {
        chain: Chain::Long,
        from: 240,
        ..calm("long", "five equal nodes and a long chain", |_| peers(5, |_, _| {}))
    },
    Scenario {
        chain: Chain::Long,
        from: 240,
        ..calm("long-loss", "30 % of all answers are lost, on a long chain", |_| {
            peers(5, |_, peer| peer.faults = faults("drop=0.3"))
        })
    },
    Scenario {
        chain: Chain::Long,
        window: Some(16),
        ..calm("narrow", "half of all answers are lost, on a long chain, with little room to wait in", |_| {
            peers(5, |_, peer| peer.faults = faults("drop=0.5"))
        })
    },
    calm("stalls", "nodes swallow a request now and then, with its fence", |_| {
        peers(5, |_, peer| peer.faults = faults("stall=0.05"))
    }),
    calm("late", "every third answer comes after its fence", |_| {
        peers(5, |_, peer| peer.faults = faults("late=0.33:300ms"))
    }),
    calm("duplicates", "every other answer comes twice, the second time at once or much later", |_| {
        peers(5, |index, peer| {
            peer.faults = faults(if index % 2 == 0 { "duplicate=0.5" } else { "duplicate=0.5:400ms" });
        })
    }),
    calm("reordered", "every third answer comes with its pong behind the next one", |_| {
        peers(5, |_, peer| peer.faults = faults("reorder=0.33"))
    }),
    calm("trickle", "two of five nodes send two thousand bytes a second", |_| {
        peers(5, |index, peer| {
            if index < 2 {
                peer.bandwidth = std::num::NonZeroU64::new(2_000);
            }
        })
    }),
    beside_honest("two-lie", "two of five nodes corrupt or swap everything they send", |_| {
        peers(5, |index, peer| match index {
            0 => peer.faults = faults("corrupt=1"),
            1 => peer.faults = faults("wrong=1"),
            _ => {}
        })
    }),
    calm("mobile", "a narrow line with much delay, and bad checksums", |rng| {
        peers(5, |_, peer| {
            peer.rtt = Duration::from_millis(rng.u64(80..400));
            peer.bandwidth = std::num::NonZeroU64::new(200_000);
            peer.faults = faults("bad-checksum=0.05,delay=0.2:200ms");
        })
    }),
    calm("old-nodes", "nodes that build each diff independently, some of them a few blocks behind", |rng| {
        peers(5, |index, peer| {
            peer.protocol_version = if index % 2 == 0 { 70_235 } else { 70_240 };
            if index >= 3 {
                peer.tip = Some(Chain::Short.world().tip() - rng.u32(0..4));
            }
        })
    }),
    beside_honest("stuck", "the quickest of three nodes is 200 blocks behind, the others are slow", |rng| {
        quick_beside_slow("behind=200", rng)
    }),
    beside_honest("withholder", "the quickest of three nodes claims the tip and sends no headers", |rng| {
        quick_beside_slow("withhold=0", rng)
    }),
    beside_honest("claimer", "the quickest of three nodes claims a million blocks", |rng| {
        quick_beside_slow("claim=1000000", rng)
    }),
    beside_honest("fades", "the quickest of three nodes falls silent after a few messages", |rng| {
        quick_beside_slow(&format!("mute-after={}", rng.u32(2..12)), rng)
    }),
    beside_honest("forgers", "the two quickest of eight nodes flip the same bit in every answer", |rng| {
        liars(2, 6, "forge=1", rng)
    }),
    beside_honest("truncaters", "the two quickest of eight nodes send half of every answer", |rng| {
        liars(2, 6, "truncate=1", rng)
    }),
    beside_honest("padders", "the two quickest of four nodes pad every answer to 32 MiB", |rng| {
        liars(2, 2, "pad=1", rng)
    }),
    beside_honest("most-lie", "five of six nodes forge, truncate or swap everything they send", |rng| {
        let kind = ["forge=1", "truncate=1", "wrong=1", "corrupt=1"][rng.usize(0..4)];
        liars(5, 1, kind, rng)
    }),
    Scenario {
        allowed: |state| !matches!(state, EndState::Synced),
        honest: |_| false,
        ..calm("all-lie", "all nodes flip the same bit in every answer", |rng| liars(5, 0, "forge=1", rng))
    },
    beside_honest("junk-on-top", "the quickest of three nodes has a thousand cheap blocks on top", |rng| {
        quick_beside_slow("junk-chain=1000", rng)
    }),
    beside_honest("junk-fork", "the quickest of three nodes has a longer chain of cheap blocks", |rng| {
        let fork = rng.u32(1..=600);
        quick_beside_slow(&format!("junk-chain=1000:{fork}"), rng)
    }),
    beside_honest("header-flood", "the quickest of three nodes sends old headers all the time", |rng| {
        let kind = ["known-headers", "fork-headers"][rng.usize(0..2)];
        quick_beside_slow(&format!("flood={kind}:{}", rng.u32(1..=100)), rng)
    }),
    beside_honest("flood", "the quickest of three nodes sends what nobody wants", |rng| {
        let kind = ["inv", "addr", "ping", "big-headers", "big-lists"][rng.usize(0..5)];
        quick_beside_slow(&format!("flood={kind}:{}", rng.u32(1..=20)), rng)
    }),
    beside_honest("never-reads", "the quickest of three nodes reads nothing after its handshake", |rng| {
        quick_beside_slow("never-read", rng)
    }),
    beside_honest("bytewise", "the quickest of three nodes sends a few bytes a second", |rng| {
        quick_beside_slow(&format!("trickle={}", rng.u32(1..=200)), rng)
    }),
    beside_honest("swarm", "every node but one has any of all faults", swarm),
    Scenario {
        allowed: |state| matches!(state, EndState::Degraded { .. }),
        honest: |_| false,
        ..calm("nobody-is-ready", "all nodes still download the chain themselves", |_| {
            peers(3, |_, peer| peer.faults = faults("claim=0,withhold=0"))
        })
    },
    Scenario {
        opens_the_pool: true,
        ..calm("cascade", "the first answers of all nodes are corrupted, then all is well", |_| {
            peers(5, |_, peer| peer.faults = faults("bad-checksum=first:8"))
        })
    },
    Scenario {
        script: Script::Outage(Duration::from_secs(60)),
        ..calm("outage", "all nodes are away for a minute", |_| peers(5, |_, _| {}))
    },
    Scenario {
        script: Script::Correlated,
        ..calm("correlated", "three of five nodes go together and come back together", |_| {
            peers(5, |_, _| {})
        })
    },
    Scenario { script: Script::Churn, ..calm("churn", "nodes go and come back", |_| failing(0.1)) },
    Scenario { script: Script::LastOne, ..calm("last-one", "all nodes but one go", |_| peers(5, |_, _| {})) },
    Scenario {
        script: Script::Flapping,
        ..calm("flapping", "one node goes and comes back all the time", |_| peers(5, |_, _| {}))
    },
    Scenario {
        allowed: |state| matches!(state, EndState::Degraded { .. }),
        honest: |_| false,
        ..calm("all-refuse", "nobody serves anything", |_| peers(5, |_, peer| peer.faults.refuse_all = true))
    },
];

impl Scenario {
    /// The nodes of the run with this seed.
    pub fn nodes(&self, seed: u64) -> Vec<PeerConfig> {
        self.draw(&mut Rng::with_seed(seed))
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> Vec<PeerConfig> {
        let mut peers = (self.peers)(rng);
        for peer in &mut peers {
            peer.seed = rng.u64(..);
        }
        peers
    }
}

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// A chain to be synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chain {
    /// About 20 requests' worth: most is over before everything has been measured, which is the harder case.
    Short,
    /// About 300 requests' worth.
    Long,
}

impl Chain {
    pub(crate) fn world(self) -> &'static Arc<World> {
        static SHORT: OnceLock<Arc<World>> = OnceLock::new();
        static LONG: OnceLock<Arc<World>> = OnceLock::new();
        let (world, cycles) = match self {
            Self::Short => (&SHORT, 30),
            Self::Long => (&LONG, 600),
        };
        // Signatures would be most of the work.
        let spec =
            GeneratedSpec { masternodes: 24, cycles, seed: 1, signatures: false, ..GeneratedSpec::default() };
        world.get_or_init(|| Arc::new(World::generate(&spec)))
    }
}

impl Script {
    pub(crate) async fn play(self, network: &InMemoryNetwork, addresses: &[SocketAddr], mut rng: Rng) {
        let all = |change: fn(&InMemoryNetwork, SocketAddr), addresses: &[SocketAddr]| {
            addresses.iter().for_each(|&address| change(network, address));
        };
        // The first peers are usable after three round trips; who never had one may give up at once.
        let start = Duration::from_millis(rng.u64(320..600));
        match self {
            Self::Calm => {}
            Self::Outage(length) => {
                tokio::time::sleep(start).await;
                all(InMemoryNetwork::take_down, addresses);
                tokio::time::sleep(length).await;
                all(InMemoryNetwork::bring_up, addresses);
            }
            Self::Churn => loop {
                tokio::time::sleep(Duration::from_millis(rng.u64(50..400))).await;
                let Some(&address) = rng.choice(addresses) else { return };
                if rng.bool() {
                    network.take_down(address);
                } else {
                    network.bring_up(address);
                }
            },
            Self::LastOne => {
                tokio::time::sleep(start).await;
                all(InMemoryNetwork::take_down, &addresses[1..]);
            }
            Self::Correlated => loop {
                tokio::time::sleep(Duration::from_millis(rng.u64(300..900))).await;
                all(InMemoryNetwork::take_down, &addresses[..3]);
                tokio::time::sleep(Duration::from_millis(rng.u64(500..5_000))).await;
                all(InMemoryNetwork::bring_up, &addresses[..3]);
            },
            Self::Flapping => loop {
                tokio::time::sleep(Duration::from_millis(rng.u64(100..300))).await;
                network.take_down(addresses[0]);
                network.bring_up(addresses[0]);
            },
        }
    }
}

const fn calm(name: &'static str, about: &'static str, peers: fn(&mut Rng) -> Vec<PeerConfig>) -> Scenario {
    Scenario {
        name,
        about,
        chain: Chain::Short,
        peers,
        from: 1,
        window: None,
        script: Script::Calm,
        allowed: |state| *state == EndState::Synced,
        opens_the_pool: false,
        honest: |peer| !peer.faults.refuse_all && !peer.faults.silent,
    }
}

/// A calm scenario in which only the nodes without faults can be relied on.
const fn beside_honest(
    name: &'static str,
    about: &'static str,
    peers: fn(&mut Rng) -> Vec<PeerConfig>,
) -> Scenario {
    Scenario { honest: |peer| peer.faults == Faults::default(), ..calm(name, about, peers) }
}

/// Nodes with a round trip of 100 ms and 10 ms per answer, changed as `change` likes.
fn peers(count: u64, mut change: impl FnMut(u64, &mut PeerConfig)) -> Vec<PeerConfig> {
    (0..count)
        .map(|index| {
            let mut peer = PeerConfig {
                rtt: Duration::from_millis(100),
                service_time: Duration::from_millis(10),
                ..PeerConfig::default()
            };
            change(index, &mut peer);
            peer
        })
        .collect()
}

/// One near node with these faults, and two far ones without.
fn quick_beside_slow(text: &str, rng: &mut Rng) -> Vec<PeerConfig> {
    let far = rng.u64(50..=400);
    peers(3, |index, peer| {
        if index == 0 {
            (peer.rtt, peer.faults) = (Duration::from_millis(1), faults(text));
        } else {
            peer.rtt = Duration::from_millis(far);
        }
    })
}

/// Near nodes that lie in this way, and farther ones that do not.
fn liars(liars: u64, honest: u64, text: &str, rng: &mut Rng) -> Vec<PeerConfig> {
    peers(liars + honest, |index, peer| {
        if index < liars {
            (peer.rtt, peer.faults) = (Duration::from_millis(10), faults(text));
        } else {
            peer.rtt = Duration::from_millis(rng.u64(30..=400));
        }
    })
}

/// Two to seven nodes, one of them without faults, the others with a few of all that there are.
fn swarm(rng: &mut Rng) -> Vec<PeerConfig> {
    let count = rng.u64(2..=7);
    let honest = rng.u64(0..count);
    peers(count, |index, peer| {
        peer.rtt = Duration::from_millis(rng.u64(1..=400));
        if index != honest {
            peer.faults = faults(&any_faults(rng));
        }
    })
}

fn any_faults(rng: &mut Rng) -> String {
    const OF_ANSWERS: [&str; 13] = [
        "drop",
        "refuse",
        "stall",
        "disconnect",
        "wrong",
        "corrupt",
        "bad-checksum",
        "forge",
        "truncate",
        "delay",
        "late",
        "duplicate",
        "reorder",
    ];
    const OF_NODES: [&str; 16] = [
        "silent",
        "refuse-all",
        "no-pong",
        "mute-after=7",
        "never-read",
        "trickle=100",
        "behind=100",
        "claim=1000000",
        "withhold=50",
        "claim=0,withhold=0",
        "junk-chain=100",
        "junk-chain=900:100",
        "flood=known-headers:20",
        "flood=big-lists:2",
        "flood=addr:20",
        "clock=-6h",
    ];
    let mut texts = Vec::new();
    for name in OF_ANSWERS {
        if rng.u32(0..5) == 0 {
            let time = if ["delay", "late"].contains(&name) { ":300ms" } else { "" };
            texts.push(format!("{name}={:.2}{time}", 0.01 + 0.99 * rng.f64()));
        }
    }
    if rng.bool() {
        texts.push("headers".to_owned());
    }
    if rng.bool() {
        texts.extend(rng.choice(OF_NODES).map(str::to_owned));
    }
    texts.join(",")
}

/// Nodes whose answers fail at this rate, in all ways alike.
fn failing(rate: f64) -> Vec<PeerConfig> {
    let share = rate / 6.0;
    let text = format!(
        "drop={share},refuse={share},wrong={share},corrupt={share},bad-checksum={share},delay={share}:500ms"
    );
    peers(5, |_, peer| peer.faults = faults(&text))
}

fn faults(text: &str) -> Faults {
    text.parse().expect("the faults of the scenarios are well-formed")
}
