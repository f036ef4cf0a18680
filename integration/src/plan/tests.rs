use dashcore::hash_types::TxMerkleNode;
use dashcore::params::Activation;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, Header, Network};

use super::*;
use crate::chain::HeaderChain;
use crate::wire::{Request, RequestKind};

fn params() -> ChainParams {
    let params = ChainParams::new(Network::Regtest);
    let activation = Activation { dip3: 2, v20: 300, ..params.activation };
    ChainParams { activation, ..params }
}

fn chain(params: &ChainParams, tip: u32) -> HeaderChain {
    let mut chain = HeaderChain::starting_at_or_below(params, 0);
    for height in 1..=tip {
        let header = Header {
            version: 4,
            prev_blockhash: chain.tip_hash(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: params.genesis.time + height,
            bits: 0x207f_ffff,
            nonce: 0,
        };
        chain.push_unmined(header, header.block_hash());
    }
    chain
}

/// Every wanted list once, in order, each work based on a list that is there before it.
fn assert_sound(plan: &Plan, proven: &BTreeSet<u32>) {
    let mut held = proven.clone();
    held.insert(0);
    for work in &plan.works {
        assert!(held.contains(&work.base.height), "base {} is not held", work.base.height);
        for block in &work.wanted {
            assert!(held.insert(block.height), "list {} is planned twice", block.height);
        }
    }
    let all: BTreeSet<u32> = plan.heights.iter().copied().collect();
    assert!(all.is_subset(&held));
}

#[test]
fn four_cycles_share_one_qrinfo_and_the_first_list_comes_from_genesis() {
    let params = params();
    let chain = chain(&params, 862);
    let plan = Plan::new(&params, &chain, 1, &BTreeSet::new());
    assert_sound(&plan, &BTreeSet::new());
    assert_eq!(plan.heights.len(), 37);
    assert_eq!(plan.heights.first(), Some(&16));
    assert_eq!(plan.heights.last(), Some(&862));
    let kinds: Vec<_> = plan.works.iter().map(|work| (work.request.kind(), work.wanted.len())).collect();
    use RequestKind::{MnListDiff, QrInfo};
    let mut expected = vec![(MnListDiff, 1)];
    expected.extend([(QrInfo, 4); 8]);
    // The last cycle's work block is there, but its base is not yet; and the tip.
    expected.extend([(QrInfo, 2), (MnListDiff, 1), (MnListDiff, 1)]);
    assert_eq!(kinds, expected);
}

#[test]
fn the_newest_work_block_is_no_base_when_the_tip_begins_its_cycle() {
    let params = params();
    let chain = chain(&params, 840);
    let plan = Plan::new(&params, &chain, 600, &BTreeSet::from([592]));
    assert_sound(&plan, &BTreeSet::from([592]));
    for work in &plan.works {
        let Request::QrInfo { message, .. } = &work.request else { continue };
        let bases = &message.base_block_hashes;
        assert!(work.wanted.iter().all(|block| block.hash == work.base.hash || !bases.contains(&block.hash)));
    }
}

#[test]
fn a_qrinfo_names_few_bases_and_one_at_its_oldest_list() {
    let params = params();
    let chain = chain(&params, 862);
    let plan = Plan::new(&params, &chain, 600, &BTreeSet::from([592]));
    assert_sound(&plan, &BTreeSet::from([592]));
    let Request::QrInfo { message, work_block } = &plan.works[0].request else {
        panic!("the base is one cycle below, so a qrinfo fits");
    };
    let heights: Vec<_> =
        message.base_block_hashes.iter().map(|hash| chain.height_of(hash).unwrap()).collect();
    assert_eq!(heights, [496, 592, 854]);
    assert_eq!(chain.height_of(work_block), Some(688));
    assert_eq!(chain.height_of(&message.block_request_hash), Some(696));
    for work in &plan.works {
        if let Request::QrInfo { message, .. } = &work.request {
            assert!(message.base_block_hashes.len() <= 4);
        }
    }
}

#[test]
fn only_what_is_missing_is_planned() {
    let params = params();
    let chain = chain(&params, 862);
    let all = Plan::new(&params, &chain, 1, &BTreeSet::new()).heights;
    let mut proven: BTreeSet<u32> = all.iter().copied().collect();
    assert!(Plan::new(&params, &chain, 1, &proven).works.is_empty());
    for gap in [16, 40, 400, 856] {
        proven.remove(&gap);
    }
    let plan = Plan::new(&params, &chain, 1, &proven);
    assert_sound(&plan, &proven);
    let wanted: Vec<u32> =
        plan.works.iter().flat_map(|work| &work.wanted).map(|block| block.height).collect();
    assert_eq!(wanted, [16, 40, 400, 856]);
}

#[test]
fn a_refused_qrinfo_falls_apart_into_chained_list_diffs() {
    let params = params();
    let chain = chain(&params, 862);
    let plan = Plan::new(&params, &chain, 1, &BTreeSet::new());
    let diffs = plan.works[3].alternative().unwrap();
    assert_eq!(diffs.len(), 4);
    let mut base = plan.works[3].base;
    for (diff, wanted) in diffs.iter().zip(&plan.works[3].wanted) {
        assert_eq!((diff.base, diff.wanted.as_slice()), (base, &[*wanted][..]));
        assert!(diff.alternative().is_none());
        base = *wanted;
    }
}

#[test]
fn what_the_tip_needs_is_planned_with_the_cycles() {
    let params = params();
    let chain = chain(&params, 862);
    let held = BTreeSet::new();
    let plan = Plan::new(&params, &chain, 742, &held).with_lists_for_tip(&params, &chain, &held);
    assert_sound(&plan, &held);
    // Sessions begin with each cycle here, and commitments are mined from the tenth block to the eighteenth: the list at 853
    // shows who locks the block before the tip, that at 854 who locks the tip.
    // Those up to 736 are for Platform's quorums that have retired and may still sign.
    assert_eq!(plan.heights, [664, 688, 712, 736, 760, 784, 808, 832, 853, 854, 856, 862]);
    let proven = plan.heights.iter().copied().collect();
    let again = Plan::new(&params, &chain, 742, &proven).with_lists_for_tip(&params, &chain, &proven);
    assert!(again.works.is_empty());
    assert_eq!(again.heights, plan.heights);
}

/// Wherever in its cycle the tip of the main network is: whatever sessions succeeded, no second round is needed.
#[test]
fn one_plan_brings_all_that_the_quorums_of_the_main_network_need() {
    let params = ChainParams::new(Network::Dash);
    let cycle = params.rotated().dkg_interval;
    let newest = 2_240_352;
    let whole = chain_above(&params, newest - 16 * cycle, newest + cycle - 1);
    for tip in (newest..newest + cycle).step_by(7) {
        let chain = whole.truncated(tip).unwrap();
        let held = BTreeSet::new();
        let from = tip - 6 * cycle;
        let plan = Plan::new(&params, &chain, from, &held).with_lists_for_tip(&params, &chain, &held);
        assert_sound(&plan, &held);
        // Three at a time, so that thirteen nodes make it one round.
        assert!(plan.works.len() <= 39, "{} requests at {tip}", plan.works.len());
        assert_eq!(plan.works.iter().filter(|work| work.is_whole()).count(), 1, "{tip}");
        let lists: BTreeSet<u32> = plan.heights.iter().copied().collect();
        let served = plan.works.iter().flat_map(|work| &work.cycles);
        let snapshots: BTreeSet<u32> = served.map(|block| block.height + WORK_BLOCK_DEPTH).collect();
        for llmq in &params.llmqs {
            let age = if llmq.rotated { 1 } else { llmq.signing_active_quorum_count };
            let begun = tip - tip % llmq.dkg_interval;
            for base in (0..=age).map(|age| begun - age * llmq.dkg_interval) {
                let needs = Needs::of(llmq.llmq_type, base, &params).unwrap();
                assert!(needs.lists.iter().all(|height| lists.contains(height)), "{} {tip}", llmq.llmq_type);
                assert!(needs.snapshots.iter().all(|cycle| snapshots.contains(cycle)), "{tip}");
            }
        }
    }
}

/// A chain above a checkpoint, of headers that nobody mined.
fn chain_above(params: &ChainParams, start: u32, tip: u32) -> HeaderChain {
    let mut chain = HeaderChain::starting_at_or_below(params, start);
    for height in chain.tip_height() + 1..=tip {
        let header = Header { prev_blockhash: chain.tip_hash(), ..params.genesis };
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&height.to_le_bytes());
        chain.push_unmined(header, BlockHash::from_byte_array(hash));
    }
    chain
}

