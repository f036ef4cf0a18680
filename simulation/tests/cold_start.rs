//! From the first SYN to a synced tip in four round trips: connect, handshake, headers, lists.
#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use spv_integration::store::Store;
use spv_integration::sync::{Connector, EndState, Io, Progress, Summary, Verification, sync_with};
use spv_integration::{Config, Settings};
use spv_simnet::{Arrival, GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const RTT: Duration = Duration::from_millis(100);

/// What is promised of a cold start, in round trips: four, and half of one for everything else.
const PROMISE: f64 = 4.5;

/// A chain of 862 blocks of a real node, with quorums that really signed. It is no part of the project; where it is
/// absent, a test says so and passes, except on CI, where it has to be there.
fn recorded_world() -> Option<Arc<World>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/regtest-862");
    if folder.is_dir() {
        return Some(Arc::new(World::load(&folder).unwrap()));
    }
    assert!(std::env::var_os("CI").is_none(), "the recorded data {} is missing", folder.display());
    eprintln!("SKIPPED: the recorded data {} is not there", folder.display());
    None
}

fn peers(count: usize) -> Vec<PeerConfig> {
    (0..count).map(|seed| PeerConfig { rtt: RTT, seed: seed as u64, ..PeerConfig::default() }).collect()
}

/// What is verified beside the lists, and so what is planned.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    /// The state at the tip with all its quorums.
    Tip,
    /// Every cycle's list; quorums of generated worlds never signed anything.
    Lists { from: u32 },
}

struct ColdStart {
    summary: Summary,
    arrivals: Vec<Arrival>,
    took: Duration,
}

