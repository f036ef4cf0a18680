//! What a wallet asks of the recorded chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::blockdata::transaction::OutPoint;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{QuorumHash, Txid};
use spv_integration::client::{
    At, LockError, LockedBlock, LookupError, QuorumProof, RETIRED_INTERVALS, VerifiedLock,
};
use spv_integration::progress::Progress;
use spv_integration::session::Step;
use spv_integration::store::Store;
use spv_integration::{Client, Config};
use spv_masternodes::chain_lock::{BestLock, quorums_height};
use spv_masternodes::signing::signing_quorum;
use spv_masternodes::verification::SignatureError;
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};
use spv_simnet::World;
use tokio_util::sync::CancellationToken;

use crate::quorums::expected_quorums;
use crate::support::process::{Gate, run};
use crate::support::{DataDir, generated_world, honest, recorded_world, start};

const INSTANT_SEND: LLMQType = LLMQType(103);
const PLATFORM: LLMQType = LLMQType(106);
const INTERVAL: u32 = 24;

/// A client with every cycle's list and all quorums.
async fn synced(world: &Arc<World>) -> Client {
    let network = start(world, honest(2)).await;
    let gates = [Gate::before(network.addresses()[0]).await, Gate::before(network.addresses()[1]).await];
    let config = Config {
        network: "regtest".to_owned(),
        peers: gates.iter().map(|gate| gate.address.to_string()).collect(),
        from: Some(1),
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let client = Client::new(world.params().clone(), config, store).unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    // Lookups go on while a sync runs, and a second sync waits for the first.
    let (first, second, looked_up) =
        tokio::join!(client.sync(&progress, &cancel), client.sync(&progress, &cancel), async {
            let looked_up = client.state(At::Newest).await;
            gates.iter().for_each(Gate::open);
            looked_up
        });
    assert!(matches!(looked_up, Err(LookupError::Empty)), "{looked_up:?}");
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.state.as_str(), second.state.as_str()), ("Synced", "Synced"));
    assert_eq!((first.quorums.checked, second.quorums.checked), (61, 0));
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_follows_knows_the_tip() {
    let world = generated_world();
    let network = start(&world, honest(2)).await;
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let client = Client::new(world.params().clone(), config, store).unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let mut reached = None;
    let on_step = |step: &Step| {
        reached = Some(step.summary.tip.height);
        cancel.cancel();
    };
    client.follow(&progress, on_step, &cancel).await.unwrap();
    assert_eq!(reached, Some(world.tip()));
    let state = client.state(At::Newest).await.unwrap();
    assert_eq!((state.height(), Some(state.block_hash())), (world.tip(), world.block_hash(world.tip())));
    for quorum in client.quorums(At::Newest).await.unwrap() {
        assert!(quorum.proof().is_usable(), "{quorum:?}");
    }
    // Cancelled before it begins, it does not begin.
    client.follow(&progress, |_| panic!("nothing is reached"), &cancel).await.unwrap();
}

/// The ChainLock in the coinbase of a block, which the node put there.
fn best_lock(world: &Arc<World>, height: u32) -> Option<ChainLock> {
    let [base_block_hash, block_hash] = [0, height].map(|height| world.block_hash(height).unwrap());
    let diff = world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap();
    let best = BestLock::of_coinbase(&diff.coinbase_tx.coinbase_payload().unwrap().unwrap()).unwrap()?;
    let block_hash = world.block_hash(best.block_height).unwrap();
    Some(ChainLock { block_height: best.block_height, block_hash, signature: best.signature })
}

