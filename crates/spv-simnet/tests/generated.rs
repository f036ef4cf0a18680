//! Generated chains are consistent: what they answer proves itself against their headers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::consensus::{deserialize, serialize};
use dashcore::merkle_tree::merkle_root;
use dashcore::network::message_qrinfo::{GetQRInfo, MNSkipListMode, QRInfo};
use dashcore::network::message_sml::{DeletedQuorum, GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ProTxHash, QuorumHash};
use proptest::prelude::*;
use spv_simnet::{ActiveChain, GeneratedSpec, QRInfoConstruction, QuorumProfile, Refusal, World};

fn generate(masternodes: u32, cycles: u32, seed: u64) -> ActiveChain {
    Arc::new(World::generate(&unsigned(masternodes, cycles, seed))).active_chain()
}

/// With the small quorums, whatever the size.
fn unsigned(masternodes: u32, cycles: u32, seed: u64) -> GeneratedSpec {
    GeneratedSpec {
        masternodes,
        cycles,
        seed,
        quorums: Some(QuorumProfile::Small),
        signatures: false,
        ..GeneratedSpec::DEFAULT
    }
}

/// What a light client keeps.
#[derive(Debug, Clone, PartialEq, Default)]
struct State {
    masternodes: BTreeMap<ProTxHash, MasternodeListEntry>,
    quorums: BTreeMap<(LLMQType, QuorumHash), QuorumEntry>,
}

impl State {
    fn apply(&mut self, diff: &MnListDiff) {
        for hash in &diff.deleted_masternodes {
            self.masternodes.remove(hash).expect("only what is there is deleted");
        }
        for entry in &diff.new_masternodes {
            let old = self.masternodes.insert(entry.pro_reg_tx_hash, entry.clone());
            assert_ne!(old.as_ref(), Some(entry), "an entry that did not change is not sent");
        }
        for DeletedQuorum { llmq_type, quorum_hash } in &diff.deleted_quorums {
            self.quorums.remove(&(*llmq_type, *quorum_hash)).expect("only what is there is deleted");
        }
        for quorum in &diff.new_quorums {
            let old = self.quorums.insert((quorum.llmq_type, quorum.quorum_hash), quorum.clone());
            assert!(old.is_none(), "a quorum is new once");
        }
    }

    fn check_roots(&self, payload: &CoinbasePayload) {
        let leaves = self.masternodes.values().map(MasternodeListEntry::entry_hash).collect();
        assert_eq!(merkle_root(leaves).unwrap(), payload.merkle_root_masternode_list.to_byte_array());
        let mut leaves: Vec<[u8; 32]> = self.quorums.values().map(QuorumEntry::entry_hash).collect();
        leaves.sort_unstable();
        let quorum_root = payload.merkle_root_quorums.map(|root| root.to_byte_array());
        assert_eq!(Some(merkle_root(leaves).unwrap()), quorum_root);
    }
}

fn diff(chain: &ActiveChain, base: u32, block: u32) -> MnListDiff {
    let hash = |height| chain.world().block_hash(height).unwrap();
    let request = GetMnListDiff { base_block_hash: hash(base), block_hash: hash(block) };
    let diff = chain.mn_list_diff(&request).unwrap();
    assert_eq!(deserialize::<MnListDiff>(&serialize(&diff)).as_ref(), Ok(&diff));
    diff
}

