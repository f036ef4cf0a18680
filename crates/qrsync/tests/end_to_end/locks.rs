//! ChainLocks and InstantSend locks, as a wallet has them checked, and who signs after having retired.

use std::sync::Arc;

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::{deserialize, serialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, QuorumHash, Txid};
use hex_conservative::DisplayHex;
use spv_integration::client::{LockError, LockedBlock, LookupError, RETIRED_INTERVALS};
use spv_integration::progress::Progress;
use spv_integration::{Client, Config};
use spv_simnet::{GeneratedSpec, InstantLocker, World};

use crate::schemas::assert_valid;
use crate::support::process::{Finished, run};
use crate::support::{DataDir, generate, generated_world, honest, start};

const PLATFORM: LLMQType = LLMQType(106);

/// A client after a sync of the tip, as most have it.
async fn synced(data: &DataDir, world: &Arc<World>) -> Client {
    let network = start(world, honest(3)).await;
    let peers: Vec<String> = network.addresses().iter().map(ToString::to_string).collect();
    let summary = data.sync_range(world, peers, None, &Progress::default()).await;
    assert_eq!(summary.state.as_str(), "Synced", "{:?}", summary.reason);
    let config = Config { network: "regtest".to_owned(), ..Config::default() };
    Client::new(world.params().clone(), config, Arc::new(data.open())).unwrap()
}

