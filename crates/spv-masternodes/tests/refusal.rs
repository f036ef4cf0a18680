//! Each way in which a diff can be wrong has its own error, with the data that shows it.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::{DecodeErrorKind, serialize};
use dashcore::merkle_tree::MerkleError;
use dashcore::network::message_sml::{DeletedQuorum, MnListDiff, QuorumCLSigObject};
use dashcore::{BlockHash, ProTxHash, QuorumHash};
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ProvenState};
use support::{
    Block, World, advance, coinbase_with, genesis_hash, hash, masternode, payload, quorum, state_at,
};

fn first() -> Block {
    let world = World { masternodes: (0..9).map(|id| (id, 0)).collect(), quorums: (0..6).collect() };
    Block::new(100, world, 4, true)
}

fn second() -> Block {
    let world = World { masternodes: (3..12).map(|id| (id, 1)).collect(), quorums: (2..9).collect() };
    Block::new(124, world, 4, true)
}

/// The error of a diff from `first` to `second` after `change`.
fn refused(change: impl FnOnce(&mut MnListDiff)) -> ProofError {
    let mut diff = second().diff_since(&first());
    change(&mut diff);
    advance(&state_at(&first()), diff, &second()).unwrap_err()
}

fn name(id: u16) -> DeletedQuorum {
    DeletedQuorum { llmq_type: quorum(id).llmq_type, quorum_hash: quorum(id).quorum_hash }
}

#[test]
fn another_block_is_refused() {
    let got = BlockHash::from_byte_array([1; 32]);
    assert_eq!(
        refused(|diff| diff.block_hash = got),
        ProofError::WrongBlock { expected: second().hash, got }
    );
}

#[test]
fn another_base_is_refused() {
    for got in [genesis_hash(), BlockHash::all_zeros(), second().hash] {
        let expected = first().hash;
        assert_eq!(refused(|diff| diff.base_block_hash = got), ProofError::WrongBase { expected, got });
    }
}

#[test]
fn genesis_is_a_base_under_both_of_its_names() {
    let genesis = ProvenState::genesis(genesis_hash());
    let mut diff = first().full_diff();
    let state = advance(&genesis, diff.clone(), &first()).unwrap();
    diff.base_block_hash = BlockHash::all_zeros();
    assert_eq!(advance(&genesis, diff, &first()), Ok(state));
}

#[test]
fn a_proof_of_another_block_is_refused() {
    let other = Block::new(124, first().world, 4, true);
    let error = refused(|diff| {
        diff.merkle_hashes = other.diff_since(&first()).merkle_hashes;
        diff.coinbase_tx = other.coinbase.clone();
    });
    let (expected, got) = (second().header.merkle_root, other.header.merkle_root);
    assert_eq!(error, ProofError::WrongTransactionRoot { expected, got });
}

#[test]
fn a_malformed_proof_is_refused() {
    for (change, why) in [
        ((|diff| diff.merkle_hashes.truncate(1)) as fn(&mut MnListDiff), MerkleError::Incomplete),
        (|diff| diff.merkle_hashes.push(diff.merkle_hashes[0]), MerkleError::Unused),
        (|diff| diff.merkle_flags.push(0), MerkleError::Unused),
        (|diff| *diff.merkle_flags.last_mut().unwrap() |= 0x80, MerkleError::Unused),
        (|diff| diff.total_transactions = 0, MerkleError::TransactionCount(0)),
        (|diff| diff.merkle_hashes[1] = diff.merkle_hashes[0], MerkleError::Mutated),
    ] {
        assert_eq!(refused(change), ProofError::MalformedCoinbaseProof(why));
    }
}

#[test]
fn a_coinbase_that_is_not_the_proven_transaction_is_refused() {
    let mut changed = second().coinbase;
    changed.output[0].value += 1;
    let coinbase = changed.txid();
    assert_eq!(
        refused(|diff| diff.coinbase_tx = changed),
        ProofError::CoinbaseNotMatched { coinbase, matches: vec![(0, second().coinbase.txid())] }
    );
}

#[test]
fn a_coinbase_in_another_position_is_refused() {
    // A block whose second transaction passes itself off as the coinbase.
    let coinbase = second().coinbase;
    let transactions = [hash("first"), coinbase.txid().to_byte_array()];
    let block = Block::with_coinbase(124, second().world, coinbase.clone(), transactions.to_vec(), true);
    let mut diff = block.full_diff();
    diff.merkle_hashes = transactions.map(dashcore::hash_types::TxMerkleNode::from_byte_array).to_vec();
    diff.merkle_flags = vec![0b101];
    let error = CheckedDiff::check(diff, block.block_ref()).unwrap_err();
    let coinbase = coinbase.txid();
    assert_eq!(error, ProofError::CoinbaseNotMatched { coinbase, matches: vec![(1, coinbase)] });
}