/// Checks everything in a diff that the headers prove, and the order of its lists.
fn check_proofs(chain: &ActiveChain, height: u32, diff: &MnListDiff) -> Option<CoinbasePayload> {
    let matches = diff.partial_merkle_tree().extract_matches().unwrap();
    assert_eq!(matches.root, chain.world().header(height).unwrap().merkle_root);
    assert_eq!(matches.transactions, [(0, diff.coinbase_tx.txid())]);
    assert!(diff.deleted_quorums.is_sorted());
    assert!(diff.new_quorums.is_sorted_by_key(|quorum| (quorum.llmq_type, quorum.quorum_hash)));
    let payload = diff.coinbase_tx.coinbase_payload().unwrap();
    if let Some(payload) = &payload {
        assert_eq!(payload.height, i32::try_from(height).unwrap());
        let v20 = height >= chain.world().params().activation.v20;
        assert_eq!((payload.version, payload.chain_lock.is_some()), if v20 { (3, true) } else { (2, false) });
        let signed: usize = diff.quorums_chainlock_signatures.iter().map(|s| s.index_set.len()).sum();
        assert_eq!(signed, diff.new_quorums.len(), "each new quorum has its signature");
    }
    payload
}

#[test]
fn headers_link_and_have_their_work() {
    let chain = generate(8, 2, 1);
    let world = chain.world();
    assert_eq!(world.block_hash(0), Some(world.params().genesis_hash));
    assert_eq!(world.tip(), 216 + 2 * 24 - 1);
    for height in 1..=world.tip() {
        let header = world.header(height).unwrap();
        let hash = header.block_hash();
        assert_eq!(Some(hash), world.block_hash(height));
        assert_eq!(Some(header.prev_blockhash), world.block_hash(height - 1));
        assert!(header.meets_target(hash) && header.bits == world.params().pow_limit);
    }
}

