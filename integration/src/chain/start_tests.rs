//! Chains that start in the middle of a generated one with DarkGravityWave, whose target falls all the time.

use std::sync::LazyLock;

use dash_num::{Arith256, CompactTarget};
use dashcore::hash_types::TxMerkleNode;
use dashcore::params::{Activation, Retargeting};
use dashcore::{BlockHash, ChainParams, Checkpoint, Header, Network};

use super::difficulty::{Required, required, target};
use super::past::Past;
use super::{HeaderChain, HeaderError};

const NOW: u32 = 1_900_000_000;
const START: u32 = 50;
const TIP: u32 = 80;

static WORLD: LazyLock<(ChainParams, HeaderChain)> = LazyLock::new(|| {
    let usual = ChainParams::new(Network::Regtest);
    let genesis = Header { bits: 0x2003_ffff, ..usual.genesis };
    let genesis = (0..)
        .map(|nonce| Header { nonce, ..genesis })
        .find(|header| header.meets_target(header.block_hash()));
    let genesis = genesis.unwrap();
    let params = ChainParams {
        genesis,
        genesis_hash: genesis.block_hash(),
        pow_limit: genesis.bits,
        // So that no product wraps, easy as this is.
        target_spacing: 3,
        retargeting: Retargeting::DarkGravityWave { from: 1, exact_from: 1, allow_min_difficulty: false },
        activation: Activation { bip34: 3, bip66: 5, bip65: 7, ..usual.activation },
        ..usual
    };
    let mut chain = HeaderChain::starting_at_or_below(&params, 0);
    while chain.tip_height() < TIP {
        let header =
            mine(&params, chain.tip_hash(), time_of(chain.tip_height() + 1), next_bits(&params, &chain));
        chain.extend(&[header], &[header.block_hash()], NOW).unwrap();
    }
    (params, chain)
});

/// Blocks come three times as fast as they should.
fn time_of(height: u32) -> u32 {
    ChainParams::new(Network::Regtest).genesis.time + height
}

fn next_bits(params: &ChainParams, chain: &HeaderChain) -> u32 {
    let height = chain.tip_height() + 1;
    let below = (0..height).rev().map(|below| chain.header(below).unwrap());
    match required(params, &Past::gather(below, height), height, time_of(height)) {
        Required::Exactly(bits) => bits,
        other => panic!("{other:?}"),
    }
}

fn mine(params: &ChainParams, prev_blockhash: BlockHash, time: u32, bits: u32) -> Header {
    let merkle_root = TxMerkleNode::from_byte_array([7; 32]);
    let mut header = Header { version: 4, prev_blockhash, merkle_root, time, bits, nonce: 0 };
    assert!(target(bits) <= target(params.pow_limit));
    while !header.meets_target(header.block_hash()) {
        header.nonce += 1;
    }
    header
}

fn block(height: u32) -> (Header, BlockHash) {
    let chain = &WORLD.1;
    (*chain.header(height).unwrap(), chain.hash(height).unwrap())
}

fn work(height: u32) -> Arith256 {
    WORLD.1.truncated(height).unwrap().work()
}

fn checkpoint(height: u32) -> Checkpoint {
    let (header, hash) = block(height);
    let below = Vec::new();
    Checkpoint { height, hash, header: Some(header), chain_work: work(height), is_work_assumed: false, below }
}

fn by_hash_alone(height: u32, more: u64) -> Checkpoint {
    let chain_work = work(height).wrapping_add(Arith256::from_u64(more));
    Checkpoint { header: None, chain_work, is_work_assumed: true, ..checkpoint(height) }
}

fn with(checkpoints: impl Into<Vec<Checkpoint>>) -> ChainParams {
    ChainParams { checkpoints: checkpoints.into(), ..WORLD.0.clone() }
}

/// A chain from [`START`], below which nothing is known.
fn started() -> HeaderChain {
    HeaderChain::starting_at_or_below(&with([checkpoint(START)]), TIP)
}

fn extend(chain: &mut HeaderChain, to: u32) {
    for height in chain.tip_height() + 1..=to {
        let (header, hash) = block(height);
        chain.extend(&[header], &[hash], NOW).unwrap();
    }
}