/// A block with this coinbase payload, and its full diff.
fn with_payload(extra_payload: Vec<u8>, world: World) -> (Block, MnListDiff) {
    let coinbase = coinbase_with(extra_payload);
    let transactions = vec![coinbase.txid().to_byte_array()];
    let block = Block::with_coinbase(124, world, coinbase, transactions, false);
    let diff = block.full_diff();
    (block, diff)
}

#[test]
fn a_coinbase_of_another_height_is_refused() {
    for got in [123, -124] {
        let mut payload = payload(124, &World::default(), false);
        payload.height = got;
        let (block, diff) = with_payload(serialize(&payload), World::default());
        let error = CheckedDiff::check(diff, block.block_ref()).unwrap_err();
        assert_eq!(error, ProofError::WrongCoinbaseHeight { expected: 124, got });
    }
}

#[test]
fn a_malformed_payload_is_refused() {
    let mut bytes = serialize(&payload(124, &World::default(), false));
    bytes.push(0);
    let (block, diff) = with_payload(bytes, World::default());
    match CheckedDiff::check(diff, block.block_ref()).unwrap_err() {
        ProofError::MalformedCoinbasePayload(error) => {
            assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { remaining: 1 });
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_plain_coinbase_is_refused() {
    let mut coinbase = coinbase_with(Vec::new());
    (coinbase.version, coinbase.tx_type) = (1, 0);
    let transactions = vec![coinbase.txid().to_byte_array()];
    let block = Block::with_coinbase(1, World::default(), coinbase, transactions, false);
    let error = CheckedDiff::check(block.full_diff(), block.block_ref()).unwrap_err();
    assert_eq!(error, ProofError::PlainCoinbase { tx_type: 0 });
}

/// A block whose coinbase, of version 1, has no root of quorums.
fn before_dip8(world: World) -> Block {
    let mut payload = payload(124, &world, false);
    (payload.version, payload.merkle_root_quorums) = (1, None);
    with_payload(serialize(&payload), world).0
}

#[test]
fn quorums_without_a_root_are_taken_and_said_to_be_unproven() {
    let genesis = ProvenState::genesis(genesis_hash());
    let block = before_dip8(World { quorums: vec![1, 2], ..World::default() });
    let state = advance(&genesis, block.full_diff(), &block).unwrap();
    assert_eq!((state.quorums().len(), state.are_quorums_proven()), (2, false));
    let mut diff = block.full_diff();
    diff.new_quorums.clear();
    let without = advance(&genesis, diff, &block).unwrap();
    assert!(without.quorums().is_empty() && !without.are_quorums_proven());
    // The masternodes are proven all the same.
    let mut diff = block.full_diff();
    diff.new_masternodes.push(masternode(3, 1));
    let error = advance(&genesis, diff, &block).unwrap_err();
    assert!(matches!(error, ProofError::WrongMasternodeRoot { .. }), "{error}");

    // Whoever tells more or less of them does not make the next one's word wrong.
    let next = before_dip8(World { quorums: vec![2, 3], ..World::default() });
    for base in [&state, &without] {
        let state = advance(base, next.diff_since(&block), &next).unwrap();
        assert!(state.quorums().iter().any(|known| *known.entry == quorum(3)), "{state:?}");
    }
    // From DIP8 on a root tells.
    let proven = Block::new(125, World { quorums: vec![3], ..World::default() }, 0, false);
    let after =
        advance(&advance(&state, next.diff_since(&block), &next).unwrap(), proven.diff_since(&next), &proven);
    assert!(after.unwrap().are_quorums_proven());
    let error = advance(&without, proven.diff_since(&next), &proven).unwrap_err();
    assert!(matches!(error, ProofError::WrongQuorumRoot { .. }), "{error}");
}

#[test]
fn what_newer_rules_made_is_proven_by_what_is_known_of_it_or_said_to_be_newer() {
    let world = World { masternodes: [(1, 1), (2, 1)].into(), quorums: vec![1] };
    let mut payload = payload(124, &world, true);
    (payload.version, payload.unknown) = (9, vec![7; 40]);
    let (mut block, _) = with_payload(serialize(&payload), world.clone());
    block.after_v20 = true;
    let genesis = ProvenState::genesis(genesis_hash());
    let state = advance(&genesis, block.full_diff(), &block).unwrap();
    assert_eq!((state.masternodes().len(), state.quorums().len()), (2, 1));
    assert_eq!(state.coinbase(), Some(&payload));

    // Its root is made of something else than entries as they are known.
    let mut other = payload.clone();
    other.merkle_root_masternode_list = Default::default();
    let (mut block, _) = with_payload(serialize(&other), world.clone());
    block.after_v20 = true;
    let error = advance(&genesis, block.full_diff(), &block).unwrap_err();
    assert!(error.is_of_newer_rules(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("made by newer rules than this version knows; update") && text.contains("version 9"),
        "{text}"
    );

    // What is needed is not there.
    let (block, diff) = with_payload(serialize(&payload)[..60].to_vec(), world.clone());
    let error = CheckedDiff::check(diff, block.block_ref()).unwrap_err();
    assert!(error.is_of_newer_rules(), "{error}");

    // Of a version that is known, the same is somebody's fault.
    (other.version, other.unknown) = (3, Vec::new());
    let (mut block, _) = with_payload(serialize(&other), world);
    block.after_v20 = true;
    let error = advance(&genesis, block.full_diff(), &block).unwrap_err();
    assert!(matches!(error, ProofError::WrongMasternodeRoot { .. }), "{error}");
}

#[test]
fn a_masternode_named_twice_is_refused() {
    let twice = masternode(11, 1).pro_reg_tx_hash;
    assert_eq!(
        refused(|diff| diff.new_masternodes.push(masternode(11, 1))),
        ProofError::DuplicateMasternode(twice)
    );
    assert_eq!(refused(|diff| diff.deleted_masternodes.push(twice)), ProofError::DuplicateMasternode(twice));
    assert_eq!(
        refused(|diff| diff.deleted_masternodes.push(diff.deleted_masternodes[0])),
        ProofError::DuplicateMasternode(masternode(0, 0).pro_reg_tx_hash)
    );
}

#[test]
fn a_quorum_named_twice_is_refused() {
    assert_eq!(
        refused(|diff| diff.deleted_quorums.push(diff.deleted_quorums[0])),
        ProofError::DuplicateQuorum(second().diff_since(&first()).deleted_quorums[0])
    );
    assert_eq!(refused(|diff| diff.deleted_quorums.push(name(8))), ProofError::DuplicateQuorum(name(8)));
}

#[test]
fn deletions_have_to_be_there() {
    let unknown = ProTxHash::from_byte_array([3; 32]);
    assert_eq!(
        refused(|diff| diff.deleted_masternodes.push(unknown)),
        ProofError::UnknownDeletedMasternode(unknown)
    );
    let unknown = DeletedQuorum { quorum_hash: QuorumHash::from_byte_array([3; 32]), ..name(0) };
    assert_eq!(refused(|diff| diff.deleted_quorums.push(unknown)), ProofError::UnknownDeletedQuorum(unknown));
}

#[test]
fn new_quorums_must_not_be_there() {
    let error = refused(|diff| {
        diff.quorums_chainlock_signatures.push(QuorumCLSigObject {
            signature: BLSSignature::default(),
            index_set: vec![u16::try_from(diff.new_quorums.len()).unwrap()],
        });
        diff.new_quorums.push(quorum(3));
    });
    assert_eq!(error, ProofError::KnownNewQuorum(name(3)));
}

#[test]
fn chain_lock_signatures_have_to_fit_the_new_quorums_one_by_one() {
    let groups = |sets: &[&[u16]]| -> Vec<_> {
        let group =
            |set: &&[u16]| QuorumCLSigObject { signature: BLSSignature::default(), index_set: set.to_vec() };
        sets.iter().map(group).collect()
    };
    for (sets, error) in [
        (&[&[0, 1, 2, 3][..]][..], ProofError::ChainLockIndexOutOfRange { index: 3, new_quorums: 3 }),
        (&[&[0, 1], &[1, 2]], ProofError::DuplicateChainLockIndex { index: 1 }),
        (&[&[0], &[2]], ProofError::MissingChainLockIndex { index: 1 }),
        (&[], ProofError::MissingChainLockIndex { index: 0 }),
    ] {
        assert_eq!(refused(|diff| diff.quorums_chainlock_signatures = groups(sets)), error);
    }
}

#[test]
fn a_list_or_quorums_with_another_root_are_refused() {
    let right = second();
    let expected = payload(124, &right.world, true);

    let mut world = right.world.clone();
    world.masternodes.insert(11, 0);
    let error = refused(|diff| *diff.new_masternodes.last_mut().unwrap() = masternode(11, 0));
    assert_eq!(
        error,
        ProofError::WrongMasternodeRoot {
            expected: expected.merkle_root_masternode_list,
            got: payload(124, &world, true).merkle_root_masternode_list,
        }
    );

    let mut world = right.world;
    world.quorums.push(0);
    let error = refused(|diff| diff.deleted_quorums.retain(|deleted| *deleted != name(0)));
    assert_eq!(
        error,
        ProofError::WrongQuorumRoot {
            expected: expected.merkle_root_quorums.unwrap(),
            got: payload(124, &world, true).merkle_root_quorums.unwrap(),
        }
    );
}

#[test]
fn the_header_decides_not_the_diff() {
    let (first, second) = (first(), second());
    let diff = second.diff_since(&first);
    let block = BlockRef { header: &first.header, ..second.block_ref() };
    assert_eq!(
        CheckedDiff::check(diff, block),
        Err(ProofError::WrongTransactionRoot {
            expected: first.header.merkle_root,
            got: second.header.merkle_root
        })
    );
}