#[test]
fn further_lists_build_on_what_is_held_and_snapshots_come_four_at_a_time() {
    let params = params();
    let chain = chain(&params, 862);
    let held = BTreeSet::from([400, 640]);
    let snapshots = BTreeSet::from([528, 552, 576, 648, 672]);
    let plan = Plan::further(&params, &chain, &BTreeSet::from([300, 350, 500, 700, 701]), &snapshots, &held);
    let (lists, qrinfos): (Vec<_>, Vec<_>) =
        plan.works.iter().partition(|work| work.request.kind() == RequestKind::MnListDiff);
    let bases: Vec<u32> = lists.iter().map(|work| work.base.height).collect();
    assert_eq!(bases, [0, 300, 400, 640, 640]);
    let cycles: BTreeSet<u32> =
        qrinfos.iter().flat_map(|work| &work.cycles).map(|block| block.height + 8).collect();
    assert!(cycles.is_superset(&snapshots) && qrinfos.len() == 2, "{cycles:?}");
}

#[test]
fn any_range_and_any_holes_give_a_sound_plan() {
    let params = params();
    let chain = chain(&params, 700);
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let from = rng.u32(0..720);
        let all = Plan::new(&params, &chain, from, &BTreeSet::new());
        assert_sound(&all, &BTreeSet::new());
        let proven: BTreeSet<u32> = all.heights.iter().copied().filter(|_| rng.bool()).collect();
        assert_sound(&Plan::new(&params, &chain, from, &proven), &proven);
    }
}

