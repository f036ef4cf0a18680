//! Answers of real nodes. They are no part of the project: where they are absent, tests say so and pass, unless they
//! run in CI.
#![allow(dead_code, unreachable_pub, reason = "each test file uses another part")]
#![allow(clippy::print_stderr, reason = "a skipped test has to be seen")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dashcore::consensus::deserialize;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ChainParams, Header, Network};
use serde_json::Value;
use spv_masternodes::members::Evidence;
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState, resolve};

pub fn recorded(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if !path.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no recorded data at {}", path.display());
        eprintln!("SKIPPED: no recorded data at {}", path.display());
        return None;
    }
    Some(path)
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Headers of a whole chain.
pub struct Chain(Vec<(BlockHash, Header)>);

impl Chain {
    pub fn read(folder: &Path) -> Self {
        let bytes = fs::read(folder.join("headers.bin")).unwrap();
        let headers = bytes.chunks(Header::SIZE).map(|bytes| deserialize::<Header>(bytes).unwrap());
        Self(headers.map(|header| (header.block_hash(), header)).collect())
    }

    pub fn height(&self, hash: &BlockHash) -> usize {
        self.0.iter().position(|(other, _)| other == hash).unwrap()
    }

    pub fn block_ref(&self, height: usize) -> BlockRef<'_> {
        let (hash, header) = &self.0[height];
        BlockRef { hash: *hash, header, height: u32::try_from(height).unwrap() }
    }

    pub fn advance(&self, state: &ProvenState, diff: &MnListDiff) -> ProvenState {
        let height = self.height(&diff.block_hash);
        state.advance(&CheckedDiff::check(diff.clone(), self.block_ref(height)).unwrap()).unwrap()
    }
}

/// Records of height, length and payload.
pub fn records(path: &Path) -> Vec<(usize, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = at + 8 + number(at + 4);
        records.push((number(at), bytes[at + 8..end].to_vec()));
        at = end;
    }
    records
}

/// The recorded regtest chain was started with parameters of its own.
pub fn regtest_params() -> ChainParams {
    let mut params = ChainParams::new(Network::Regtest);
    let activation = &mut params.activation;
    (activation.dip3, activation.v20, activation.mn_rr) = (2, 300, 300);
    for llmq in &mut params.llmqs {
        let resized = [LLMQType::LLMQ_TEST, LLMQType::LLMQ_TEST_INSTANTSEND, LLMQType::LLMQ_TEST_PLATFORM];
        if resized.contains(&llmq.llmq_type) {
            (llmq.size, llmq.min_size, llmq.threshold) = (4, 4, 4);
        }
    }
    params
}

/// The state at every height of the recorded regtest chain.
pub fn regtest_states(folder: &Path, chain: &Chain) -> Evidence {
    let genesis = ProvenState::genesis(ChainParams::new(Network::Regtest).genesis_hash);
    let mut evidence = Evidence::new();
    for (height, payload) in records(&folder.join("mnlistdiff-from-genesis.bin")) {
        // Below DIP3 there is nothing to prove.
        if height > 1 {
            evidence.add_state(chain.advance(&genesis, &deserialize(&payload).unwrap()));
        }
    }
    evidence
}

pub struct Mainnet {
    pub heights: BTreeMap<BlockHash, u32>,
    pub info: QRInfo,
    pub tip: ProvenState,
    pub evidence: Evidence,
}

impl Mainnet {
    /// No headers were recorded on mainnet, so here the coinbase proof is taken at its word.
    pub fn read(folder: &Path) -> Self {
        let heights: BTreeMap<BlockHash, u32> = json(&folder.join("heights.json"))["by_height"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(height, hash)| (hash.as_str().unwrap().parse().unwrap(), height.parse().unwrap()))
            .collect();
        let genesis = ProvenState::genesis(ChainParams::new(Network::Dash).genesis_hash);
        let mut states = BTreeMap::from([(genesis.block_hash(), genesis)]);
        let mut diffs: Vec<MnListDiff> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("mnlistdiff_"))
            .map(|path| deserialize(&fs::read(path).unwrap()).unwrap())
            .collect();
        while !diffs.is_empty() {
            let before = diffs.len();
            diffs.retain(|diff| {
                let Some(base) = states.get(&diff.base_block_hash) else { return true };
                let state = Self::advance(&heights, base, diff);
                states.insert(state.block_hash(), state);
                false
            });
            assert!(diffs.len() < before, "a diff has no base");
        }
        let info: QRInfo = deserialize(&fs::read(folder.join("qrinfo.bin")).unwrap()).unwrap();
        for roled in resolve(&info, |hash| states.contains_key(hash)).unwrap() {
            let state = Self::advance(&heights, &states[&roled.diff.base_block_hash], roled.diff);
            states.insert(state.block_hash(), state);
        }
        let tip = states[&info.mn_list_diff_tip.block_hash].clone();
        let mut evidence = Evidence::new();
        let snapshots = snapshots(&info, |diff| states[&diff.block_hash].height());
        snapshots.into_iter().for_each(|(cycle_base, snapshot)| evidence.add_snapshot(cycle_base, snapshot));
        states.into_values().for_each(|state| evidence.add_state(state));
        Self { heights, info, tip, evidence }
    }

    fn advance(heights: &BTreeMap<BlockHash, u32>, state: &ProvenState, diff: &MnListDiff) -> ProvenState {
        let mut header = ChainParams::new(Network::Dash).genesis;
        header.merkle_root = diff.partial_merkle_tree().extract_matches().unwrap().root;
        let hash = diff.block_hash;
        let height = heights.get(&hash).copied().unwrap_or_else(|| {
            let payload = diff.coinbase_tx.coinbase_payload().unwrap().unwrap();
            u32::try_from(payload.height).unwrap()
        });
        let block = BlockRef { hash, header: &header, height };
        state.advance(&CheckedDiff::check(diff.clone(), block).unwrap()).unwrap()
    }
}

/// The snapshots of a `qrinfo` by their cycle's base height.
pub fn snapshots(
    info: &QRInfo,
    height: impl Fn(&MnListDiff) -> u32,
) -> BTreeMap<u32, dashcore::network::message_qrinfo::QuorumSnapshot> {
    let fixed = [
        (&info.mn_list_diff_at_h_minus_c, &info.quorum_snapshot_at_h_minus_c),
        (&info.mn_list_diff_at_h_minus_2c, &info.quorum_snapshot_at_h_minus_2c),
        (&info.mn_list_diff_at_h_minus_3c, &info.quorum_snapshot_at_h_minus_3c),
    ];
    let fourth =
        info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.iter().map(|(snapshot, diff)| (diff, snapshot));
    let extra = info.mn_list_diff_list.iter().zip(&info.quorum_snapshot_list);
    fixed
        .into_iter()
        .chain(fourth)
        .chain(extra)
        .map(|(diff, snapshot)| (height(diff) + 8, snapshot.clone()))
        .collect()
}
