use dash_types::Numeric;
use dashcore::Network;
use dashcore::hash_types::TxMerkleNode;

use super::*;

const NOW: u32 = 1_900_000_000;

/// Regtest headers on top of genesis, each mined.
fn mine(params: &ChainParams, count: u32) -> Vec<Header> {
    let mut previous = (params.genesis_hash, params.genesis.time);
    (0..count)
        .map(|index| {
            let header = mine_one(previous.0, previous.1 + 1, index);
            previous = (header.block_hash(), header.time);
            header
        })
        .collect()
}

fn mine_one(prev_blockhash: BlockHash, time: u32, seed: u32) -> Header {
    let mut header = Header {
        version: 4,
        prev_blockhash,
        merkle_root: TxMerkleNode::from_byte_array([seed.to_le_bytes()[0]; 32]),
        time,
        bits: 0x207f_ffff,
        nonce: 0,
    };
    while !header.meets_target(header.block_hash()) {
        header.nonce += 1;
    }
    header
}

fn hashes(headers: &[Header]) -> Vec<BlockHash> {
    headers.iter().map(Header::block_hash).collect()
}

#[test]
fn a_linked_chain_with_work_is_accepted() {
    let params = ChainParams::new(Network::Regtest);
    let mut chain = HeaderChain::starting_at_or_below(&params, 0);
    let headers = mine(&params, 60);
    chain.extend(&headers, &hashes(&headers), NOW).unwrap();
    assert_eq!(chain.tip_height(), 60);
    assert_eq!(chain.height_of(&headers[9].block_hash()), Some(10));
    let locator = chain.locator();
    assert_eq!(locator.first(), Some(&chain.tip_hash()));
    assert_eq!(locator.last(), Some(&params.genesis_hash));
    assert!(locator.len() < 20);

    let cut = chain.truncated(30).unwrap();
    let mut shorter = HeaderChain::starting_at_or_below(&params, 0);
    shorter.extend(&headers[..30], &hashes(&headers[..30]), NOW).unwrap();
    assert_eq!((cut.tip_hash(), cut.work()), (shorter.tip_hash(), shorter.work()));
    assert_eq!(cut.height_of(&headers[30].block_hash()), None);
}

#[test]
fn a_segment_from_the_tip_is_appended() {
    let params = ChainParams::new(Network::Regtest);
    let headers = mine(&params, 90);
    let mut whole = HeaderChain::starting_at_or_below(&params, 0);
    whole.extend(&headers, &hashes(&headers), NOW).unwrap();
    let mut chain = whole.truncated(30).unwrap();
    let mut segment = chain.starting_at_tip();
    segment.extend(&headers[30..], &hashes(&headers[30..]), NOW).unwrap();
    chain.append(&segment, NOW).unwrap();
    assert_eq!((chain.tip_hash(), chain.work()), (whole.tip_hash(), whole.work()));
    assert_eq!(chain.height_of(&headers[59].block_hash()), Some(60));
}

#[test]
fn every_broken_rule_has_its_error() {
    let params = ChainParams::new(Network::Regtest);
    let mut chain = HeaderChain::starting_at_or_below(&params, 0);
    let headers = mine(&params, 20);
    chain.extend(&headers, &hashes(&headers), NOW).unwrap();
    let tip_time = headers[19].time;
    let mut refuse = |header: Header| chain.extend(&[header], &[header.block_hash()], NOW).unwrap_err();

    let orphan = mine_one(BlockHash::all_zeros(), tip_time + 1, 0);
    assert!(matches!(refuse(orphan), HeaderError::NotLinked { height: 21, .. }));

    let linked = headers[19].block_hash();
    let mut lazy = mine_one(linked, tip_time + 1, 0);
    while lazy.meets_target(lazy.block_hash()) {
        lazy.nonce += 1;
    }
    assert!(matches!(refuse(lazy), HeaderError::InsufficientWork { height: 21, .. }));

    let mut harder = mine_one(linked, tip_time + 1, 0);
    harder.bits = 0x207f_fffe;
    while !harder.meets_target(harder.block_hash()) {
        harder.nonce += 1;
    }
    assert!(matches!(refuse(harder), HeaderError::WrongBits { expected: 0x207f_ffff, .. }));

    let median = headers[14].time;
    assert!(matches!(
        refuse(mine_one(linked, median, 0)),
        HeaderError::TimeTooOld { median: found, .. } if found == median
    ));
    assert!(matches!(refuse(mine_one(linked, NOW + 7_201, 0)), HeaderError::TimeTooNew { .. }));
    chain
        .extend(&[mine_one(linked, NOW + 7_200, 0)], &[mine_one(linked, NOW + 7_200, 0).block_hash()], NOW)
        .unwrap();
}

#[test]
fn a_chain_may_start_at_a_checkpoint() {
    let params = ChainParams::new(Network::Dash);
    let chain = HeaderChain::starting_at_or_below(&params, 2_240_504);
    assert_eq!(chain.start_height(), 2_200_000);
    assert!(chain.work() > Arith256::ZERO);
    assert_eq!(chain.locator(), [chain.tip_hash()]);
}

#[test]
fn block_1_of_a_devnet_has_to_name_it() {
    let params = |name: &str| ChainParams::new(Network::Devnet(name.into()));
    let (ours, other) = (params("ours"), params("other"));
    let first = ours.devnet_block.unwrap();
    let second = mine_one(first.block_hash(), first.time + 1, 7);
    let headers = [first, second];
    let mut chain = HeaderChain::starting_at_or_below(&ours, 0);
    chain.extend(&headers, &hashes(&headers), NOW).unwrap();
    assert_eq!(chain.tip_height(), 2);

    let error =
        HeaderChain::starting_at_or_below(&other, 0).extend(&headers, &hashes(&headers), NOW).unwrap_err();
    assert!(matches!(&error, HeaderError::OtherDevnet { got, .. } if *got == first.block_hash()), "{error}");
    assert!(error.to_string().contains("devnet:other"), "{error}");
    // Valid in every other way.
    let unnamed = mine(&ours, 1);
    let error =
        HeaderChain::starting_at_or_below(&ours, 0).extend(&unnamed, &hashes(&unnamed), NOW).unwrap_err();
    assert!(matches!(error, HeaderError::OtherDevnet { .. }), "{error}");
}