/// Supplies headers down to this height.
fn supply(chain: &mut HeaderChain, to: u32) -> Result<(), HeaderError> {
    while let Some((header, hash)) =
        chain.missing_below().map(|hash| block(WORLD.1.height_of(&hash).unwrap()))
    {
        if WORLD.1.height_of(&hash) < Some(to) {
            break;
        }
        assert!(chain.supply_below(header, hash)?);
    }
    Ok(())
}

/// A header on the start whose target is so many times the start's.
fn easier(factor: u64) -> Header {
    let bits = target(block(START).0.bits).wrapping_mul(Arith256::from_u64(factor)).compact(false);
    mine(&WORLD.0, block(START).1, time_of(START + 1), dash_types::Numeric::to_base(&bits))
}

fn take(chain: &mut HeaderChain, header: Header) -> Result<(), HeaderError> {
    chain.extend(&[header], &[header.block_hash()], NOW)
}

#[test]
fn the_rules_hold_from_the_first_header_on_once_those_below_are_there() {
    let mut chain = started();
    extend(&mut chain, 60);
    supply(&mut chain, 0).unwrap();
    assert_eq!((chain.missing_below(), chain.below().count(), chain.tip_height()), (None, 24, 60));
    extend(&mut chain, TIP);
    assert_eq!((chain.tip_hash(), chain.work()), (WORLD.1.tip_hash(), WORLD.1.work()));
    // Now every header is checked, also the first.
    let mut other = chain.truncated(START).unwrap();
    let wrong = mine(&WORLD.0, other.tip_hash(), time_of(START + 1), block(START + 1).0.bits + 1);
    assert!(matches!(take(&mut other, wrong), Err(HeaderError::WrongBits { height: 51, .. })));
}

#[test]
fn only_what_is_missing_is_taken() {
    let mut chain = started();
    assert_eq!(chain.missing_below(), Some(block(START - 1).1));
    for wrong in [START - 2, START, START + 1] {
        let (header, hash) = block(wrong);
        assert_eq!(chain.supply_below(header, hash), Ok(false));
    }
    let (header, hash) = block(START - 1);
    let easy = Header { bits: 0x207f_ffff, ..header };
    assert_eq!(chain.supply_below(easy, hash), Ok(false), "easier than the network allows");
    assert_eq!(chain.missing_below(), Some(hash));
    assert_eq!(chain.supply_below(header, hash), Ok(true));
    assert_eq!(chain.supply_below(header, hash), Ok(false), "it is there");
}

#[test]
fn what_is_much_easier_waits_for_the_headers_below() {
    let mut chain = started();
    let refused = take(&mut chain, easier(7));
    assert!(matches!(refused, Err(HeaderError::AwaitsAncestry { height: 51, .. })), "{refused:?}");
    supply(&mut chain, 0).unwrap();
    assert!(matches!(take(&mut chain, easier(7)), Err(HeaderError::WrongBits { height: 51, .. })));
    extend(&mut chain, 60);

    // Where late blocks may be easy, more is possible.
    let retargeting = Retargeting::DarkGravityWave { from: 1, exact_from: 1, allow_min_difficulty: true };
    let mut lenient =
        HeaderChain::starting_at_or_below(&ChainParams { retargeting, ..with([checkpoint(START)]) }, TIP);
    take(&mut lenient, easier(7)).unwrap();
}

#[test]
fn what_was_taken_too_early_goes_with_the_last_header_below() {
    let mut chain = started();
    take(&mut chain, easier(5)).unwrap();
    let on_top = mine(&WORLD.0, chain.tip_hash(), time_of(START + 2), block(START).0.bits);
    take(&mut chain, on_top).unwrap();
    supply(&mut chain, START - 23).unwrap();
    let last = block(START - 24);
    let broken = chain.supply_below(last.0, last.1);
    assert!(matches!(broken, Err(HeaderError::WrongBits { height: 51, .. })), "{broken:?}");
    assert_eq!((chain.tip_height(), chain.work()), (START, work(START)));
    extend(&mut chain, TIP);
}