/// Each lock verifies with one quorum alone, so whoever names a wrong one is found out.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_said_to_sign_a_chain_lock_did() {
    let Some(world) = recorded_world() else { return };
    let client = synced(&world).await;
    let (mut exact, mut between) = (0, 0);
    let stored = client.stored_heights().await.unwrap();
    for height in 300..=862 {
        let Some(lock) = best_lock(&world, height) else { continue };
        let from = quorums_height(lock.block_height);
        match client.verify_chain_lock(&lock).await {
            Ok(VerifiedLock { signer, block, .. }) => {
                assert_eq!((signer.quorum().proof(), block), (QuorumProof::Verified, LockedBlock::Stored));
                let request_id = ChainLock::request_id(lock.block_height);
                let other = [9; 32];
                assert_eq!(
                    signer.verify(&request_id, &other, &lock.signature),
                    Err(SignatureError::Wrong),
                    "height {height}"
                );
                *(if stored.contains(&from) { &mut exact } else { &mut between }) += 1;
            }
            Err(LockError::Lookup(LookupError::NotStored { height, .. })) => {
                assert_eq!(height, from);
                assert!(!stored.contains(&from));
            }
            Err(error) => panic!("lock of block {}: {error}", lock.block_height),
        }
    }
    // Of 563 locks.
    assert!(exact >= 100 && between >= 300, "{exact} exact, {between} between");

    let mut lock = best_lock(&world, 862).unwrap();
    let right = lock.block_hash;
    lock.block_hash = world.block_hash(3).unwrap();
    let abandoned = client.verify_chain_lock(&lock).await.unwrap_err();
    assert!(matches!(abandoned, LockError::Abandoned { locked, .. } if locked == right), "{abandoned}");
    lock.block_hash = right;
    lock.signature = best_lock(&world, 800).unwrap().signature;
    let wrong = client.verify_chain_lock(&lock).await.unwrap_err();
    assert!(matches!(wrong, LockError::Signature(SignatureError::Wrong)), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_lock_is_signed_in_its_cycle_or_by_the_quorums_of_the_one_before() {
    let Some(world) = recorded_world() else { return };
    let client = synced(&world).await;
    let rotated: BTreeMap<u64, QuorumHash> = expected_quorums()
        .into_iter()
        .filter(|((llmq_type, _), _)| *llmq_type == INSTANT_SEND)
        .map(|((_, hash), (height, _))| (height, hash))
        .collect();
    let mut cycles = 0;
    for cycle_base in (INTERVAL..862).step_by(INTERVAL as usize) {
        for index in 0..2_u8 {
            let of_cycle = |base: u32| rotated.get(&(u64::from(base) + u64::from(index))).copied();
            let (Some(current), Some(before)) = (of_cycle(cycle_base), of_cycle(cycle_base - INTERVAL))
            else {
                continue;
            };
            // One bit, just below the highest one.
            let mut request_id = [0x5a; 32];
            request_id[31] = index << 6 | 0b1000_0001;
            let cycle_hash = world.block_hash(cycle_base).unwrap();
            let signers = client.instant_lock_signers(request_id, cycle_hash).await.unwrap();
            let names: Vec<_> = signers.iter().map(|signer| signer.quorum().entry.quorum_hash).collect();
            assert_eq!(names, [current, before], "cycle {cycle_base}, index {index}");
            cycles += 1;
        }
    }
    assert!(cycles > 20, "{cycles}");

    let cycle_hash = world.block_hash(840).unwrap();
    let lock = InstantLock {
        version: 1,
        inputs: vec![OutPoint { txid: Txid::from_byte_array([1; 32]), vout: 0 }],
        txid: Txid::from_byte_array([2; 32]),
        cyclehash: cycle_hash,
        // A signature, but of something else.
        signature: best_lock(&world, 862).unwrap().signature,
    };
    let wrong = client.verify_instant_lock(&lock).await.unwrap_err();
    assert!(matches!(wrong, LockError::Signature(SignatureError::Wrong)), "{wrong}");
    let malformed = InstantLock { signature: BLSSignature::default(), ..lock.clone() };
    let malformed = client.verify_instant_lock(&malformed).await.unwrap_err();
    assert!(matches!(malformed, LockError::Signature(SignatureError::Malformed(_))), "{malformed}");
    let elsewhere = InstantLock { cyclehash: BlockHash::all_zeros(), ..lock.clone() };
    let elsewhere = client.verify_instant_lock(&elsewhere).await.unwrap_err();
    assert!(matches!(elsewhere, LockError::Lookup(LookupError::UnknownCycle { .. })), "{elsewhere}");
    let no_cycle = InstantLock { cyclehash: world.block_hash(841).unwrap(), ..lock };
    let no_cycle = client.verify_instant_lock(&no_cycle).await.unwrap_err();
    assert!(
        matches!(no_cycle, LockError::Lookup(LookupError::NoCycle { height: 841, interval: 24, .. })),
        "{no_cycle}"
    );
}

/// With the lists of cycles alone most heights have an answer, and none differs from the one that the list of the very height gives.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_between_two_lists_is_what_the_list_in_between_says() {
    let Some(world) = recorded_world() else { return };
    let client = synced(&world).await;
    let stored = client.stored_heights().await.unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut told, mut unknown) = (0, 0);
    for height in 100..=862 - 8 {
        let truth = state(&world, height);
        for llmq_type in [LLMQType(100), INSTANT_SEND, PLATFORM] {
            let mut request_id = [0; 32];
            rng.fill(&mut request_id);
            let expected =
                signing_quorum(truth.quorums(), world.params().llmq(llmq_type).unwrap(), &request_id);
            match client.signer(llmq_type, height + 8, request_id).await {
                Ok(signer) => {
                    assert_eq!(
                        Some(&signer.quorum().entry),
                        expected.map(|quorum| &quorum.entry),
                        "{height}"
                    );
                    told += usize::from(!stored.contains(&height));
                }
                Err(LookupError::NoQuorum { .. }) => assert!(expected.is_none(), "{height}"),
                Err(LookupError::NotStored { .. }) => {
                    assert!(!stored.contains(&height));
                    unknown += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Unknown are those in the windows in which commitments are mined, and after sessions that failed.
    assert!(told > 900 && unknown > 0, "{told} told, {unknown} unknown");
}

fn state(world: &Arc<World>, height: u32) -> ProvenState {
    let block_hash = world.block_hash(height).unwrap();
    let request = GetMnListDiff { base_block_hash: world.block_hash(0).unwrap(), block_hash };
    let diff = world.active_chain().mn_list_diff(&request).unwrap();
    let block = BlockRef { hash: block_hash, header: world.header(height).unwrap(), height };
    ProvenState::genesis(world.params().genesis_hash)
        .advance(&CheckedDiff::check(diff, block).unwrap())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_s_quorums_are_found_as_long_as_they_are_active_and_a_while_longer() {
    let Some(world) = recorded_world() else { return };
    let client = synced(&world).await;
    let stored = client.stored_heights().await.unwrap();
    let expected = expected_quorums();
    let (mut found, mut retired) = (0, 0);
    for (name, (base_height, members)) in expected.iter().filter(|(name, _)| name.0 == PLATFORM) {
        let mut active = Vec::new();
        for &height in &stored {
            match client.platform_signer(name.1, height).await {
                Ok(signer) => {
                    assert_eq!(signer.members(), members);
                    assert_eq!(signer.quorum().base_height.map(u64::from), Some(*base_height));
                    if signer.quorum().height == height {
                        active.push(height);
                    } else {
                        let last_active = *active.last().unwrap();
                        assert_eq!(signer.quorum().height, last_active);
                        let left = stored.iter().find(|stored| **stored > last_active).unwrap();
                        assert!(height <= left + RETIRED_INTERVALS * INTERVAL, "{height}");
                        retired += 1;
                    }
                }
                Err(LookupError::Retired { last_active, .. }) => {
                    assert_eq!(Some(&last_active), active.last());
                    assert!(height > last_active + RETIRED_INTERVALS * INTERVAL, "{height}");
                }
                Err(LookupError::UnknownQuorum { height: at, .. }) => {
                    assert_eq!((at, active.len()), (height, 0), "one that was active is never unknown");
                }
                Err(error) => panic!("{error}"),
            }
        }
        let is_active = |height: &u32| {
            let [base_block_hash, block_hash] = [0, *height].map(|height| world.block_hash(height).unwrap());
            let diff =
                world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap();
            diff.new_quorums.iter().any(|entry| (entry.llmq_type, entry.quorum_hash) == *name)
        };
        assert_eq!(active, stored.iter().copied().filter(is_active).collect::<Vec<_>>());
        // Between two lists that both have it, it was active too.
        for pair in active.windows(2) {
            let signer = client.platform_signer(name.1, pair[0] + 3).await.unwrap();
            assert_eq!(signer.quorum().entry.quorum_hash, name.1);
        }
        found += active.len();
    }
    assert!(found > 10 && retired > 10, "{found} {retired}");
}

/// The command line says the same as the library.
#[tokio::test(flavor = "multi_thread")]
async fn signers_are_printed() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    data.sync(&world, honest(2), 1).await;
    let signer =
        |more: &[&str]| run([&["signer"], more, &["--data-dir", data.path().to_str().unwrap()]].concat());
    let at = 840_u32;
    // The list 8 blocks below a cycle's base block is always there.
    let height = at.to_string();
    let answer = signer(&["chainlock", "--height", &height, "--json"]).json();
    let signers = answer["signers"].as_array().unwrap();
    assert_eq!((signers.len(), &answer["for"], &answer["height"]), (1, &"chainlock".into(), &at.into()));
    let mut request_id = ChainLock::request_id(at);
    request_id.reverse();
    let request_id: String = request_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer["request_id"], request_id);
    assert_eq!((&signers[0]["type"], &signers[0]["verified"]), (&100.into(), &true.into()));
    assert_eq!(signers[0]["proven_at"], at - 8);
    let hash: QuorumHash = signers[0]["quorum_hash"].as_str().unwrap().parse().unwrap();
    let (base_height, members) = &expected_quorums()[&(LLMQType(100), hash)];
    assert_eq!(signers[0]["height"], *base_height);
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    assert_eq!(signers[0]["members"], serde_json::json!(members));
    let text = signer(&["chainlock", "--height", &height]);
    for word in [&request_id, &hash.to_string(), "verified", &members[3]] {
        assert!(text.ok().contains(word), "{word:?} is not in {}", text.stdout());
    }

    let cycle_hash = world.block_hash(816).unwrap().to_string();
    let ids = ["instantsend", "--request-id", &request_id, "--cycle-hash", &cycle_hash, "--json"];
    let answer = signer(&ids).json();
    let bases: Vec<u64> = answer["signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signer| signer["height"].as_u64().unwrap())
        .collect();
    assert!(matches!(bases[..], [816, 792] | [817, 793]), "{answer}");
    let at_tip = signer(&["instantsend", "--request-id", &request_id, "--height", "840", "--json"]).json();
    assert_eq!(at_tip["signers"][0]["type"], 103);
    let platform = signer(&["platform", "--request-id", &request_id, "--height", "840", "--json"]).json();
    let hash = platform["signers"][0]["quorum_hash"].as_str().unwrap();
    let named = signer(&["platform", "--quorum-hash", hash, "--height", "832", "--json"]).json();
    assert_eq!((&named["signers"], &named["request_id"]), (&platform["signers"], &serde_json::Value::Null));
}