#[test]
fn the_state_at_every_height_proves_itself() {
    let chain = generate(30, 5, 2);
    let mut state = State::default();
    let (mut evo, mut disabled, mut siblings, mut unconfirmed) = (0, 0, 0, 0);
    let mut types: BTreeMap<LLMQType, usize> = BTreeMap::new();
    for height in 1..=chain.tip() {
        let diff = diff(&chain, height - 1, height);
        let payload = check_proofs(&chain, height, &diff);
        state.apply(&diff);
        if let Some(payload) = payload {
            assert_eq!(diff.block_hash, chain.world().block_hash(height).unwrap());
            state.check_roots(&payload);
        } else {
            assert!((height, diff.block_hash) == (1, BlockHash::all_zeros()), "only block 1 is below DIP3");
        }
        siblings += usize::from(diff.merkle_hashes.len() > 1);
        evo = evo.max(state.masternodes.values().filter(|entry| entry.is_evo()).count());
        disabled = disabled.max(state.masternodes.values().filter(|entry| !entry.is_valid).count());
        unconfirmed += state.masternodes.values().filter(|entry| entry.confirmed_hash.is_none()).count();
        for quorum in &diff.new_quorums {
            *types.entry(quorum.llmq_type).or_default() += 1;
        }
    }
    assert!(evo >= 8 && disabled >= 2 && siblings > 100 && unconfirmed >= 30);
    assert!((24..=36).contains(&state.masternodes.len()), "{}", state.masternodes.len());
    let kinds: Vec<u8> = types.keys().map(|kind| kind.0).collect();
    assert_eq!(kinds, [100, 103, 106]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_between_any_two_blocks_leads_from_one_state_to_the_other(a in 0_u32..300, b in 0_u32..300) {
        thread_local! {
            static CHAIN: ActiveChain = generate(25, 5, 4);
        }
        CHAIN.with(|chain| {
            let (base, block) = (a.min(b), a.max(b));
            let state_at = |height| {
                let mut state = State::default();
                state.apply(&diff(chain, 0, height));
                state
            };
            let step = diff(chain, base, block);
            if block > 0 {
                check_proofs(chain, block, &step);
            }
            let mut state = state_at(base);
            state.apply(&step);
            assert_eq!(state, state_at(block));
        });
    }
}

fn rotation(chain: &ActiveChain, bases: &[u32], height: u32, construction: QRInfoConstruction) -> QRInfo {
    let hash = |height: &u32| chain.world().block_hash(*height).unwrap();
    let request = GetQRInfo {
        base_block_hashes: bases.iter().map(hash).collect(),
        block_request_hash: hash(&height),
        extra_share: true,
    };
    let info = chain.qr_info(&request, construction).unwrap();
    assert_eq!(deserialize::<QRInfo>(&serialize(&info)).as_ref(), Ok(&info));
    info
}

/// Heights of base and block of each diff, in the order in which they build on one another.
fn chain_of_bases(chain: &ActiveChain, info: &QRInfo) -> Vec<(u32, u32)> {
    let (_, h_minus_4c) = info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.as_ref().unwrap();
    let height = |hash| chain.world().height(hash).unwrap();
    info.mn_list_diff_list
        .iter()
        .chain([
            h_minus_4c,
            &info.mn_list_diff_at_h_minus_3c,
            &info.mn_list_diff_at_h_minus_2c,
            &info.mn_list_diff_at_h_minus_c,
            &info.mn_list_diff_h,
            &info.mn_list_diff_tip,
        ])
        .map(|diff| (height(&diff.base_block_hash), height(&diff.block_hash)))
        .collect()
}

#[test]
fn both_constructions_choose_their_bases_as_nodes_do() {
    let chain = generate(20, 6, 5);
    let (efficient, legacy) = (QRInfoConstruction::Efficient, QRInfoConstruction::Legacy);
    // The tip is 359; the cycle of 320 is 312, its work blocks are 304, 280, 256, 232 and 208.
    let bases =
        |bases: &[u32], construction| chain_of_bases(&chain, &rotation(&chain, bases, 320, construction));
    let chained = [(0, 208), (208, 232), (232, 256), (256, 280), (280, 304), (304, 359)];
    assert_eq!(bases(&[0], efficient), chained);
    assert_eq!(bases(&[], efficient), chained);
    assert_eq!(
        bases(&[200, 240], efficient),
        [(200, 208), (208, 232), (240, 256), (256, 280), (280, 304), (304, 359)]
    );
    assert_eq!(
        bases(&[359, 208], efficient),
        [(208, 208), (208, 232), (232, 256), (256, 280), (280, 304), (359, 359)]
    );
    assert_eq!(
        bases(&[300], efficient),
        [(0, 208), (208, 232), (232, 256), (256, 280), (300, 304), (304, 359)]
    );
    assert_eq!(bases(&[0], legacy), [208, 232, 256, 280, 304, 359].map(|block| (0, block)));
    assert_eq!(
        bases(&[240, 100], legacy),
        [(100, 208), (100, 232), (240, 256), (240, 280), (240, 304), (240, 359)]
    );
}

#[test]
fn every_cycle_is_served_and_failed_sessions_make_further_cycles_needed() {
    let mut further = 0;
    for seed in 0..4 {
        let chain = generate(9, 20, seed);
        for height in (216..=chain.tip()).step_by(6) {
            let info = rotation(&chain, &[0], height, QRInfoConstruction::Efficient);
            further += info.quorum_snapshot_list.len();
            let indexes: Vec<_> =
                info.last_commitment_per_index.iter().map(|quorum| quorum.quorum_index).collect();
            assert!(indexes.is_sorted_by(|a, b| a < b) && indexes.len() <= 2);
            let blocks: Vec<u32> =
                chain_of_bases(&chain, &info).into_iter().map(|(_, block)| block).collect();
            assert!(blocks.is_sorted());
            let cycle = height - height % 24;
            assert_eq!(
                blocks[blocks.len() - 6..][..5],
                [cycle - 104, cycle - 80, cycle - 56, cycle - 32, cycle - 8]
            );
            let snapshots = [&info.quorum_snapshot_at_h_minus_c, &info.quorum_snapshot_at_h_minus_3c];
            for (snapshot, back) in snapshots.into_iter().zip([24, 72]) {
                let mut state = State::default();
                state.apply(&diff(&chain, 0, cycle - back - 8));
                assert_eq!(snapshot.active_quorum_members.len(), state.masternodes.len());
                assert_eq!(
                    snapshot.skip_list_mode == MNSkipListMode::SkipFirst,
                    !snapshot.skip_list.is_empty()
                );
            }
        }
    }
    assert!(further > 0, "some DKG sessions fail");
}

#[test]
fn what_is_too_early_or_cut_off_is_refused() {
    let world = World::generate(&unsigned(9, 5, 6)).with_qrinfo_refused_below(264);
    let chain = Arc::new(world).active_chain();
    let ask = |height, extra_share| {
        let block_request_hash = chain.world().block_hash(height).unwrap();
        let request = GetQRInfo { base_block_hashes: vec![], block_request_hash, extra_share };
        chain.qr_info(&request, QRInfoConstruction::Efficient).map(|_| ())
    };
    assert_eq!(ask(263, true), Err(Refusal::NotServed { height: 263 }));
    assert_eq!(ask(264, true), Ok(()));
    let early = generate(9, 1, 6);
    let ask = |height, extra_share| {
        let block_request_hash = early.world().block_hash(height).unwrap();
        let request = GetQRInfo { base_block_hashes: vec![], block_request_hash, extra_share };
        early.qr_info(&request, QRInfoConstruction::Efficient).map(|_| ())
    };
    assert_eq!(ask(95, true), Err(Refusal::TooEarly { cycle: 72 }));
    assert_eq!(ask(100, false), Err(Refusal::NoSnapshot { cycle: 24 }));
    assert_eq!(ask(215, true), Err(Refusal::NoSnapshot { cycle: 96 }));
    assert_eq!(ask(215, false), Ok(()));
    assert_eq!(ask(216, true), Ok(()));
}

#[test]
fn equal_specifications_give_equal_chains() {
    let tip = |seed| {
        let chain = generate(10, 1, seed);
        chain.world().block_hash(chain.tip())
    };
    assert_eq!(tip(1), tip(1));
    assert_ne!(tip(1), tip(2));
}

#[test]
fn the_fewest_masternodes_and_many_are_possible() {
    for (masternodes, cycles) in [(4, 3), (2_000, 1)] {
        let chain = generate(masternodes, cycles, 7);
        let diff = diff(&chain, 0, chain.tip());
        let mut state = State::default();
        state.apply(&diff);
        state.check_roots(&check_proofs(&chain, chain.tip(), &diff).unwrap());
        assert!(state.quorums.keys().any(|(kind, _)| kind.0 == 103), "{masternodes}");
        rotation(&chain, &[0], chain.tip(), QRInfoConstruction::Efficient);
    }
}

/// Rules start later by as much, and lists are as without.
#[test]
fn quiet_blocks_come_before_all_else() {
    let spec = unsigned(12, 2, 3);
    let (world, late) = (World::generate(&spec), World::generate(&GeneratedSpec { quiet: 1_000, ..spec }));
    let shift = 1_152;
    assert_eq!(late.tip(), world.tip() + shift);
    assert_eq!(late.params().activation.dip3, world.params().activation.dip3 + shift);
    assert_eq!(late.params().activation.v20, world.params().activation.v20 + shift);
    let entries = |world: &Arc<World>, tip: u32| {
        let (base, block) = (world.block_hash(0).unwrap(), world.block_hash(tip).unwrap());
        let request = GetMnListDiff { base_block_hash: base, block_hash: block };
        let diff = world.active_chain().mn_list_diff(&request).unwrap();
        (diff.new_masternodes.len(), diff.new_quorums.len())
    };
    let (world, late) = (Arc::new(world), Arc::new(late));
    let (some, quorums) = entries(&late, late.tip());
    assert!(some >= 10 && quorums >= 4, "{some} {quorums}");
    assert_eq!(entries(&late, shift), (0, 0));
    assert!(entries(&world, world.tip()).0 >= 10);
}