#[test]
fn times_are_compared_with_those_below_the_start() {
    let mut chain = started();
    let median = time_of(START - 5);
    take(&mut chain, mine(&WORLD.0, block(START).1, median, block(START + 1).0.bits)).unwrap();
    let broken = supply(&mut chain, 0);
    assert!(
        matches!(broken, Err(HeaderError::TimeTooOld { height: 51, median: found, .. }) if found == median)
    );
    let old = mine(&WORLD.0, block(START).1, median, block(START + 1).0.bits);
    assert!(matches!(take(&mut chain, old), Err(HeaderError::TimeTooOld { .. })));
}

#[test]
fn a_chain_takes_over_what_another_with_its_start_knows() {
    let (mut supplied, mut other) = (started(), started());
    take(&mut other, easier(5)).unwrap();
    supply(&mut supplied, START - 3).unwrap();
    assert_eq!(other.adopt_ancestry(&supplied), Ok(true));
    assert_eq!(other.adopt_ancestry(&supplied), Ok(false), "nothing new");
    assert_eq!(other.missing_below(), Some(block(START - 4).1));
    supply(&mut supplied, 0).unwrap();
    assert!(matches!(other.adopt_ancestry(&supplied), Err(HeaderError::WrongBits { height: 51, .. })));
    assert_eq!((other.missing_below(), other.tip_height()), (None, START));
    let elsewhere = HeaderChain::starting_at_or_below(&with([checkpoint(START + 1)]), TIP);
    assert_eq!(started().adopt_ancestry(&elsewhere), Ok(false));
}

#[test]
fn a_segment_knows_what_is_below_it() {
    let mut chain = started();
    supply(&mut chain, 0).unwrap();
    extend(&mut chain, START + 4);
    let mut segment = chain.starting_at_tip();
    let below: Vec<_> = segment.below().copied().collect();
    assert_eq!(below, (START - 20..START + 4).rev().map(block).collect::<Vec<_>>());
    assert_eq!(segment.missing_below(), None);
    extend(&mut segment, TIP);
    chain.append(&segment, NOW).unwrap();
    assert_eq!((chain.tip_hash(), chain.work()), (WORLD.1.tip_hash(), WORLD.1.work()));
}

#[test]
fn segments_that_start_at_checkpoints_are_exact_once_they_are_joined() {
    let params = with([checkpoint(START), checkpoint(60)]);
    let mut segment = HeaderChain::starting_at_or_below(&params, TIP);
    let bits = block(61).0.bits + 1;
    take(&mut segment, mine(&params, block(60).1, time_of(61), bits)).unwrap();
    let mut chain = HeaderChain::starting_at_or_below(&params, 59);
    supply(&mut chain, 0).unwrap();
    extend(&mut chain, 60);
    assert!(matches!(chain.append(&segment, NOW), Err(HeaderError::WrongBits { height: 61, .. })));
}

#[test]
fn nothing_is_missing_where_nothing_depends_on_it() {
    assert_eq!(WORLD.1.missing_below(), None);
    let built_in =
        Checkpoint { below: (0..START).rev().map(|at| block(at).0).collect(), ..checkpoint(START) };
    let chain = HeaderChain::starting_at_or_below(&with([built_in]), TIP);
    assert_eq!((chain.missing_below(), chain.below().count()), (None, 24));
    // Few enough that genesis is reached.
    let mut low = HeaderChain::starting_at_or_below(&with([checkpoint(3)]), TIP);
    supply(&mut low, 0).unwrap();
    assert_eq!((low.missing_below(), low.below().count()), (None, 3));
    let params = ChainParams { retargeting: Retargeting::None, ..with([checkpoint(START)]) };
    assert_eq!(HeaderChain::starting_at_or_below(&params, TIP).missing_below(), None);
    let main = ChainParams::new(Network::Dash);
    assert!(HeaderChain::starting_at_or_below(&main, 50_000).missing_below().is_some());
    assert_eq!(HeaderChain::starting_at_or_below(&main, 0).missing_below(), None);
    let late = Retargeting::DarkGravityWave { from: START + 25, exact_from: 90, allow_min_difficulty: false };
    let params = ChainParams { retargeting: late, ..with([checkpoint(START)]) };
    assert_eq!(HeaderChain::starting_at_or_below(&params, TIP).missing_below(), None);
}