/// The quorums of lists from before DIP8 are a peer's word, on which nothing that is proven may rest.
#[test]
fn no_list_from_dip8_on_is_based_on_one_from_before() {
    let usual = params();
    let activation = Activation { dip8: 300, ..usual.activation };
    let params = ChainParams { activation, ..usual };
    let chain = chain(&params, 500);
    let proven: BTreeSet<u32> = [64, 256].into();
    let plans = [
        Plan::new(&params, &chain, 1, &BTreeSet::new()),
        Plan::new(&params, &chain, 1, &proven).with_lists_for_tip(&params, &chain, &proven),
        Plan::further(&params, &chain, &[100, 310, 400].into(), &BTreeSet::new(), &proven),
    ];
    for plan in plans {
        let mut blocks = 0;
        for work in plan.works.iter().filter(|work| work.request.kind() == RequestKind::MnListDiff) {
            let Request::ListDiff(names) = &work.request else { unreachable!() };
            assert_eq!(names.base_block_hash, work.base.hash);
            let (base, block) = (work.base.height, work.wanted[0].height);
            assert!(base == 0 || (base < 300) == (block < 300), "{base} to {block}");
            blocks += u32::from(block >= 300);
        }
        assert!(blocks > 0);
    }
}

#[test]
fn without_rotation_there_is_no_qrinfo() {
    let params = ChainParams { rotated_llmq: LLMQType::LLMQ_TEST_INSTANTSEND, ..params() };
    let chain = chain(&params, 500);
    let none = BTreeSet::new();
    for plan in [
        Plan::new(&params, &chain, 1, &none).with_lists_for_tip(&params, &chain, &none),
        Plan::further(&params, &chain, &[310].into(), &[240, 264].into(), &none),
    ] {
        assert!(plan.works.iter().all(|work| work.request.kind() == RequestKind::MnListDiff));
        assert!(!plan.works.is_empty());
    }
}
