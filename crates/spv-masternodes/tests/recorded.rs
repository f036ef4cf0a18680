//! What real nodes answered leads to the lists that they report.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod recordings;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Network};
use recordings::{Chain, recorded, records};
use serde_json::Value;
use spv_masternodes::{BlockRef, CheckedDiff, DiffRole, ProofError, ProvenState, resolve};

/// Height from which the recorded regtest chain has ChainLocks in its coinbases.
const V20: usize = 300;

#[test]
fn the_state_at_every_height_is_the_one_the_node_reports() {
    let Some(folder) = recorded("regtest-862") else { return };
    let chain = Chain::read(&folder);
    let genesis = ProvenState::genesis(ChainParams::new(Network::Regtest).genesis_hash);
    let expected: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(folder.join("expected-lists.json")).unwrap()).unwrap();
    let mut checked_heights = 0;
    for (height, payload) in records(&folder.join("mnlistdiff-from-genesis.bin")) {
        let diff: MnListDiff = deserialize(&payload).unwrap();
        assert_eq!(serialize(&diff), payload);
        if height == 1 {
            // Below DIP3: the answer names no block, and its coinbase proves nothing.
            let block = chain.block_ref(1);
            let error = CheckedDiff::check(diff, block).unwrap_err();
            let got = BlockHash::all_zeros();
            assert_eq!(error, ProofError::WrongBlock { expected: block.hash, got });
            continue;
        }
        let state = chain.advance(&genesis, &diff);
        let expected = &expected[&height.to_string()];
        assert_eq!(expected["masternodes"], state.masternodes().len(), "height {height}");
        assert_eq!(expected["valid"], state.masternodes().valid_count(), "height {height}");
        // An entry is reset to version 1, which has no type, when its masternode is revoked. The one revoked here
        // was an EvoNode, and to the node still is.
        let revoked =
            state.masternodes().iter().filter(|entry| entry.operator_public_key.is_zeroed()).count();
        assert_eq!(expected["evo"], state.masternodes().evo_count() + revoked, "height {height}");
        assert_eq!(expected["quorums"], state.quorums().len(), "height {height}");
        assert_eq!(expected["merkleRootMNList"], state.masternodes().merkle_root().to_string());
        assert_eq!(expected["merkleRootQuorums"], state.quorums().merkle_root().to_string());

        // The keyframe is what the node sends, but for the order of masternodes, which the node leaves open.
        let full = state.to_full_diff(&diff);
        assert_eq!(chain.advance(&genesis, &full), state);
        assert_eq!(full.new_quorums, diff.new_quorums, "height {height}");
        if height == V20 - 1 {
            // The node lists null signatures one block before any signature can be there. A state forgets them.
            assert!(diff.quorums_chainlock_signatures.iter().all(|group| group.signature.is_zeroed()));
            assert!(full.quorums_chainlock_signatures.is_empty());
        } else {
            assert_eq!(full.quorums_chainlock_signatures, diff.quorums_chainlock_signatures);
            assert_eq!(serialize(&full).len(), payload.len(), "height {height}");
        }
        checked_heights += 1;
    }
    assert_eq!(checked_heights, 861);
}

#[test]
fn every_qrinfo_resolves_and_all_its_states_are_proven() {
    let Some(folder) = recorded("regtest-862") else { return };
    let chain = Chain::read(&folder);
    let from_genesis: BTreeMap<_, _> =
        records(&folder.join("mnlistdiff-from-genesis.bin")).into_iter().collect();
    let genesis = ProvenState::genesis(ChainParams::new(Network::Regtest).genesis_hash);
    let answers = records(&folder.join("qrinfo-from-genesis.bin"));
    assert!(answers.len() > 10);
    for (requested, payload) in answers {
        let info: QRInfo = deserialize(&payload).unwrap();
        assert_eq!(serialize(&info), payload);
        let mut states = BTreeMap::from([(genesis.block_hash(), genesis.clone())]);
        let resolved = resolve(&info, |hash| *hash == genesis.block_hash()).unwrap();
        assert_eq!(resolved.len(), 6 + info.mn_list_diff_list.len());
        for roled in resolved {
            let state = chain.advance(&states[&roled.diff.base_block_hash], roled.diff);
            let work_block = |cycles: usize| requested - requested % 24 - 24 * cycles - 8;
            match roled.role {
                DiffRole::H => assert_eq!(state.height() as usize, work_block(0)),
                DiffRole::HMinus(cycles) => {
                    assert_eq!(state.height() as usize, work_block(cycles.into()));
                }
                _ => {}
            }
            let direct: MnListDiff = deserialize(&from_genesis[&(state.height() as usize)]).unwrap();
            let direct = chain.advance(&genesis, &direct);
            assert_eq!(state.masternodes(), direct.masternodes());
            assert_eq!(without_signatures(&state), without_signatures(&direct));
            states.insert(state.block_hash(), state);
        }
    }
}

