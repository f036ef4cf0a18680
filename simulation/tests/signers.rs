//! Who signs what is known after a sync of any tip, for every block down to the lowest list, and of every quorum that
//! retired lately.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashcore::QuorumHash;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::sml::llmq_type::LLMQType;
use simulation::{nodes, surroundings};
use spv_integration::client::{LookupError, RETIRED_INTERVALS};
use spv_integration::config::ClientSettings;
use spv_integration::progress::Progress;
use spv_integration::session::EndState;
use spv_integration::store::Store;
use spv_integration::{Client, Config};
use spv_simnet::{ActiveChain, GeneratedSpec, World};
use tokio_util::sync::CancellationToken;

/// Sessions fail in it now and then, and every quorum retires.
const SPEC: GeneratedSpec = GeneratedSpec { masternodes: 12, cycles: 12, seed: 3, ..GeneratedSpec::DEFAULT };

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate(&SPEC)));

/// Blocks of a cycle, and of every kind's interval.
const CYCLE: u32 = 24;

/// A client after a sync as most have it, of the chain up to this height.
async fn synced(tip: u32) -> Client {
    let network = nodes(&WORLD, Duration::from_millis(20), &[""; 3]);
    for address in network.addresses() {
        network.activate(address, ActiveChain::new(WORLD.clone(), tip));
    }
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        client: ClientSettings { cached_lists: 64, ..ClientSettings::default() },
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&WORLD.params().network).unwrap());
    let client = Client::new(WORLD.params().clone(), config, store).unwrap();
    let (environment, cancel) = (surroundings(&network, 1), CancellationToken::new());
    let summary = client.sync_with(&environment, &Progress::default(), &cancel).await.unwrap();
    assert_eq!((summary.state, summary.tip.height), (EndState::Synced, tip));
    client
}

/// The quorums that are active at a height.
fn active_at(height: u32) -> Vec<(LLMQType, QuorumHash)> {
    let [base_block_hash, block_hash] = [0, height].map(|height| WORLD.block_hash(height).unwrap());
    let diff = WORLD.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap();
    diff.new_quorums.iter().map(|entry| (entry.llmq_type, entry.quorum_hash)).collect()
}

#[tokio::test(start_paused = true)]
async fn who_locks_each_block_down_to_the_lowest_list_is_known_after_a_sync_of_any_tip() {
    let (mut one, mut two) = (0, 0);
    let mut unknown = BTreeMap::new();
    for tip in WORLD.tip() - CYCLE..=WORLD.tip() {
        let client = synced(tip).await;
        let lowest = client.stored_heights().await.unwrap()[0];
        for height in lowest..=tip {
            match client.chain_lock_signers(height).await {
                Ok(signers) => {
                    *if signers.len() == 1 { &mut one } else { &mut two } += 1;
                    // Those who are said to sign did. Each takes a pairing, so not all are looked at.
                    let lock = WORLD.chain_lock(height).filter(|_| (height + tip) % 8 == 0);
                    if let Some(lock) = lock {
                        client
                            .verify_chain_lock(&lock)
                            .await
                            .unwrap_or_else(|error| panic!("{height} at {tip}: {error}"));
                    }
                }
                Err(error) => _ = unknown.entry((tip, height)).or_insert((height - lowest, error)),
            }
        }
    }
    println!("{one} known, {two} of two, {} unknown", unknown.len());
    for (tip, height) in unknown.keys() {
        println!("tip {tip}, k {}: {:?}", tip - height, unknown[&(*tip, *height)]);
    }
    assert!(unknown.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_quorum_that_retired_lately_is_found_with_the_height_at_which_it_was_last_active() {
    let (mut usable, mut found, mut retired, mut older) = (BTreeMap::new(), 0, 0, 0);
    for tip in (WORLD.tip() - CYCLE..=WORLD.tip()).step_by(5) {
        let client = synced(tip).await;
        let now = active_at(tip);
        let stored = client.stored_heights().await.unwrap();
        for back in (0..=10 * CYCLE).step_by(6) {
            for (llmq_type, quorum_hash) in active_at(tip - back) {
                if now.contains(&(llmq_type, quorum_hash)) {
                    continue;
                }
                let is_late = back <= RETIRED_INTERVALS * CYCLE;
                match client.find_quorum(llmq_type, quorum_hash).await {
                    Ok(quorum) => {
                        let is_active_at =
                            |height: &&u32| active_at(**height).contains(&(llmq_type, quorum_hash));
                        assert_eq!(Some(&quorum.height), stored.iter().rev().find(is_active_at));
                        found += 1;
                    }
                    Err(LookupError::BelowStart { .. } | LookupError::NotStored { .. }) if !is_late => {
                        older += 1
                    }
                    Err(error) => panic!("{llmq_type} at {tip}, {back} back: {error}"),
                }
                match client.named_signer(llmq_type, quorum_hash, tip).await {
                    Ok(signer) => {
                        assert_eq!(signer.quorum().entry.quorum_hash, quorum_hash);
                        *usable.entry(llmq_type).or_insert(0) += 1;
                    }
                    Err(LookupError::Retired { last_active, .. }) => {
                        assert!(!is_late && last_active < tip, "{llmq_type} at {tip}, {back} back");
                        retired += 1;
                    }
                    Err(LookupError::QuorumUnverified { .. }) => {}
                    Err(LookupError::BelowStart { .. } | LookupError::NotStored { .. }) if !is_late => {}
                    Err(error) => panic!("{llmq_type} at {tip}, {back} back: {error}"),
                }
            }
        }
    }
    println!("{usable:?} usable, {found} found, {retired} retired, {older} older");
    assert!(found > 0 && retired > 0 && older > 0 && usable.len() == 3);
}