/// The highest block that is locked, with its lock.
fn newest_lock(world: &World) -> ChainLock {
    (0..world.tip()).rev().find_map(|height| world.chain_lock(height)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fate_of_a_chain_lock_is_an_outcome_of_its_own() {
    let world = generated_world();
    let data = DataDir::new();
    let client = synced(&data, &world).await;
    let lock = newest_lock(&world);
    let valid = client.verify_chain_lock(&lock).await.unwrap();
    assert_eq!((valid.block, valid.signer.quorum().entry.llmq_type), (LockedBlock::Stored, LLMQType(100)));

    // Above all that is locked nothing speaks against another block but the signature.
    let tip = world.tip();
    let unlocked = ChainLock { block_height: tip, block_hash: BlockHash::all_zeros(), ..lock.clone() };
    assert!(matches!(client.verify_chain_lock(&unlocked).await.unwrap_err(), LockError::Signature(_)));
    let abandoned = ChainLock { block_hash: BlockHash::all_zeros(), ..lock.clone() };
    let error = client.verify_chain_lock(&abandoned).await.unwrap_err();
    assert!(
        matches!(error, LockError::Abandoned { height, locked } if (height, locked) == (lock.block_height, lock.block_hash)),
        "{error}"
    );
    let future = ChainLock { block_height: tip + 500, ..lock.clone() };
    let LockError::Lookup(error) = client.verify_chain_lock(&future).await.unwrap_err() else { panic!() };
    assert!(matches!(error, LookupError::AboveTip { .. }) && error.is_transient(), "{error}");
    let genesis = ChainLock { block_height: 0, block_hash: world.block_hash(0).unwrap(), ..lock.clone() };
    let LockError::Lookup(error) = client.verify_chain_lock(&genesis).await.unwrap_err() else { panic!() };
    assert!(!error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bit_of_a_lock_can_be_flipped() {
    let world = generated_world();
    let data = DataDir::new();
    let client = synced(&data, &world).await;
    let bytes = serialize(&newest_lock(&world));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let lock: ChainLock = deserialize(&flipped).unwrap();
        assert!(client.verify_chain_lock(&lock).await.is_err(), "bit {bit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_what_the_library_says() {
    let world = generated_world();
    let data = DataDir::new();
    let lock = newest_lock(&world);
    drop(synced(&data, &world).await);
    let verify = |lock: &ChainLock| -> Finished {
        let hex = serialize(lock).to_lower_hex_string();
        run([["verify", "chainlock", &hex, "--json", "--data-dir", data.path().to_str().unwrap()]].concat())
    };
    let valid = verify(&lock);
    assert_eq!(valid.code(), Some(0));
    let json = valid.json();
    assert_valid("verify", &json);
    assert_eq!((&json["outcome"], &json["height"]), (&"valid".into(), &lock.block_height.into()));
    assert_eq!(json["signer"]["verified"], true);
    for (lock, code, outcome) in [
        (ChainLock { signature: BLSSignature::default(), ..lock.clone() }, 4, "wrong"),
        (ChainLock { block_hash: BlockHash::all_zeros(), ..lock.clone() }, 4, "abandoned_branch"),
        (ChainLock { block_height: world.tip() + 100, ..lock.clone() }, 1, "not_yet_known"),
    ] {
        let finished = verify(&lock);
        assert_eq!(finished.code(), Some(code), "{outcome}");
        let json: serde_json::Value = serde_json::from_str(finished.stdout()).unwrap();
        assert_valid("verify", &json);
        assert_eq!(json["outcome"], outcome);
    }
    let directory = data.path().to_str().unwrap();
    run(["verify", "chainlock", "xyz", "--data-dir", directory]).fails(1, &["hexadecimal", "clsig"]);
    run(["verify", "instantlock", "00", "--data-dir", directory]).fails(1, &["isdlock"]);
}

/// After a sync of any tip it is known who locks that tip.
#[tokio::test(flavor = "multi_thread")]
async fn who_locks_the_tip_is_known_wherever_in_a_cycle_it_is() {
    let world = generate(8, 5);
    for behind in 0..26 {
        let data = DataDir::new();
        let tip = world.tip() - behind;
        let peers = honest(3).into_iter().map(|peer| spv_simnet::PeerConfig { tip: Some(tip), ..peer });
        let network = start(&world, peers.collect()).await;
        let addresses = network.addresses().iter().map(ToString::to_string).collect();
        let summary = data.sync_range(&world, addresses, None, &Progress::default()).await;
        assert_eq!(summary.tip.height, tip);
        let config = Config { network: "regtest".to_owned(), ..Config::default() };
        let client = Client::new(world.params().clone(), config, Arc::new(data.open())).unwrap();
        for height in [tip, tip - 1] {
            client
                .chain_lock_signer(height)
                .await
                .unwrap_or_else(|error| panic!("{height} at {tip}: {error}"));
        }
    }
}

/// The base heights of Platform's quorums that are active at a height.
fn platform_quorums(world: &Arc<World>, height: u32) -> Vec<QuorumHash> {
    let [base_block_hash, block_hash] = [0, height].map(|height| world.block_hash(height).unwrap());
    let diff = world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap();
    let of_platform = diff.new_quorums.iter().filter(|entry| entry.llmq_type == PLATFORM);
    of_platform.map(|entry| entry.quorum_hash).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_s_quorums_sign_for_five_intervals_after_they_retired() {
    let world = generated_world();
    let data = DataDir::new();
    let client = synced(&data, &world).await;
    let (tip, interval) = (world.tip(), client.params().llmq(PLATFORM).unwrap().dkg_interval);
    let now = platform_quorums(&world, tip);
    let all = client.platform_signers(tip).await.unwrap();
    let all: Vec<QuorumHash> = all.iter().map(|signer| signer.quorum().entry.quorum_hash).collect();
    assert!(all.starts_with(&now), "those that are active come first");
    let (mut found, mut retired) = (0, 0);
    for height in (tip - (RETIRED_INTERVALS + 4) * interval..tip).step_by(8) {
        for quorum_hash in platform_quorums(&world, height) {
            if now.contains(&quorum_hash) {
                continue;
            }
            let is_late = height + RETIRED_INTERVALS * interval >= tip;
            let signer = client.platform_signer(quorum_hash, tip).await;
            assert_eq!(signer.is_ok(), all.contains(&quorum_hash), "{height}");
            match signer {
                Ok(signer) => {
                    assert_eq!(signer.quorum().entry.quorum_hash, quorum_hash);
                    assert!(signer.quorum().height < tip);
                    found += usize::from(is_late);
                }
                Err(LookupError::Retired { last_active, .. }) => {
                    assert!(!is_late && last_active < tip, "{height} {last_active}");
                    retired += 1;
                }
                Err(error) => panic!("{height}: {error}"),
            }
        }
    }
    assert!(found > 0 && retired > 0, "{found} found, {retired} retired");
}

/// The chain of [`generated_world`].
const SPEC: GeneratedSpec = GeneratedSpec { masternodes: 12, cycles: 12, seed: 3, ..GeneratedSpec::DEFAULT };

#[tokio::test(flavor = "multi_thread")]
async fn instant_locks_that_quorums_signed_are_valid_and_no_others() {
    let world = generated_world();
    let data = DataDir::new();
    let client = synced(&data, &world).await;
    let mut locker = InstantLocker::new(&SPEC, &world);
    let mut valid = 0;
    for (number, tip) in (0..).zip(world.tip() - 20..=world.tip()) {
        let Some(lock) = locker.lock_number(tip, number) else { continue };
        let signer = client.verify_instant_lock(&lock).await.unwrap_or_else(|error| panic!("{tip}: {error}"));
        assert_eq!(signer.quorum().entry.llmq_type, LLMQType(103));
        valid += 1;
        let other = InstantLock { txid: Txid::from_byte_array([77; 32]), ..lock.clone() };
        assert!(matches!(client.verify_instant_lock(&other).await.unwrap_err(), LockError::Signature(_)));
    }
    assert!(valid > 10, "{valid}");

    let lock = (0..).find_map(|number| locker.lock_number(world.tip(), number)).unwrap();
    for (cyclehash, is_transient) in [
        (BlockHash::all_zeros(), true),
        (world.block_hash(world.tip() - 1).unwrap(), false),
        (world.block_hash(0).unwrap(), false),
    ] {
        let wrong = InstantLock { cyclehash, ..lock.clone() };
        let LockError::Lookup(error) = client.verify_instant_lock(&wrong).await.unwrap_err() else {
            panic!()
        };
        assert_eq!(error.is_transient(), is_transient, "{error}");
    }
    // Those that are right still are.
    client.verify_instant_lock(&lock).await.unwrap();
    let bytes = serialize(&lock);
    // All of the version, which no signature covers, and every third of what one does, as each takes pairings.
    for bit in (0..8).chain((8..bytes.len() * 8).step_by(3)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(lock) = deserialize::<InstantLock>(&flipped) {
            assert!(client.verify_instant_lock(&lock).await.is_err(), "bit {bit}");
        }
    }
}
