//! Makes up a whole chain.

mod block;

mod merkle;
mod quorums;
mod random;
mod registry;
mod rotation;
mod spec;

use std::collections::BTreeMap;

use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::{BlockHash, ChainParams, Header, Network};

use crate::world::{BlockState, World, genesis_block};
use block::{ChainLocks, MinedBlock, mine};
use quorums::QuorumBook;
use registry::Registry;
use rotation::{Rotation, modifier};

pub use spec::{GeneratedSpec, SpecError};

/// Where a chain leaves the one that its specification describes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    /// Height of the last block that both have.
    pub(crate) after: u32,
    /// Decides all later blocks.
    pub(crate) seed: u64,
}

/// See [`World::generate`] and [`World::generate_branch`].
pub(crate) fn generate(spec: &GeneratedSpec, branch: Option<Branch>) -> World {
    if let Err(error) = spec.validate() {
        panic!("{error}");
    }
    let mut chain = Generator::new(spec);
    let tip = FIRST_SERVED_CYCLE + spec.cycles * chain.cycle_length() - 1;
    for height in 1..=tip {
        chain.extend(height);
        if let Some(branch) = branch.filter(|branch| branch.after == height) {
            chain.rng = fastrand::Rng::with_seed(branch.seed);
        }
    }
    let Generator { params, headers, hashes, blocks, snapshots, .. } = chain;
    World::new(params, headers, hashes, blocks, snapshots)
}

/// Quorums form from this cycle on: the first whose members are chosen by the rules of v20.
const FIRST_CYCLE: u32 = 120;
/// First cycle about which `getqrinfo` can be asked with extra share: four cycles later.
const FIRST_SERVED_CYCLE: u32 = FIRST_CYCLE + 4 * 24;
/// Members of every quorum, so that all kinds form from few masternodes.
const QUORUM_SIZE: u32 = 4;
const WORK_BLOCK_DEPTH: u32 = 8;

fn params() -> ChainParams {
    let mut params = ChainParams::new(Network::Regtest);
    params.activation.dip3 = 2;
    params.activation.v20 = 100;
    params.activation.mn_rr = 100;
    for llmq in params.llmqs.iter_mut().filter(|llmq| !llmq.rotated) {
        (llmq.size, llmq.min_size, llmq.threshold) = (QUORUM_SIZE, QUORUM_SIZE, QUORUM_SIZE);
    }
    params
}

struct Generator {
    params: ChainParams,
    rng: fastrand::Rng,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    blocks: Vec<BlockState>,
    snapshots: BTreeMap<u32, QuorumSnapshot>,
    registry: Registry,
    quorums: QuorumBook,
    rotation: Rotation,
    chain_locks: ChainLocks,
}

impl Generator {
    fn new(spec: &GeneratedSpec) -> Self {
        let params = params();
        let mut rng = fastrand::Rng::with_seed(spec.seed);
        Self {
            headers: vec![params.genesis],
            hashes: vec![params.genesis_hash],
            blocks: vec![genesis_block()],
            snapshots: BTreeMap::new(),
            registry: Registry::new(spec.masternodes, &mut rng),
            quorums: QuorumBook::default(),
            rotation: Rotation::new(params.rotated()),
            chain_locks: ChainLocks::default(),
            params,
            rng,
        }
    }

    fn cycle_length(&self) -> u32 {
        self.params.rotated().dkg_interval
    }

    fn extend(&mut self, height: u32) {
        let in_churn = height > FIRST_CYCLE;
        self.registry.advance(height, &self.hashes, in_churn.then_some(self.cycle_length()), &mut self.rng);
        self.quorums.mine(height, &self.hashes, &mut self.rng);
        let chain_lock = (height >= self.params.activation.v20).then(|| {
            let can_sign = self.quorums.active().of_type(self.params.chain_locks_llmq).next().is_some();
            self.chain_locks.next(height, can_sign, &mut self.rng)
        });
        let roots =
            (height >= self.params.activation.dip3).then(|| (self.registry.root(), self.quorums.root()));
        let parent = (self.headers[self.headers.len() - 1], self.hashes[self.hashes.len() - 1]);
        let MinedBlock { header, hash, coinbase } = mine(height, parent, roots, chain_lock, &mut self.rng);
        self.headers.push(header);
        self.hashes.push(hash);
        self.blocks.push(BlockState {
            masternodes: self.registry.list(),
            quorums: self.quorums.active(),
            coinbase,
        });
        if height >= FIRST_CYCLE && height.is_multiple_of(self.cycle_length()) {
            self.start_cycle(height);
        }
    }

    /// The cycle's base block has been connected: its members are settled and its DKG sessions begin.
    fn start_cycle(&mut self, cycle: u32) {
        let work_height = cycle - WORK_BLOCK_DEPTH;
        let work_block = &self.blocks[work_height as usize];
        let rotated = self.params.rotated();
        let modifier = modifier(
            rotated.llmq_type,
            work_height,
            self.hashes[work_height as usize],
            &work_block.coinbase.transaction,
        );
        let complete = match self.rotation.next_cycle(&work_block.masternodes, &modifier) {
            Some((snapshot, complete)) => {
                self.snapshots.insert(cycle, snapshot);
                complete
            }
            None => false,
        };
        let valid = work_block.masternodes.entries().iter().filter(|entry| entry.is_valid);
        let evo = valid.clone().filter(|entry| entry.is_evo()).count();
        let valid = valid.count();
        for llmq in &self.params.llmqs {
            let forms = match llmq.llmq_type {
                kind if kind == self.params.rotated_llmq => complete,
                kind if kind == self.params.platform_llmq => evo >= llmq.size as usize,
                kind if kind == self.params.chain_locks_llmq => valid >= llmq.size as usize,
                // Regtest's other kinds end with rotation or wait for a fork that never comes.
                _ => false,
            };
            if forms {
                self.quorums.schedule(llmq, cycle, &mut self.rng);
            }
        }
    }
}
