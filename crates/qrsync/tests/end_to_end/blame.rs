//! One wrong bit in what peers answer: never accepted, and on record only against whoever is shown to have lied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::BlockHash;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use spv_integration::net::{Connector, Resolver};
use spv_integration::progress::Progress;
use spv_integration::session::{Environment, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
use spv_integration::{Config, Settings};
use spv_simnet::{InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

use crate::support::final_state::FinalState;
use crate::support::flip::{Flip, Flipped, Part, part_of};
use crate::support::{generated_world, honest, recorded_world};

const PEERS: usize = 3;

/// How a sync ended.
struct Ended {
    summary: Summary,
    store: Arc<Store>,
    /// Answers that were flipped.
    flipped: u64,
    /// Connections to each peer that were made.
    connections: Vec<u64>,
}

/// Syncs in virtual time from peers of which as many as `liars` flip the same bit; which one it is alone, the seed says.
async fn sync(
    world: &Arc<World>,
    from: Option<u32>,
    liars: usize,
    flip: &Flip,
    verify_quorums: bool,
) -> Ended {
    // So slow that all of them are asked.
    let (rtt, service_time) = (Duration::from_millis(20), Duration::from_millis(5));
    let slow = |peer: PeerConfig| PeerConfig { rtt, service_time, ..peer };
    let peers: Vec<PeerConfig> = honest(PEERS as u64).into_iter().map(slow).collect();
    let network = InMemoryNetwork::start(world, NetworkConfig { peers, ..NetworkConfig::default() }).unwrap();
    let network = Arc::new(network);
    let addresses = network.addresses();
    let lying: Vec<SocketAddr> =
        addresses.iter().copied().cycle().skip(flip.first_liar()).take(liars).collect();
    let (flipped, magic) = (Arc::new(Flipped::default()), world.params().magic);
    let connector = {
        let (network, flip, flipped) = (network.clone(), flip.clone(), flipped.clone());
        Connector::new(move |address| {
            let (network, flip, flipped) = (network.clone(), flip.clone(), flipped.clone());
            let lies = lying.contains(&address);
            async move {
                let node = network.connect(address).await?;
                // Honest peers' answers pass through as well, and stay as they are.
                let block_hash = if lies { flip.block_hash } else { BlockHash::all_zeros() };
                Ok(Flip { block_hash, ..flip }.spawn(node, magic, flipped))
            }
        })
    };
    let environment = Environment {
        connector,
        resolver: Resolver::none(),
        verification: Verification::Inline,
        seed: Some(flip.seed),
    };
    let config = Config {
        network: "regtest".to_owned(),
        peers: addresses.iter().map(ToString::to_string).collect(),
        from,
        sync: Settings { verify_quorums, ..Settings::default() },
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let summary =
        sync_with(&environment, world.params(), &config, store.clone(), &progress, &cancel).await.unwrap();
    let connections = network.stats().iter().map(|peer| peer.connections).collect();
    Ended { summary, store, flipped: flipped.count(), connections }
}

impl Flip {
    fn first_liar(&self) -> usize {
        usize::try_from(self.seed).unwrap() % PEERS
    }
}

impl Ended {
    fn state(&self) -> &'static str {
        self.summary.state.as_str()
    }

    /// Peers on record for wrong answers.
    fn blamed(&self) -> Vec<usize> {
        let peers = self.summary.peers.iter().enumerate();
        peers.filter(|(_, peer)| peer.invalid > 0).map(|(index, _)| index).collect()
    }

    /// Peers that were disconnected and connected again.
    fn disconnected(&self) -> Vec<usize> {
        let connections = self.connections.iter().enumerate();
        connections.filter(|(_, connections)| **connections > 1).map(|(peer, _)| peer).collect()
    }
}

/// Flips of lists that follow from the cycle before by a diff with such a part in it.
fn flips(world: &Arc<World>, parts: &[Part], seeds: u64) -> Vec<Flip> {
    let work_blocks: Vec<BlockHash> =
        (1..=world.tip() / 24).map(|cycle| world.block_hash(24 * cycle - 8).unwrap()).collect();
    let diffs: Vec<MnListDiff> = work_blocks
        .windows(2)
        .map(|pair| GetMnListDiff { base_block_hash: pair[0], block_hash: pair[1] })
        .map(|request| world.active_chain().mn_list_diff(&request).unwrap())
        .collect();
    let with = |part| diffs.iter().filter(move |diff| part_of(diff, part, 1).is_some()).collect::<Vec<_>>();
    parts
        .iter()
        .flat_map(|&part| {
            let diffs = with(part);
            assert!(!diffs.is_empty(), "no list with {part:?}");
            (0..seeds).map(move |seed| {
                let block_hash = fastrand::Rng::with_seed(seed).choice(&diffs).unwrap().block_hash;
                Flip { block_hash, part, seed }
            })
        })
        .collect()
}

const PROVEN_PARTS: [Part; 5] =
    [Part::Entry, Part::Commitment, Part::Coinbase, Part::ChainLock, Part::CoinbaseProof];

#[tokio::test(start_paused = true)]
async fn whoever_flips_a_bit_is_blamed_once_another_copy_verifies_and_nobody_else() {
    let world = generated_world();
    let nothing = Flip { block_hash: BlockHash::all_zeros(), part: Part::Entry, seed: 1 };
    let reference = sync(&world, Some(1), 0, &nothing, false).await;
    assert_eq!((reference.state(), reference.blamed()), ("Synced", Vec::new()));
    let expected = FinalState::read(&reference.store, world.params());
    for part in PROVEN_PARTS {
        let mut lies = 0;
        for flip in flips(&world, &[part], 16) {
            let ended = sync(&world, Some(1), 1, &flip, false).await;
            assert_eq!(ended.state(), "Synced", "{flip:?}: {:?}", ended.summary);
            assert_eq!(FinalState::read(&ended.store, world.params()), expected, "{flip:?}");
            // Not every answer about a block is used for its list; one that is used fails, and is then refuted.
            let liar = flip.first_liar();
            for (index, peer) in ended.summary.peers.iter().enumerate() {
                assert_eq!(peer.failed, peer.invalid, "{flip:?}: {peer:?}");
                assert!(peer.invalid <= if index == liar { ended.flipped } else { 0 }, "{flip:?}: {peer:?}");
                let said = peer.remark.as_ref().is_some_and(|remark| remark.contains("wrong"));
                assert_eq!(said, peer.invalid > 0, "{flip:?}: {peer:?}");
            }
            lies += u64::from(!ended.blamed().is_empty());
        }
        assert!(lies >= 3, "{part:?}: {lies} lies were told and refuted");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_blamed_for_what_all_peers_say() {
    let world = generated_world();
    for flip in flips(&world, &PROVEN_PARTS, 8) {
        let ended = sync(&world, Some(1), PEERS, &flip, false).await;
        assert!(ended.flipped > 1, "{flip:?}");
        assert!(["Unverifiable", "Degraded"].contains(&ended.state()), "{flip:?}: {:?}", ended.summary);
        assert!(ended.summary.reason.is_some());
        assert_eq!((ended.blamed(), ended.disconnected()), (Vec::new(), Vec::new()), "{flip:?}");
        assert!(
            ended.summary.peers.iter().any(|peer| peer.failed > 0),
            "what failed is counted all the same"
        );
        let lied_about = world.height(&flip.block_hash).unwrap();
        let stored = ended.store.lists().unwrap();
        assert!(stored.iter().all(|(height, _)| *height < lied_about), "{flip:?}: {stored:?}");
    }
}

/// Nothing but the quorums' signatures tells that a served snapshot is false.
#[tokio::test(start_paused = true)]
async fn a_flipped_snapshot_verifies_no_quorum_and_its_sender_alone_is_blamed() {
    let Some(world) = recorded_world() else { return };
    let from = 600;
    let (mut shown, mut harmless) = (0, 0);
    for seed in 0..12 {
        // The cycles below the first list.
        let cycle_base = 600 - 24 * u32::try_from(1 + seed % 3).unwrap();
        let block_hash = world.block_hash(cycle_base - 8).unwrap();
        let flip = Flip { block_hash, part: Part::Snapshot, seed };
        let all = sync(&world, Some(from), PEERS, &flip, true).await;
        assert!(all.flipped > 0, "{flip:?}");
        assert_eq!(
            (all.blamed(), all.disconnected()),
            (Vec::new(), Vec::new()),
            "{flip:?}: {:?}",
            all.summary
        );
        let wrong = all.summary.quorums.failed > 0 || all.state() != "Synced";

        let one = sync(&world, Some(from), 1, &flip, true).await;
        assert_eq!((one.state(), one.summary.quorums.failed), ("Synced", 0), "{flip:?}: {:?}", one.summary);
        assert!(
            one.blamed().iter().all(|peer| *peer == flip.first_liar()),
            "{flip:?}: {:?}",
            one.summary.peers
        );
        shown += u64::from(!one.blamed().is_empty());
        // Some bits are beyond the list, or exchange members who did not sign.
        harmless += u64::from(!wrong);
    }
    assert!(shown > 0 && harmless < 12, "{shown} shown, {harmless} harmless");
}
