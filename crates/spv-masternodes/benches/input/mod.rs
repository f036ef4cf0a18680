//! A chain of lists: one that is whole, and diffs that follow one another.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Header, Network};
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ProvenState};

use crate::support::{self, Block, World};

/// An answer, and the block that it is about.
pub struct Answer {
    pub payload: Vec<u8>,
    pub header: Header,
    pub hash: BlockHash,
    pub height: u32,
}

impl Answer {
    pub fn decode(&self) -> MnListDiff {
        deserialize(&self.payload).unwrap()
    }

    pub fn check(&self) -> Result<CheckedDiff, ProofError> {
        let block = BlockRef { hash: self.hash, header: &self.header, height: self.height };
        CheckedDiff::check(self.decode(), block)
    }

    pub fn advance(&self, state: &ProvenState) -> ProvenState {
        state.advance(&self.check().unwrap()).unwrap()
    }

    /// No headers were recorded on mainnet, so here the coinbase proof is taken at its word.
    fn recorded(payload: Vec<u8>) -> Self {
        let diff: MnListDiff = deserialize(&payload).unwrap();
        let mut header = ChainParams::new(Network::Dash).genesis;
        header.merkle_root = diff.partial_merkle_tree().extract_matches().unwrap().root;
        let coinbase = diff.coinbase_tx.coinbase_payload().unwrap().unwrap();
        let height = u32::try_from(coinbase.height).unwrap();
        Self { payload, header, hash: diff.block_hash, height }
    }

    fn generated(diff: &MnListDiff, block: &Block) -> Self {
        Self { payload: serialize(diff), header: block.header, hash: block.hash, height: block.height }
    }
}

pub struct Input {
    pub genesis: ProvenState,
    pub whole: Answer,
    /// Each based on the one before, the first one on the whole list.
    pub next: Vec<Answer>,
}

impl Input {
    pub fn recorded(folder: &Path) -> Self {
        let mut by_base: BTreeMap<BlockHash, Vec<Answer>> = BTreeMap::new();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("mnlistdiff_") {
                let payload = fs::read(&path).unwrap();
                let base = MnListDiff::peek(&payload).unwrap().base_block_hash;
                by_base.entry(base).or_default().push(Answer::recorded(payload));
            }
        }
        let genesis = ProvenState::genesis(ChainParams::new(Network::Dash).genesis_hash);
        let mut follow = |base: BlockHash| {
            let mut answers = by_base.remove(&base)?;
            // The longest chain is the one of the shortest steps that goes on.
            answers.sort_by_key(|answer| answer.height);
            answers.into_iter().find(|answer| by_base.contains_key(&answer.hash) || answer.height > 2_240_400)
        };
        let whole = follow(genesis.block_hash()).unwrap();
        let mut next: Vec<Answer> = Vec::new();
        while let Some(answer) = follow(next.last().map_or(whole.hash, |answer| answer.hash)) {
            next.push(answer);
        }
        Self { genesis, whole, next }
    }

    /// As many masternodes, quorums and changes as mainnet has.
    pub fn generated() -> Self {
        let plain = |id: &u16| (0..3).all(|revision| support::masternode(*id, revision).version < 3);
        let masternodes: Vec<u16> = (0..u16::MAX).filter(plain).take(3_200).collect();
        let mut world = World {
            masternodes: masternodes.iter().map(|id| (*id, 0)).collect(),
            quorums: (0..88).collect(),
        };
        let mut block = Block::new(1_000, world.clone(), 5, true);
        let whole = Answer::generated(&block.full_diff(), &block);
        let mut next = Vec::new();
        for step in 0..20_u16 {
            world.quorums.remove(0);
            world.quorums.push(88 + step);
            let id = masternodes[usize::from(step) * 157];
            world.masternodes.insert(id, 1);
            if step % 5 == 4 {
                world.masternodes.remove(&id);
            }
            let following = Block::new(block.height + 24, world.clone(), 5, true);
            next.push(Answer::generated(&following.diff_since(&block), &following));
            block = following;
        }
        Self { genesis: ProvenState::genesis(support::genesis_hash()), whole, next }
    }
}