#[test]
fn a_checkpoint_known_by_its_hash_takes_its_own_header_alone() {
    let params = with([checkpoint(40), by_hash_alone(START, 1_000_000)]);
    let (header, hash) = block(START);
    assert_eq!(HeaderChain::incomplete_checkpoint(&params, TIP), Some((START, hash)));
    assert_eq!(HeaderChain::incomplete_checkpoint(&params, START - 1), None);
    assert_eq!(HeaderChain::starting_at_or_below(&params, TIP).start_height(), 40);
    let wrong = HeaderChain::from_hash_checkpoint(&params, START, block(START + 1).0);
    assert!(matches!(wrong, Err(HeaderError::CheckpointMismatch { height: START, .. })));
    let none = HeaderChain::from_hash_checkpoint(&params, START + 1, block(START + 1).0);
    assert!(matches!(none, Err(HeaderError::NoCheckpoint { .. })));
    let chain = HeaderChain::from_hash_checkpoint(&params, START, header).unwrap();
    assert_eq!((chain.tip_hash(), chain.start_height(), chain.exact_work()), (hash, START, None));
}

#[test]
fn work_is_the_same_wherever_a_chain_starts() {
    let params = with([checkpoint(40), by_hash_alone(START, 1_000_000)]);
    let mut from_below = HeaderChain::starting_at_or_below(&params, TIP);
    let mut before = from_below.work();
    for height in 41..=60 {
        extend(&mut from_below, height);
        assert!(from_below.work() > before, "height {height}");
        before = from_below.work();
    }
    let mut from_hash = HeaderChain::from_hash_checkpoint(&params, START, block(START).0).unwrap();
    extend(&mut from_hash, 60);
    assert_eq!(from_hash.work(), from_below.work());
    assert_eq!((from_below.exact_work(), from_hash.exact_work()), (Some(work(60)), None));
    assert_eq!(from_hash.starting_at_tip().exact_work(), None);
    assert_eq!(from_below.truncated(START).unwrap().exact_work(), Some(work(START)));
    assert_eq!(from_below.truncated(START - 1).unwrap().work(), work(START - 1));
}

#[test]
fn minimum_work_is_what_was_done_or_what_a_release_has_seen() {
    let minimum = |minimum_chain_work, checkpoints: Vec<Checkpoint>| ChainParams {
        minimum_chain_work,
        ..with(checkpoints)
    };
    let params = minimum(work(55), vec![checkpoint(40), by_hash_alone(START, u64::MAX)]);
    let mut chain = HeaderChain::starting_at_or_below(&params, 40);
    extend(&mut chain, START - 1);
    assert!(!chain.has_min_work());
    extend(&mut chain, START);
    assert!(chain.has_min_work(), "the newest known block is in it");
    let params = minimum(work(55), vec![checkpoint(40), by_hash_alone(START, u64::MAX), checkpoint(TIP)]);
    let mut chain = HeaderChain::starting_at_or_below(&params, 40);
    extend(&mut chain, 54);
    assert!(!chain.has_min_work(), "what is assumed is no work");
    extend(&mut chain, 55);
    assert!(chain.has_min_work());
    assert!(WORLD.1.has_min_work(), "nothing is asked for on a private network");
}

#[test]
fn genesis_counts_for_its_own_work() {
    for network in [Network::Dash, Network::Testnet, Network::Regtest, Network::Devnet("a".into())] {
        let params = ChainParams::new(network);
        let chain = HeaderChain::starting_at_or_below(&params, 0);
        assert_eq!(chain.work(), CompactTarget::new(params.genesis.bits).block_proof());
    }
}

#[test]
fn versions_that_were_left_behind_are_refused() {
    for (height, least) in [(2, 1), (3, 2), (4, 2), (5, 3), (7, 4)] {
        let mut chain = WORLD.1.truncated(height - 1).unwrap();
        for version in [least - 1, least] {
            let mut header = Header { version, ..block(height).0 };
            while !header.meets_target(header.block_hash()) {
                header.nonce += 1;
            }
            let taken = take(&mut chain, header);
            let refused =
                matches!(taken, Err(HeaderError::VersionTooOld { least: found, .. }) if found == least);
            assert_eq!(refused, version < least && least > 1, "version {version} at {height}: {taken:?}");
            chain = WORLD.1.truncated(height - 1).unwrap();
        }
    }
}