fn without_signatures(state: &ProvenState) -> Vec<[u8; 32]> {
    state.quorums().iter().map(|quorum| quorum.entry_hash).collect()
}

/// The lists that can be reached from one that is whole. No headers were recorded on mainnet, so here the coinbase proof
/// is taken at its word.
struct Mainnet {
    folder: PathBuf,
    heights: BTreeMap<String, u32>,
    states: BTreeMap<BlockHash, ProvenState>,
}

impl Mainnet {
    fn new(folder: PathBuf) -> Self {
        let heights: Value = serde_json::from_slice(&fs::read(folder.join("heights.json")).unwrap()).unwrap();
        let heights = heights["by_height"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(height, hash)| (hash.as_str().unwrap().to_owned(), height.parse().unwrap()))
            .collect();
        let genesis = ProvenState::genesis(ChainParams::new(Network::Dash).genesis_hash);
        Self { folder, heights, states: BTreeMap::from([(genesis.block_hash(), genesis)]) }
    }

    fn diff(&self, name: &str) -> MnListDiff {
        let payload = fs::read(self.folder.join(name)).unwrap();
        let diff = deserialize(&payload).unwrap();
        assert_eq!(serialize(&diff), payload, "{name}");
        diff
    }

    /// Adds the state that a diff leads to, both of whose roots are then those of its coinbase.
    fn advance(&mut self, diff: &MnListDiff) -> &ProvenState {
        let mut header = ChainParams::new(Network::Dash).genesis;
        header.merkle_root = diff.partial_merkle_tree().extract_matches().unwrap().root;
        let hash = diff.block_hash;
        let payload = diff.coinbase_tx.coinbase_payload().unwrap().unwrap();
        let height = u32::try_from(payload.height).unwrap();
        assert!(self.heights.get(&hash.to_string()).is_none_or(|&known| known == height));
        let block = BlockRef { hash, header: &header, height };
        let base = &self.states[&diff.base_block_hash];
        let state = base.advance(&CheckedDiff::check(diff.clone(), block).unwrap()).unwrap();
        assert_eq!(state.masternodes().merkle_root(), payload.merkle_root_masternode_list);
        assert_eq!(Some(state.quorums().merkle_root()), payload.merkle_root_quorums);
        if let Some(known) = self.states.get(&hash) {
            assert_eq!(known.masternodes(), state.masternodes(), "two ways lead to the list at {height}");
            assert_eq!(without_signatures(known), without_signatures(&state));
        }
        self.states.insert(hash, state);
        &self.states[&hash]
    }
}

const WHOLE_LIST: &str = "mnlistdiff_0_2227096.bin";

#[test]
fn mainnet_lists_have_the_roots_of_their_coinbases() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mut mainnet = Mainnet::new(folder);
    let diff = mainnet.diff(WHOLE_LIST);
    let base = mainnet.advance(&diff);
    assert!(base.masternodes().len() > 3_000);
    assert_eq!(serialize(&base.to_full_diff(&diff)).len(), serialize(&diff).len());

    let payload = fs::read(mainnet.folder.join("qrinfo.bin")).unwrap();
    let info: QRInfo = deserialize(&payload).unwrap();
    assert_eq!(serialize(&info), payload);
    for roled in resolve(&info, |hash| mainnet.states.contains_key(hash)).unwrap() {
        mainnet.advance(roled.diff);
    }
    let tip = &mainnet.states[&info.mn_list_diff_tip.block_hash];
    assert_eq!((tip.masternodes().len(), tip.quorums().len()), (3_144, 88));
    let null = |quorum: &&spv_masternodes::ActiveQuorum| quorum.chain_lock_signature.is_none();
    assert_eq!(tip.quorums().iter().filter(null).count(), 24);
    assert!(tip.quorums().iter().all(|quorum| quorum.chain_lock_signature != Some(BLSSignature::default())));
}

#[test]
fn every_mainnet_diff_applies_and_all_ways_lead_to_the_same_list() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mut names: Vec<(u32, u32, String)> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            let (base, height) = name.strip_prefix("mnlistdiff_")?.strip_suffix(".bin")?.split_once('_')?;
            Some((height.parse().unwrap(), base.parse().unwrap(), name))
        })
        .collect();
    // A base comes before what is based on it.
    names.sort();
    assert_eq!(names.len(), 32);
    let mut mainnet = Mainnet::new(folder);
    for (height, base, name) in names {
        let diff = mainnet.diff(&name);
        assert_eq!(mainnet.states[&diff.base_block_hash].height(), base, "{name}");
        assert_eq!(mainnet.advance(&diff).height(), height, "{name}");
    }
    let info: QRInfo = deserialize(&fs::read(mainnet.folder.join("qrinfo.bin")).unwrap()).unwrap();
    for roled in resolve(&info, |hash| mainnet.states.contains_key(hash)).unwrap() {
        mainnet.advance(roled.diff);
    }
}
