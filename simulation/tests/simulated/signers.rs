//! Who signs what is known after a sync of any tip: for the blocks of the last cycles, and of quorums that retired lately.

use std::collections::{BTreeMap, BTreeSet};
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

/// So many blocks down from the tip it is known who locks them, wherever in a cycle the tip is.
const KNOWN: u32 = 4 * CYCLE;

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

/// The quorums that are active at each height.
static ACTIVE: LazyLock<Vec<BTreeSet<(LLMQType, QuorumHash)>>> = LazyLock::new(|| {
    let active_at = |height| {
        let [base_block_hash, block_hash] = [0, height].map(|height| WORLD.block_hash(height).unwrap());
        let names = GetMnListDiff { base_block_hash, block_hash };
        let diff = WORLD.active_chain().mn_list_diff(&names).unwrap();
        diff.new_quorums.iter().map(|entry| (entry.llmq_type, entry.quorum_hash)).collect()
    };
    (0..=WORLD.tip()).map(|height| if height < 150 { BTreeSet::new() } else { active_at(height) }).collect()
});

#[tokio::test(start_paused = true)]
async fn who_locks_each_block_of_four_cycles_is_known_after_a_sync_of_any_tip() {
    let (mut one, mut two, mut older) = (0, 0, 0);
    for tip in WORLD.tip() - CYCLE..=WORLD.tip() {
        let client = synced(tip).await;
        for height in tip - KNOWN - CYCLE..=tip {
            match client.chain_lock_signers(height).await {
                Ok(signers) => {
                    *if signers.len() == 1 { &mut one } else { &mut two } += 1;
                    // Those who are said to sign did. Each takes a pairing, so not all are looked at.
                    let lock = WORLD.chain_lock(height).filter(|_| (height + tip) % 32 == 0);
                    if let Some(lock) = lock {
                        let verified = client.verify_chain_lock(&lock).await;
                        assert!(verified.is_ok() || height + KNOWN <= tip, "{height} at {tip}: {verified:?}");
                    }
                }
                // Of quorums that retired so long ago, members' lists are missing, which only another configuration brings.
                Err(error @ (LookupError::QuorumUnverified { .. } | LookupError::BelowStart { .. })) => {
                    assert!(height + KNOWN <= tip && !error.is_transient(), "{height} at {tip}: {error}");
                    older += 1;
                }
                Err(error) => panic!("{height} at {tip}: {error}"),
            }
        }
    }
    println!("{one} known, {two} of two, {older} older");
    assert!(one > CYCLE * KNOWN && two > 0);
}

#[tokio::test(start_paused = true)]
async fn every_quorum_that_retired_lately_is_found_with_the_height_at_which_it_was_last_active() {
    let (mut usable, mut late_usable) = (BTreeMap::new(), BTreeMap::new());
    let (mut found, mut retired, mut elsewhere) = (0, 0, 0);
    for tip in (WORLD.tip() - CYCLE..=WORLD.tip()).step_by(5) {
        let client = synced(tip).await;
        let stored = client.stored_heights().await.unwrap();
        let lived: BTreeSet<_> =
            (tip - 10 * CYCLE..tip).flat_map(|height| &ACTIVE[height as usize]).collect();
        for &(llmq_type, quorum_hash) in lived.difference(&ACTIVE[tip as usize].iter().collect()) {
            let name = &(*llmq_type, *quorum_hash);
            let is_active_at = |height: &u32| ACTIVE[*height as usize].contains(name);
            let is_late = (tip - RETIRED_INTERVALS * CYCLE..tip).any(|height| is_active_at(&height));
            let shown = stored.iter().rev().copied().find(is_active_at);
            let what = format!("{llmq_type} {quorum_hash} at {tip}, shown at {shown:?}");
            match client.find_quorum(*llmq_type, *quorum_hash).await {
                Ok(quorum) => {
                    assert_eq!(Some(quorum.height), shown, "{what}");
                    found += 1;
                }
                Err(LookupError::BelowStart { .. } | LookupError::NotStored { .. }) if shown.is_none() => {
                    // A quorum that rotates may be there between two lists of cycles alone.
                    assert!(!is_late || *llmq_type == WORLD.params().rotated_llmq, "{what}");
                    elsewhere += 1;
                }
                Err(error) => panic!("{what}: {error}"),
            }
            match client.named_signer(*llmq_type, *quorum_hash, tip).await {
                Ok(signer) => {
                    assert_eq!(signer.quorum().entry.quorum_hash, *quorum_hash);
                    *usable.entry(*llmq_type).or_insert(0) += 1;
                    *late_usable.entry(*llmq_type).or_insert(0) += u32::from(is_late);
                }
                Err(LookupError::Retired { last_active, .. }) => {
                    assert!(!is_late && last_active < tip, "{what}");
                    retired += 1;
                }
                Err(LookupError::QuorumUnverified { .. }) => {}
                Err(LookupError::BelowStart { .. } | LookupError::NotStored { .. }) if shown.is_none() => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
    println!(
        "{usable:?} usable, {late_usable:?} late, {found} found, {retired} retired, {elsewhere} not in lists"
    );
    assert!(found > 0 && retired > 0 && usable.len() == 3);
}