impl ColdStart {
    /// Syncs into an empty store.
    async fn run(world: &Arc<World>, params: &ChainParams, peers: Vec<PeerConfig>, wanted: Wanted) -> Self {
        let config = NetworkConfig { peers, ..NetworkConfig::default() };
        let network = Arc::new(InMemoryNetwork::start(world, config).unwrap());
        let nodes = network.clone();
        let connector = Connector::new(move |address| {
            let nodes = nodes.clone();
            async move { nodes.connect(address).await }
        });
        let io = Io { connector, verification: Verification::Inline, seed: Some(1) };
        let config = Config {
            network: "regtest".to_owned(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            from: match wanted {
                Wanted::Tip => None,
                Wanted::Lists { from } => Some(from),
            },
            sync: Settings { verify_quorums: wanted == Wanted::Tip, ..Settings::default() },
            ..Config::default()
        };
        let store = Arc::new(Store::in_memory(&params.network).unwrap());
        let started = Instant::now();
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let summary = sync_with(&io, params, &config, store, &progress, &cancel).await.unwrap();
        let arrivals = network.arrivals(started.into_std());
        Self { summary, arrivals, took: started.elapsed() }
    }

    /// Round trips at whose beginning requests for lists were sent, counted from the first SYN, with their number.
    fn rounds_of_lists(&self) -> BTreeMap<u128, usize> {
        let mut rounds = BTreeMap::new();
        for arrival in self.arrivals.iter().filter(|arrival| arrival.request != "getheaders") {
            *rounds.entry(arrival.at.as_millis()).or_default() += 1;
        }
        rounds
    }

    /// Every phase takes the round trips that it has to, and the phases add up to the whole.
    fn assert_phases(&self, lists: f64) {
        let seconds = self.summary.seconds;
        let round_trips = |seconds: f64| seconds / RTT.as_secs_f64();
        for (phase, took, expected) in [
            ("connect", seconds.connect, 2.0),
            ("headers", seconds.headers, 1.0),
            ("lists", seconds.lists, lists),
            ("quorums", seconds.quorums, 0.0),
        ] {
            let took = round_trips(took);
            assert!(
                (expected..expected + 0.25).contains(&took),
                "{phase}: {took} of {expected}; {seconds:?}"
            );
        }
        let sum = seconds.connect + seconds.headers + seconds.lists + seconds.quorums;
        assert!((seconds.total - sum).abs() < 0.01, "{seconds:?}");
    }

    fn assert_synced_within(&self, round_trips: f64) {
        assert_eq!(self.summary.state, EndState::Synced);
        assert!(self.took <= RTT.mul_f64(round_trips), "{:?}; {:?}", self.took, self.summary.seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_chain_is_synced_with_all_its_quorums_in_four_round_trips() {
    let Some(world) = recorded_world() else { return };
    // Two nodes may be asked for six things at once, and five are needed.
    for count in [2, 5] {
        let run = ColdStart::run(&world, world.params(), peers(count), Wanted::Tip).await;
        eprintln!(
            "{count}: {:?} {:?} {:?}",
            run.summary.seconds,
            run.summary.requests,
            run.rounds_of_lists()
        );
        eprintln!("{:?}", run.summary.chain_lock);
        run.assert_synced_within(PROMISE);
        run.assert_phases(1.0);
        let quorums = &run.summary.quorums;
        assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{quorums:?}");
        assert!(quorums.verified > 0 && quorums.failed == 0 && quorums.not_verified.is_empty());
        assert!(run.summary.chain_lock.as_ref().unwrap().verified);
        assert_eq!(run.rounds_of_lists().len(), 1, "{:?}", run.rounds_of_lists());
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_missing_lists_cost_no_further_round_trip() {
    let Some(world) = recorded_world() else { return };
    // As on the main network, where a kind of quorum has many sessions between two rotations: lists far below the cycles.
    let mut params = world.params().clone();
    let kind = params.llmqs.iter_mut().find(|llmq| !llmq.rotated).unwrap();
    kind.signing_active_quorum_count = 36;
    let run = ColdStart::run(&world, &params, peers(13), Wanted::Tip).await;
    eprintln!("{:?} {:?} {:?}", run.summary.seconds, run.summary.requests, run.rounds_of_lists());
    run.assert_synced_within(PROMISE);
    run.assert_phases(1.0);
    assert!(run.summary.requests.mnlistdiff >= 30, "{:?}", run.summary.requests);
    assert_eq!(run.rounds_of_lists().len(), 1, "{:?}", run.rounds_of_lists());
    assert!(run.summary.max_in_flight_per_peer <= 3);
    assert!(run.summary.quorums.not_verified.is_empty(), "{:?}", run.summary.quorums);
}

#[tokio::test(start_paused = true)]
async fn a_generated_chain_takes_no_more() {
    for seed in 0..4 {
        let world = Arc::new(World::generate(&GeneratedSpec { masternodes: 24, cycles: 20, seed }));
        let from = world.tip() - 5 * world.params().rotated().dkg_interval;
        let run = ColdStart::run(&world, world.params(), peers(5), Wanted::Lists { from }).await;
        eprintln!("{:?} {:?} {:?}", run.summary.seconds, run.summary.requests, run.rounds_of_lists());
        eprintln!("{:?}", run.summary.chain_lock);
        run.assert_synced_within(PROMISE);
        run.assert_phases(1.0);
        assert_eq!(run.rounds_of_lists().len(), 1, "{:?}", run.rounds_of_lists());
    }
}

#[tokio::test(start_paused = true)]
async fn one_far_peer_of_five_costs_nothing() {
    let Some(world) = recorded_world() else { return };
    let mut peers = peers(5);
    peers[0].rtt = Duration::from_secs(2);
    let run = ColdStart::run(&world, world.params(), peers, Wanted::Tip).await;
    eprintln!("{:?} {:?} {:?}", run.summary.seconds, run.summary.requests, run.rounds_of_lists());
    // It has not even connected when all is done.
    run.assert_synced_within(PROMISE);
    assert!(run.summary.peers.iter().all(|peer| peer.timeouts == 0));
}
