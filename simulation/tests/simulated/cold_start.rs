//! From the first SYN to a synced tip in four round trips: connect, handshake, headers, lists.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use spv_integration::net::{Connector, Resolver};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
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

/// Two chains from the same genesis, the lighter first.
fn two_chains() -> [Arc<World>; 2] {
    [(16, 1), (20, 2)].map(|(cycles, seed)| {
        Arc::new(World::generate(&GeneratedSpec {
            masternodes: 24,
            cycles,
            seed,
            ..GeneratedSpec::default()
        }))
    })
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
    store: Arc<Store>,
    arrivals: Vec<Arrival>,
    took: Duration,
}

impl ColdStart {
    /// Syncs into an empty store.
    async fn run(world: &Arc<World>, params: &ChainParams, peers: Vec<PeerConfig>, wanted: Wanted) -> Self {
        Self::from_networks(&[(world, peers)], params, wanted).await
    }

    /// The same with nodes that follow different chains.
    async fn from_networks(
        worlds: &[(&Arc<World>, Vec<PeerConfig>)],
        params: &ChainParams,
        wanted: Wanted,
    ) -> Self {
        let start = |(index, (world, peers)): (usize, &(&Arc<World>, Vec<PeerConfig>))| {
            let config = NetworkConfig { peers: peers.clone(), ..NetworkConfig::default() };
            // The client tells the networks apart by address; each thinks itself alone.
            let ip = IpAddr::from([127, 0, 0, u8::try_from(index + 1).unwrap()]);
            (ip, Arc::new(InMemoryNetwork::start(world, config).unwrap()))
        };
        let networks: BTreeMap<IpAddr, Arc<InMemoryNetwork>> = worlds.iter().enumerate().map(start).collect();
        let addresses = networks.iter().flat_map(|(&ip, network)| {
            network.addresses().into_iter().map(move |address| SocketAddr::new(ip, address.port()))
        });
        let peers = addresses.map(|address| address.to_string()).collect();
        let nodes = networks.clone();
        let connector = Connector::new(move |address| {
            let network = nodes[&address.ip()].clone();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
            async move { network.connect(address).await }
        });
        let environment = Environment {
            connector,
            resolver: Resolver::none(),
            verification: Verification::Inline,
            seed: Some(1),
        };
        let config = Config {
            network: "regtest".to_owned(),
            peers,
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
        let summary =
            sync_with(&environment, params, &config, store.clone(), &progress, &cancel).await.unwrap();
        let took = started.elapsed();
        let arrivals = networks.values().flat_map(|network| network.arrivals(started.into_std())).collect();
        Self { summary, store, arrivals, took }
    }

    /// Round trips at whose beginning requests for lists were sent, counted from the first SYN, with their number.
    fn rounds_of_lists(&self) -> BTreeMap<u128, usize> {
        let mut rounds = BTreeMap::new();
        for arrival in self.arrivals.iter().filter(|arrival| !arrival.request.starts_with("getheaders")) {
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

    fn assert_every_quorum_is_verified(&self) {
        let quorums = &self.summary.quorums;
        assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{quorums:?}");
        assert!(quorums.verified > 0 && quorums.failed == 0 && quorums.not_verified.is_empty());
        assert!(self.summary.chain_lock.as_ref().unwrap().verified);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_chain_is_synced_with_all_its_quorums_in_four_round_trips() {
    let Some(world) = recorded_world() else { return };
    // Three nodes may be asked for nine things at once, which is enough.
    for count in [3, 5] {
        let run = ColdStart::run(&world, world.params(), peers(count), Wanted::Tip).await;
        run.assert_synced_within(PROMISE);
        run.assert_phases(1.0);
        run.assert_every_quorum_is_verified();
        let rounds = run.rounds_of_lists();
        assert_eq!(rounds.len(), 1, "{rounds:?}");
        assert!(rounds.values().sum::<usize>() <= 9, "{rounds:?}");
    }
}

/// Where there are slots enough, which is three per node.
#[tokio::test(start_paused = true)]
async fn thirty_missing_lists_cost_no_further_round_trip() {
    let Some(world) = recorded_world() else { return };
    // As on the main network, where a kind of quorum has many sessions between two rotations: lists far below the cycles.
    let mut params = world.params().clone();
    let kind = params.llmqs.iter_mut().find(|llmq| !llmq.rotated).unwrap();
    kind.signing_active_quorum_count = 36;
    let run = ColdStart::run(&world, &params, peers(13), Wanted::Tip).await;
    run.assert_synced_within(PROMISE);
    run.assert_phases(1.0);
    run.assert_every_quorum_is_verified();
    assert!(run.summary.requests.mnlistdiff >= 30, "{:?}", run.summary.requests);
    assert_eq!(run.rounds_of_lists().len(), 1, "{:?}", run.rounds_of_lists());
    assert!(run.summary.max_in_flight_per_peer <= 3);

    // With fewer nodes it takes as many rounds as there are threes in it, and every node has its share.
    let run = ColdStart::run(&world, &params, peers(7), Wanted::Tip).await;
    run.assert_synced_within(PROMISE + 1.0);
    run.assert_phases(2.0);
    let shares = run.summary.peers.iter().map(|peer| peer.requests);
    assert!(shares.clone().max().unwrap() <= shares.min().unwrap() + 3, "{:?}", run.summary.peers);
}

#[tokio::test(start_paused = true)]
async fn a_generated_chain_takes_no_more() {
    for seed in 0..4 {
        let world = Arc::new(World::generate(&GeneratedSpec {
            masternodes: 24,
            cycles: 20,
            seed,
            ..GeneratedSpec::default()
        }));
        let from = world.tip() - 5 * world.params().rotated().dkg_interval;
        let run = ColdStart::run(&world, world.params(), peers(5), Wanted::Lists { from }).await;
        run.assert_synced_within(PROMISE);
        run.assert_phases(1.0);
        assert_eq!(run.rounds_of_lists().len(), 1, "{:?}", run.rounds_of_lists());
    }
}

/// The work goes on while others are heard; only the word waits for them.
#[tokio::test(start_paused = true)]
async fn one_far_peer_of_five_costs_its_own_round_trips_and_at_most_the_longest_patience() {
    let Some(world) = recorded_world() else { return };
    let patience = Settings::default().tip_patience;
    for (rtt, longest) in
        [(RTT.mul_f64(1.2), 3.6), (5 * RTT, 15.0), (20 * RTT, patience.div_duration_f64(RTT))]
    {
        let mut peers = peers(5);
        peers[0].rtt = rtt;
        let run = ColdStart::run(&world, world.params(), peers, Wanted::Tip).await;
        run.assert_synced_within(longest.max(4.0) + 0.11);
        assert_eq!(run.rounds_of_lists().keys().collect::<Vec<_>>(), [&300], "lists do not wait");
        run.assert_every_quorum_is_verified();
        assert!(run.summary.peers.iter().all(|peer| peer.timeouts == 0));
    }
}

/// Who has greeted may know a better chain: it is given twice as long as its handshake took, half a second at least.
#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_costs_no_more_than_its_patience() {
    let Some(world) = recorded_world() else { return };
    let mut peers = peers(5);
    peers[0].faults = "silent".parse().unwrap();
    let run = ColdStart::run(&world, world.params(), peers, Wanted::Tip).await;
    run.assert_synced_within(2.0 + 5.0 + 0.01);
    run.assert_every_quorum_is_verified();
    assert_eq!(run.rounds_of_lists().keys().collect::<Vec<_>>(), [&300], "lists do not wait");
}

#[tokio::test(start_paused = true)]
async fn lists_begin_with_the_first_tip_that_is_told_whatever_others_claim() {
    let world = Arc::new(World::generate(&GeneratedSpec {
        masternodes: 24,
        cycles: 20,
        seed: 1,
        ..GeneratedSpec::default()
    }));
    let mut peers = peers(3);
    for peer in &mut peers[1..] {
        (peer.rtt, peer.tip) = (RTT.mul_f64(0.8), Some(world.tip() - 30));
    }
    let from = world.tip() - 120;
    let run = ColdStart::run(&world, world.params(), peers, Wanted::Lists { from }).await;
    run.assert_synced_within(PROMISE + 1.0);
    assert_eq!(run.summary.tip.height, world.tip());
    assert_eq!(run.rounds_of_lists().keys().next(), Some(&240));
    assert_eq!(run.summary.requests.refused, 0, "nobody is asked for what it does not have");
}

/// It greets when those that were first to answer are at work on lists, so what it claims is not known before.
#[tokio::test(start_paused = true)]
async fn a_longer_chain_that_turns_up_is_brought_as_if_it_had_been_known() {
    let world = Arc::new(World::generate(&GeneratedSpec {
        masternodes: 24,
        cycles: 20,
        seed: 1,
        ..GeneratedSpec::default()
    }));
    let wanted = Wanted::Lists { from: world.tip() - 120 };
    let mut mixed = peers(3);
    mixed[0].rtt = RTT.mul_f64(1.35);
    for peer in &mut mixed[1..] {
        (peer.rtt, peer.tip) = (RTT.mul_f64(0.75), Some(world.tip() - 30));
        peer.service_time = Duration::from_millis(40);
    }
    let run = ColdStart::run(&world, world.params(), mixed, wanted).await;
    assert_eq!((&run.summary.state, run.summary.tip.height), (&EndState::Synced, world.tip()));
    let fresh = ColdStart::run(&world, world.params(), peers(3), wanted).await;
    assert_eq!(run.store.lists().unwrap(), fresh.store.lists().unwrap());
    assert_eq!(run.summary.lists.verified, fresh.summary.lists.verified);
}

/// Its nodes greet while lists of the lighter one are under way.
#[tokio::test(start_paused = true)]
async fn a_heavier_branch_that_turns_up_replaces_what_was_begun() {
    let [lighter, heavier] = two_chains();
    let wanted = Wanted::Lists { from: 100 };
    let service_time = Duration::from_millis(40);
    let [near, far] = [0.75, 1.35].map(|rtt| {
        let peer = |peer| PeerConfig { rtt: RTT.mul_f64(rtt), service_time, ..peer };
        peers(3).into_iter().map(peer).collect::<Vec<_>>()
    });
    let networks = [(&lighter, near), (&heavier, far)];
    let run = ColdStart::from_networks(&networks, heavier.params(), wanted).await;
    // The far ones greet after 270 ms, and their headers come 175 ms later.
    let begun = run.rounds_of_lists().range(..=270).count();
    assert!(begun > 0 && run.rounds_of_lists().range(445..).count() > 0, "{:?}", run.rounds_of_lists());
    let fresh = ColdStart::run(&heavier, heavier.params(), peers(3), wanted).await;
    assert_eq!((&run.summary.state, run.summary.tip.hash), (&EndState::Synced, fresh.summary.tip.hash));
    assert_eq!(run.store.lists().unwrap(), fresh.store.lists().unwrap());
    let params = heavier.params();
    for (height, _) in fresh.store.lists().unwrap() {
        let [found, expected] = [&run, &fresh].map(|run| run.store.state(params, height).unwrap().unwrap());
        assert_eq!(found.masternodes(), expected.masternodes(), "height {height}");
    }
}

/// Its nodes are the quickest, and serve its headers and nothing else.
#[tokio::test(start_paused = true)]
async fn a_heavier_branch_whose_lists_nobody_serves_is_set_aside_and_leaves_nothing_behind() {
    let [honest, junk] = two_chains();
    let wanted = Wanted::Lists { from: 100 };
    for (faults, within) in [("refuse-all", 50.0), ("drop=1", 50.0), ("stall=1", 400.0), ("corrupt=1", 50.0)]
    {
        let quick = PeerConfig {
            rtt: Duration::from_millis(10),
            faults: faults.parse().unwrap(),
            ..PeerConfig::default()
        };
        let networks = [(&honest, peers(2)), (&junk, vec![quick])];
        let run = ColdStart::from_networks(&networks, honest.params(), wanted).await;
        let summary = &run.summary;
        assert_eq!((&summary.state, summary.tip.height), (&EndState::Synced, honest.tip()), "{faults}");
        assert_eq!(summary.tip.hash, honest.block_hash(honest.tip()).unwrap());
        assert_eq!((summary.tip_heard.peers, summary.tip_heard.networks), (2, 2));
        assert!(run.took <= RTT.mul_f64(within), "{faults}: {:?}", run.took);
        let fresh = ColdStart::run(&honest, honest.params(), peers(2), wanted).await;
        assert_eq!(run.store.lists().unwrap(), fresh.store.lists().unwrap());
        assert_eq!(
            run.store.tip().unwrap(),
            Some((honest.tip(), summary.tip.hash)),
            "{faults}: nothing is stored of it"
        );
        let named = summary.peers.iter().filter_map(|peer| peer.remark.as_deref());
        assert!(
            named.clone().any(|remark| remark.contains("branch")),
            "{faults}: {:?}",
            named.collect::<Vec<_>>()
        );
    }
}
