//! Random lists and quorums: what a slow, obvious differ makes of them, `advance` undoes.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_sml::MnListDiff;
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::Index;
use spv_masternodes::ProvenState;
use support::{Block, World, advance, chain_lock_signature, genesis_hash, masternode, quorum, state_at};

fn world() -> impl Strategy<Value = World> {
    (btree_map(0..60_u16, 0..3_u8, 0..40), btree_set(0..30_u16, 0..20))
        .prop_map(|(masternodes, quorums)| World { masternodes, quorums: quorums.into_iter().collect() })
}

/// Two blocks, the second one after v20 whenever the first one is.
fn blocks() -> impl Strategy<Value = (Block, Block)> {
    (world(), world(), 0..9_u32, 0..3_u8).prop_map(|(first, second, transactions, before_v20)| {
        let first = Block::new(100, first, transactions, before_v20 == 0);
        (first, Block::new(124, second, transactions / 2, before_v20 < 2))
    })
}

fn assert_is(state: &ProvenState, block: &Block) {
    let mut masternodes: Vec<_> =
        block.world.masternodes.iter().map(|(id, revision)| masternode(*id, *revision)).collect();
    masternodes.sort_by_key(|entry| entry.pro_reg_tx_hash.to_byte_array());
    assert_eq!(state.masternodes().iter().cloned().collect::<Vec<_>>(), masternodes);
    assert_eq!(state.masternodes().valid_count(), masternodes.iter().filter(|entry| entry.is_valid).count());
    assert_eq!(state.masternodes().evo_count(), masternodes.iter().filter(|entry| entry.is_evo()).count());
    assert!(masternodes.iter().all(|m| state.masternodes().get(&m.pro_reg_tx_hash) == Some(m)));

    let mut quorums: Vec<_> = block.world.quorums.iter().map(|id| quorum(*id)).collect();
    quorums.sort_by_key(|entry| (entry.llmq_type, entry.quorum_hash.to_byte_array()));
    assert!(state.quorums().iter().map(|active| &*active.entry).eq(&quorums));
    for entry in &quorums {
        let active = state.quorums().get(entry.llmq_type, entry.quorum_hash).unwrap();
        assert_eq!(active.entry_hash, entry.entry_hash());
        assert!(state.quorums().of_type(entry.llmq_type).any(|of_type| of_type == active));
    }
    let by_type = (0..=255).map(|number| state.quorums().of_type(dashcore::sml::llmq_type::LLMQType(number)));
    assert_eq!(by_type.map(|quorums| quorums.len()).sum::<usize>(), quorums.len());
    assert_eq!((state.height(), state.block_hash()), (block.height, block.hash));
}

proptest! {
    #[test]
    fn a_diff_leads_to_the_state_at_its_block((first, second) in blocks()) {
        let at_first = state_at(&first);
        assert_is(&at_first, &first);
        let at_second = advance(&at_first, second.diff_since(&first), &second).unwrap();
        assert_is(&at_second, &second);
        if first.after_v20 {
            prop_assert_eq!(&at_second, &state_at(&second));
            for id in &second.world.quorums {
                let entry = quorum(*id);
                let active = at_second.quorums().get(entry.llmq_type, entry.quorum_hash).unwrap();
                prop_assert_eq!(active.chain_lock_signature, chain_lock_signature(*id));
            }
        }
    }

    #[test]
    fn a_state_survives_as_a_full_diff((first, second) in blocks()) {
        let diff = second.diff_since(&first);
        let state = advance(&state_at(&first), diff.clone(), &second).unwrap();
        let full = state.to_full_diff(&diff);
        let again = advance(&ProvenState::genesis(genesis_hash()), full.clone(), &second).unwrap();
        prop_assert_eq!(&again, &state);
        prop_assert_eq!(serialize(&again.to_full_diff(&full)), serialize(&full));
    }

    #[test]
    fn the_order_of_masternodes_does_not_matter(
        (first, second) in blocks(), order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let diff = second.diff_since(&first);
        let mut shuffled = diff.clone();
        shuffled.new_masternodes =
            order.iter().filter_map(|&index| diff.new_masternodes.get(index).cloned()).collect();
        shuffled.deleted_masternodes.reverse();
        let state = state_at(&first);
        prop_assert_eq!(advance(&state, shuffled, &second), advance(&state, diff, &second));
    }

    #[test]
    fn a_diff_to_the_same_block_changes_nothing((first, _) in blocks()) {
        let state = state_at(&first);
        prop_assert_eq!(advance(&state, first.diff_since(&first), &first), Ok(state));
    }

    /// Two parts of a diff decide nothing that a state proves: how many transactions there are beside the
    /// coinbase, and the ChainLock signatures.
    #[test]
    fn every_flipped_bit_is_refused((first, second) in blocks(), position in any::<Index>(), bit in 0..8_u8) {
        let (state, diff) = (state_at(&first), second.diff_since(&first));
        let mut bytes = serialize(&diff);
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        if let Ok(flipped) = deserialize::<MnListDiff>(&bytes) {
            let decided = |diff: &MnListDiff| {
                let mut diff = diff.clone();
                diff.total_transactions = 0;
                diff.quorums_chainlock_signatures.iter_mut().for_each(|group| {
                    group.signature = BLSSignature::default();
                });
                diff
            };
            let other_count = flipped.total_transactions != diff.total_transactions;
            let harmless = decided(&flipped) == decided(&diff);
            let outcome = advance(&state, flipped, &second);
            if let Ok(accepted) = &outcome {
                assert_is(accepted, &second);
            }
            prop_assert!(other_count || outcome.is_ok() == harmless, "byte {position}, bit {bit}: {outcome:?}");
        }
    }
}
